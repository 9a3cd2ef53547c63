# `make run` serves, `make test` tests; each installs what it needs into .venv the first time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# The locks are whole, so nothing is left to resolve: a pip that resolves takes `coverage[toml]`,
# asked for by a package, for another requirement than the lock's `coverage==`, and refuses the
# newer release that it then finds for having no hash.
LOCKED := $(PIP) --require-hashes --no-deps

BENCHMARKS := $(basename $(notdir $(wildcard benchmarks/*.py)))

.PHONY: run test bench soak fmt lint setup lock openapi
run: setup
	$(BIN)/tradesense serve --demo

test: lint
	$(BIN)/pytest --database both --cov -n auto --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.bench
	@set -e; for each in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$each; echo; done

soak: $(VENV)/.dev
	$(BIN)/python -m tests.soak

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# What clients may rely on; a test compares it with the application.
openapi: $(VENV)/.dev
	$(BIN)/python -m tests.openapi_document

setup: $(VENV)/.runtime

$(VENV)/.runtime: requirements/build.txt requirements/runtime.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) -r requirements/build.txt -r requirements/runtime.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	$(LOCKED) -r requirements/dev.txt
	touch $@

$(VENV)/.bench: $(VENV)/.dev requirements/bench.txt
	$(LOCKED) -r requirements/bench.txt
	touch $@

# Compile the locks anew, to the newest versions that fit. They carry hashes and no address.
COMPILE := $(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate
lock:
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet uv
	$(COMPILE) $(UPGRADE) requirements/bench.in pyproject.toml -o requirements/bench.txt
	$(COMPILE) --constraint requirements/bench.txt requirements/dev.in pyproject.toml -o requirements/dev.txt
	$(COMPILE) --constraint requirements/bench.txt pyproject.toml -o requirements/runtime.txt
	$(COMPILE) --constraint requirements/bench.txt requirements/build.in -o requirements/build.txt
