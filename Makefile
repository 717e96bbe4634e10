# Needs make, a POSIX shell and Python 3.9 or newer; everything else is installed into .venv.

PYTHON ?= python3
PYTEST_ARGS ?=
PARALLEL ?= $(shell .ci/parallel)
MINUTES ?= 5

VENV := .venv
BIN := $(VENV)/bin
CHECKED := xchws tests $(foreach room,examples benchmarks,$(if $(wildcard $(room)/*.py $(room)/*/*.py),$(room)))

# .ci/venv is told whether PYTHON was asked for or is the default above.
export PYTHON
export PYTHON_FROM := $(origin PYTHON)

# Where it is set, every process of the suite would compile all of xchws anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-lowest test-all soak compare-reliability lint format clean

help:
	@echo "make demo         the five clients against simulated exchanges on this machine, no key needed"
	@echo "make test         the whole suite, with coverage"
	@echo "make test-lowest  the suite with the lowest version of every dependency, on the oldest Python found"
	@echo "make test-all     the suite on every Python from 3.9 on that is found"
	@echo "make soak         all clients under random faults for MINUTES=$(MINUTES), then 1,000 starts and 1,000 reconnects of each;"
	@echo "                  SEED=7: the same faults again; SECONDS=45: the faults alone, for so long"
	@echo "make compare-reliability  everyday faults put to xchws and to its peers from PyPI; writes docs/comparison.md"
	@echo "make lint         ruff and mypy"
	@echo "make format       lets ruff lay out the code"
	@echo "make clean        removes everything that these have made"
	@echo
	@echo "PYTHON=python3.11 names another Python; PYTEST_ARGS='-k kyan -x' goes to pytest, PARALLEL= runs one test at a time."

demo:
	@.ci/venv $(VENV) cli,sandbox test test,lint
	$(BIN)/xchws demo

test:
	@.ci/venv $(VENV) test test,lint
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term $(PYTEST_ARGS)

test-lowest:
	.ci/test-lowest $(PARALLEL) $(PYTEST_ARGS)

test-all:
	.ci/test-all $(PARALLEL) $(PYTEST_ARGS)

# Not in CI: it installs other libraries, each into an environment of its own below .venvs, and takes some seven minutes.
compare-reliability:
	@.ci/venv $(VENV) sandbox test test,lint
	$(BIN)/python -m benchmarks.reliability.compare $(COMPARE)

soak:
	@.ci/venv $(VENV) test test,lint
	$(BIN)/python -m tests.soak $(if $(SECONDS),--seconds $(SECONDS),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))
	$(if $(SECONDS),,$(BIN)/python -m tests.resources)

lint:
	@.ci/venv $(VENV) test,lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CHECKED)

format:
	@.ci/venv $(VENV) test,lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venvs build dist *.egg-info .coverage .coverage.* htmlcov
	rm -rf .interop .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find xchws tests examples docs benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
