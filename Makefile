# Each target does its own set-up first. TORCH_INDEX_URL chooses another index for torch, such as PyTorch's CPU builds.
TORCH_INDEX_URL ?=
BIN := .venv/bin
OPENAPI_TYPESCRIPT := openapi-typescript@7.13.0 typescript@5.9.3

# The first of these that runs, is of a release that earshot knows, and has venv; 3.11 first, for which a wheel brings
# Redis along. A command may exist and still not run, as pyenv's do.
IS_USABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,\
	$(if $(shell $(name) -c '$(IS_USABLE)' >/dev/null 2>&1 && echo usable),$(name))))

export HF_HUB_DISABLE_TELEMETRY := 1

LOCK := --quiet --no-annotate --no-header --no-emit-index-url --no-emit-find-links --strip-extras --unsafe-package torch \
	--constraint requirements/torch.txt

# On a terminal pip shows how far it is; in a log, the line before it is enough.
pip_install = @test -t 1 && quiet= || quiet=--quiet; \
	$(1)/bin/python -m pip install $$quiet --disable-pip-version-check --requirement $(2)
FROM_INDEX = $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL))

.PHONY: setup run test test-generators lint parity bench image-check lock
setup: .venv/ready-runtime

run: setup
	$(BIN)/python -m local --with-parent

# Two processes at a time; each file's tests stay together, for they share what takes long to start.
test: .venv/ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

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
	$(call make_environment,.venv)
	@echo "earshot: installing torch into .venv, which takes minutes (CUDA's build is several GB; see TORCH_INDEX_URL)"
	$(call pip_install,.venv,requirements/torch.txt) $(FROM_INDEX)
	@echo "earshot: installing $$(grep -c == requirements/runtime.txt) further packages, a minute or so"
	$(call pip_install,.venv,requirements/runtime.txt)
	@touch $@

.venv/ready-dev: .venv/ready-runtime requirements/dev.txt
	@echo "earshot: installing what tests and checks need, a minute or so"
	$(call pip_install,.venv,requirements/dev.txt)
	@touch $@

# openapi-python-client asks for an older typer than the service's. Without npm, openapi-typescript is left out.
.venv-generators/ready: requirements/generators.txt
	$(call make_environment,.venv-generators)
	@echo "earshot: installing generators of clients into .venv-generators"
	$(call pip_install,.venv-generators,requirements/generators.txt)
	@if command -v npm > /dev/null; then npm install --silent --no-save --prefix .venv-generators $(OPENAPI_TYPESCRIPT); fi
	@touch $@

.venv-parity/ready: requirements/torch.txt requirements/parity.txt
	$(call make_environment,.venv-parity)
	@echo "earshot: installing torch and what the comparison with laion-clap needs into .venv-parity"
	$(call pip_install,.venv-parity,requirements/torch.txt) $(FROM_INDEX)
	$(call pip_install,.venv-parity,requirements/parity.txt) --no-deps
	@touch $@

.venv-infinity/ready: requirements/torch.txt requirements/infinity.txt
	$(call make_environment,.venv-infinity)
	@echo "earshot: installing torch and infinity into .venv-infinity"
	$(call pip_install,.venv-infinity,requirements/torch.txt) $(FROM_INDEX)
	$(call pip_install,.venv-infinity,requirements/infinity.txt) --no-deps
	@touch $@

# An environment that works is kept with the Python that made it.
define make_environment
@$(1)/bin/python -m pip --version >/dev/null 2>&1 || { \
	python="$(PYTHON)"; \
	$${python:-false} -c '$(IS_USABLE)' 2>/dev/null || { \
		echo "earshot needs Python 3.11, 3.12 or 3.13 with venv (on Debian and Ubuntu a package of its own," \
			"python3-venv)$${python:+, and $$python is not that}: install one, or name it, as with" \
			"PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	}; \
	echo "earshot: making $(1) with $$python, $$($$python --version)"; \
	$$python -m venv --clear $(1); \
}
endef
