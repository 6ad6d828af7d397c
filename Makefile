# Each target does its own set-up first. TORCH_INDEX_URL chooses another index for torch, such as PyTorch's CPU builds.
PYTHON ?= python3.11
TORCH_INDEX_URL ?=
BIN := .venv/bin
OPENAPI_TYPESCRIPT := openapi-typescript@7.13.0 typescript@5.9.3

export HF_HUB_DISABLE_TELEMETRY := 1

LOCK := --quiet --no-annotate --no-header --no-emit-index-url --no-emit-find-links --strip-extras --unsafe-package torch \
	--constraint requirements/torch.txt

.PHONY: setup run test test-generators lint parity bench image-check lock
setup: .venv/ready-runtime

run: setup
	$(BIN)/python -m service.run

test: .venv/ready-dev
	$(BIN)/python -m pytest

# Clients made by others' generators from the service's own description, and what those think of it.
test-generators: .venv/ready-dev .venv-generators/ready
	$(BIN)/python -m pytest -m generators tests/e2e/test_generators.py

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml docker-compose.gpu.yml
	$(BIN)/hadolint Dockerfile
	$(BIN)/python -m deploy.lint_manifests

parity: .venv-parity/ready
	.venv-parity/bin/python -m pytest tests/parity -q -s --confcutdir=tests/parity

bench: .venv/ready-dev .venv-parity/ready .venv-infinity/ready
	.venv-parity/bin/python -m benchmarks.encode
	$(BIN)/python -m benchmarks.method
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m benchmarks.servers
	$(BIN)/python -m benchmarks.jobs

image-check: .venv/ready-dev
	$(BIN)/python -m deploy.check

# Resolve the locked requirements anew.
lock: .venv/ready-dev
	$(BIN)/pip-compile $(LOCK) --all-extras --output-file requirements/dev.txt pyproject.toml
	$(BIN)/pip-compile $(LOCK) --extra local --extra s3 --constraint requirements/dev.txt --output-file requirements/runtime.txt pyproject.toml

# torch goes first and on its own: asked for by another package, pip would take a build of several gigabytes.
.venv/ready-runtime: requirements/torch.txt requirements/runtime.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) --requirement requirements/torch.txt
	$(BIN)/pip install --quiet --requirement requirements/runtime.txt
	touch $@

.venv/ready-dev: .venv/ready-runtime requirements/dev.txt
	$(BIN)/pip install --quiet --requirement requirements/dev.txt
	touch $@

# openapi-python-client asks for an older typer than the service's. Without npm, openapi-typescript is left out.
.venv-generators/ready: requirements/generators.txt
	$(PYTHON) -m venv .venv-generators
	.venv-generators/bin/pip install --quiet --requirement requirements/generators.txt
	if command -v npm > /dev/null; then npm install --silent --no-save --prefix .venv-generators $(OPENAPI_TYPESCRIPT); fi
	touch $@

.venv-parity/ready: requirements/torch.txt requirements/parity.txt
	$(PYTHON) -m venv .venv-parity
	.venv-parity/bin/pip install --quiet $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) --requirement requirements/torch.txt
	.venv-parity/bin/pip install --quiet --no-deps --requirement requirements/parity.txt
	touch $@

.venv-infinity/ready: requirements/torch.txt requirements/infinity.txt
	$(PYTHON) -m venv .venv-infinity
	.venv-infinity/bin/pip install --quiet $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) --requirement requirements/torch.txt
	.venv-infinity/bin/pip install --quiet --no-deps --requirement requirements/infinity.txt
	touch $@
