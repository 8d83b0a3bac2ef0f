# Every command sets itself up: .venv with the versions of constraints.txt, made anew when those or pyproject.toml change. The demo
# installs what it needs and none of the developers' tools; the others install everything, the demo's packages too.
PYTHON ?= python3
JOBS ?= 2
PYTEST_ARGS ?=
PIP_ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
DEMO_INSTALLED := .venv/.installed-demo
# One process a core and one thread a process: small arrays gain nothing from threads, and two layers of them fight.
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=agg

.PHONY: demo test test-all notebooks lint clean

demo: $(DEMO_INSTALLED)
	rm -rf demo-out
	$(BIN)/tedm-demo demo-out

test: $(INSTALLED)
	$(THREADS) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow" $(PYTEST_ARGS)

test-all: $(INSTALLED)
	$(THREADS) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

# Run again and written with what they show.
notebooks: $(INSTALLED)
	$(THREADS) $(BIN)/python notebooks/execute.py

lint: $(INSTALLED)
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv demo-out .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

define install
	@$(PYTHON) -c 'import sys; sys.exit("tedm needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_ARGS) --disable-pip-version-check --constraint constraints.txt --editable '.[$(1)]'
endef

$(INSTALLED): pyproject.toml constraints.txt
	$(call install,dev)
	@touch $@ $(DEMO_INSTALLED)

$(DEMO_INSTALLED): pyproject.toml constraints.txt
	$(call install,demo)
	@touch $@
