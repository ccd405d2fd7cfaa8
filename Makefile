# Everything from nothing: each target makes the virtual environment and installs what it needs, locked by hash.
# Work is done again only when pyproject.toml or the locked requirements change.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
BENCH_ARGS ?=
FUZZ_ARGS ?=
CHAOS_ARGS ?=
DEMO_ARGS ?= --bind 127.0.0.1:8080
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test bench fuzz chaos docs lint types format suite count lock clean

help:
	@echo "make demo    run the notebook of examples/notes until Ctrl-C"
	@echo "make test    everything that must hold: lint, types, manual, tests"
	@echo "make bench   Kirsch and its peers under load (BENCH_ARGS=--help for the choices)"
	@echo "make fuzz    throw changed requests at the server (FUZZ_ARGS=--help for the choices)"
	@echo "make chaos   reload, replace and kill workers under load (CHAOS_ARGS=--help for the choices)"
	@echo "make docs    build the manual into site/"
	@echo "make lint, make types, make format, make suite: one part of it"
	@echo "make count   note the number of tests, which may not fall unnoticed"
	@echo "make lock    choose newer versions of everything we depend on"
	@echo "make clean   remove what was made, the environment included"

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Kirsch needs Python 3.11 or newer, and $(PYTHON) is not; say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What running Kirsch needs.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/pyvenv.cfg
	$(PIP) install --require-hashes -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# What working on it needs. The .pth lets coverage follow the processes that tests start; it does nothing without
# COVERAGE_PROCESS_START.
$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/pyvenv.cfg
	$(PIP) install --require-hashes -r requirements/dev.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "kirsch-coverage.pth").write_text("import os; os.environ.get(\"COVERAGE_PROCESS_START\") and __import__(\"coverage\").process_startup()\n")'
	@touch $@ $(VENV)/.run

demo: $(VENV)/.run
	@exec $(BIN)/python -m kirsch run examples/notes/app.py $(DEMO_ARGS)

chaos: $(VENV)/.dev
	$(BIN)/python benchmarks/chaos.py $(CHAOS_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -W ignore::DeprecationWarning -m mkdocs build --strict --quiet

count: $(VENV)/.dev
	$(BIN)/python .ci/count --update

# Asserts only narrow types: the program must work without them.
.PHONY: without-asserts
without-asserts: $(VENV)/.dev
	$(BIN)/python -O -m pytest tests/http tests/config tests/web -q -p no:cacheprovider -W ignore::pytest.PytestConfigWarning

# Coverage data in a folder that processes of other users can write to: tests drop privileges.
suite: $(VENV)/.dev
	@data=$$(mktemp -d) && chmod 1777 $$data && status=0; \
	  export COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml COVERAGE_FILE=$$data/coverage; \
	  $(BIN)/python -m pytest -n 2 $(PYTEST_ARGS) || status=$$?; \
	  unset COVERAGE_PROCESS_START; \
	  $(BIN)/python -m coverage combine --quiet && mkdir -p build \
	    && $(BIN)/python -m coverage report > build/coverage.txt \
	    && echo "Branch coverage: $$($(BIN)/python -m coverage report --format=total) %, by file in build/coverage.txt"; \
	  rm -rf $$data; exit $$status

# The suite last, so that its result is what one reads.
test: $(VENV)/.dev
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory types
	$(MAKE) --no-print-directory docs
	$(BIN)/python .ci/count
	$(MAKE) --no-print-directory without-asserts
	$(MAKE) --no-print-directory suite

bench: $(VENV)/.run
	$(BIN)/python benchmarks/run $(BENCH_ARGS)

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz.requests $(FUZZ_ARGS)

# pip-tools has an environment of its own: it decides what goes into the other.
lock: | $(VENV)/pyvenv.cfg
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip --disable-pip-version-check --quiet install pip-tools
	for name in dev run; do \
	  $(VENV)-lock/bin/pip-compile --upgrade --quiet --generate-hashes --allow-unsafe --no-emit-options --no-header \
	    --strip-extras --output-file requirements/$$name.txt requirements/$$name.in || exit 1; \
	done

clean:
	rm -rf $(VENV) $(VENV)-lock build dist site htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf benchmarks/.peers benchmarks/limit examples/notes/data
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
