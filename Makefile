# Needs Python 3.11 or newer, make and a C++ compiler (hnswlib is built from source).
#   make demo PYTHON=python3.12   takes another Python

PYTHON ?= python3
OUT ?= demo
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lint install install-dev clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: install ## Build an index of NAS-Bench-201, query it, search it; results in demo/
	$(BIN)/archindex demo --out $(OUT)

test: install-dev lint ## Run all checks and all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2  # a core for each worker: threads of both would wait for each other

lint: install-dev ## Run the checks without the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(VENV)/.installed ## Set up .venv with archindex

install-dev: $(VENV)/.installed-dev ## Set up .venv with archindex and what its tests need

clean: ## Delete .venv, caches and build leftovers
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are older than these files when there is something to install anew.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	touch $@

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("archindex needs Python 3.11 or newer: make PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
