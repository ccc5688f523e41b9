# Every target makes what it needs, in .venv: any of them may be the first command after a clone.
# Needed: make, and Python 3.11 or newer (another one than python3: make PYTHON=python3.13 …; beside it: VENV=.venv-3.13).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
IMAGE := build/lastgood.binpb

# Some environments have this set, containers above all. Every one of the processes that the tests start would compile the
# sources for itself.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-slow chaos check wheel-test proto sync docs bench clean

help:
	@echo "make demo   watch a state being broken and rolled back to the last good checkpoint"
	@echo "make test   run the tests, but for those that take seconds each"
	@echo "make test-slow   run those: models, memory, interruptions of all kinds"
	@echo "make chaos  break it as often as is worth while: the long form of tests/chaos"
	@echo "make check  run ruff, mypy, import-linter, buf, and see that the generated code is current"
	@echo "make wheel-test   build the wheel, and test it at the floors of its dependencies with the source away"
	@echo "make proto  generate the Python code of the contract"
	@echo "make sync   generate lastgood.sync from the async client"
	@echo "make docs   generate the page Troubleshooting from the table of remedies"
	@echo "make bench  measure"
	@echo "make clean  remove .venv and everything else that was made"

demo: $(VENV)/.daemon
	$(BIN)/lastgood demo

# Three for two cores: some of the tests wait.
test: $(VENV)/.test
	$(BIN)/pytest -n 3 --dist worksteal -m 'not slow'

test-slow: $(VENV)/.test
	$(BIN)/pytest -n 3 --dist worksteal -m slow

chaos: $(VENV)/.test
	LASTGOOD_CHAOS=long $(BIN)/pytest -n 2 -rP tests/chaos

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_proto.py --check
	$(BIN)/python scripts/generate_sync.py --check
	$(BIN)/python scripts/generate_troubleshooting.py --check
	$(BIN)/python scripts/generate_proto.py --image $(IMAGE)
	$(BIN)/buf lint $(IMAGE) --config proto/buf.yaml
	PATH="$(CURDIR)/$(BIN):$$PATH" NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

wheel-test: $(VENV)/.test
	$(BIN)/python scripts/check_wheel.py

proto: $(VENV)/.dev
	$(BIN)/python scripts/generate_proto.py

sync: $(VENV)/.dev
	$(BIN)/python scripts/generate_sync.py

docs: $(VENV)/.daemon
	$(BIN)/python scripts/generate_troubleshooting.py

bench: $(VENV)/.daemon
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv .venv-* build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps, of what .venv holds: each set contains the ones above it, so making one freshens those too.
$(VENV)/.daemon: pyproject.toml | $(VENV)/.pip
	$(PIP) install --quiet --editable '.[daemon]'
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.pip
	$(PIP) install --quiet --editable '.[daemon]' --group test
	touch $@ $(VENV)/.daemon

$(VENV)/.dev: pyproject.toml | $(VENV)/.pip
	$(PIP) install --quiet --editable '.[daemon]' --group dev
	touch $@ $(VENV)/.test $(VENV)/.daemon

# The pip that comes with Python may be too old for --group (25.1).
$(VENV)/.pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'lastgood needs Python 3.11 or newer. Name one: make PYTHON=python3.13 $(MAKECMDGOALS)' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	touch $@
