# make demo   a two-minute search on the digits data set: installs what it needs, searches, exports, reports
# make test   lint, types, layers, tests
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-all check bench system clean

demo: $(VENV)/.demo
	$(BIN)/archwright search digits --budget 2m

test: $(VENV)/.dev system check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow or sample"

test-all: $(VENV)/.dev system check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --cov=archwright --cov-report=term:skip-covered

check: $(VENV)/.dev
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.bench
	for script in digits_search trainer_throughput ledger_cost space_speed; do echo "== $$script"; $(BIN)/python benchmarks/$$script.py || exit 1; done

system:
	sh scripts/system-packages.sh

$(BIN)/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'archwright needs Python 3.11 or newer; say which with: make PYTHON=/path/to/python3.11')"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[onnx]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage archwright-runs dist
