# Every command sets itself up: .venv with the versions of constraints.txt, made anew when those or pyproject.toml change. The demo
# and the site install what they need and none of the developers' tools; the others install everything, the demo's packages too.
PYTHON ?= python3
JOBS ?= 2
PYTEST_ARGS ?=
PIP_ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
DEMO_INSTALLED := .venv/.installed-demo
DOCS_INSTALLED := .venv/.installed-docs
# One process a core and one thread a process: small arrays gain nothing from threads, and two layers of them fight.
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=agg

.PHONY: demo docs test test-all test-napari notebooks gpu lint clean

demo: $(DEMO_INSTALLED)
	rm -rf demo-out
	$(BIN)/tedm-demo demo-out

# The site, build/site/index.html. It fetches nothing, and a warning is an error.
docs: $(DOCS_INSTALLED)
	rm -rf build/site
	$(THREADS) $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env -d build/doctrees docs build/site

test: $(INSTALLED)
	$(THREADS) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow" $(PYTEST_ARGS)

test-all: $(INSTALLED)
	$(THREADS) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

# The viewer's plugin with a real napari: 411 MB more. Without a display of your own: xvfb-run -a make test-napari
test-napari: $(INSTALLED)
	$(BIN)/python -m pip install $(PIP_ARGS) --disable-pip-version-check --constraint constraints.txt --constraint plugins/napari/constraints.txt --editable '.[dev]' --editable './plugins/napari[qt]'
	$(THREADS) $(BIN)/python -m pytest plugins/napari/tests -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

# Run again and written with what they show.
notebooks: $(INSTALLED)
	$(THREADS) $(BIN)/python notebooks/execute.py

# On a machine with CUDA, Python and torch, without a package index: what it lacks comes from gpu-wheels (benchmarks/gpu_wheels.py),
# torch and the rest from $(PYTHON), which may be of a venv itself. Without that folder, $(PYTHON) has to have everything. GPU_ARGS='--device cpu' rehearses it.
GPU_ARGS ?=
gpu: $(if $(wildcard gpu-wheels),.venv-gpu/.installed)
	PYTHONPATH=src $(if $(wildcard gpu-wheels),.venv-gpu/bin/python,$(PYTHON)) benchmarks/gpu.py gpu-out $(GPU_ARGS)

.venv-gpu/.installed: gpu-wheels/requirements.txt pyproject.toml
	$(PYTHON) -m venv --system-site-packages .venv-gpu
	$(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), sep="\n")' \
		> "$$(.venv-gpu/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/of-python.pth"
	.venv-gpu/bin/python -m pip install --disable-pip-version-check --no-index --find-links gpu-wheels -r gpu-wheels/requirements.txt
	.venv-gpu/bin/python -m pip install --disable-pip-version-check --no-index --find-links gpu-wheels --no-deps --editable .
	@touch $@

lint: $(INSTALLED)
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv .venv-gpu gpu-out demo-out build docs/reference/generated .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

define install
	@$(PYTHON) -c 'import sys; sys.exit("tedm needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_ARGS) --disable-pip-version-check --constraint constraints.txt --editable '.[$(1)]'
endef

$(INSTALLED): pyproject.toml constraints.txt
	$(call install,dev)
	@touch $@ $(DEMO_INSTALLED) $(DOCS_INSTALLED)

$(DEMO_INSTALLED): pyproject.toml constraints.txt
	$(call install,demo)
	@touch $@

$(DOCS_INSTALLED): pyproject.toml constraints.txt
	$(call install,docs)
	@touch $@
