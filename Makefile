# What a person types. `make help` lists it; CONTRIBUTING.md says more.
# All it needs is git, make and a Python that pyproject.toml allows; the rest goes into .venv.

VENV := .venv
READY := $(VENV)/.ready
RUN := $(VENV)/bin/
SLOW ?= tests

# Tests of a change run in four processes, each with servers of its own, for which they often wait.
AT_ONCE := -n 4 --dist worksteal

# The first Python on the path that `requires-python` allows.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null && command -v $$python && break; done)

# The uv of uv.lock, so that installing the environment does not replace what installs it.
UV_VERSION := $(shell sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"$$/\1/p;}' uv.lock)

export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never
unexport VIRTUAL_ENV
unexport PYTHONDONTWRITEBYTECODE  # else each process that a test or a demo starts compiles all of Airflow anew

.DEFAULT_GOAL := help
.PHONY: help demo up test coverage test-slow check bench simulate release clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

demo: $(READY)  ## settle five days of a small lender on this machine, through Airflow
	$(RUN)settlement demo $(ARGS)

up: $(READY)  ## open Airflow's pages on the demo's data; Ctrl-C stops everything
	$(RUN)settlement up $(ARGS)

test: $(READY)  ## the tests of every change, in four processes
	$(RUN)pytest $(AT_ONCE) $(ARGS)

coverage: $(READY)  ## the same tests, a third slower, and how much of the domain and of the stages they run
	$(RUN)pytest $(AT_ONCE) $(ARGS) --cov

test-slow: $(READY)  ## the tests that need a live scheduler, a simulation or a browser; SLOW=tests/compose picks some
	$(RUN)pytest -m slow $(SLOW) $(ARGS)

check: $(READY)  ## format, lint, strict types, and who may import whom
	$(RUN)ruff format --check
	$(RUN)ruff check
	$(RUN)mypy
	$(RUN)lint-imports

bench: $(READY)  ## measure the engine against the database's own COPY; ARGS="--sizes 1000000 --json"
	@$(RUN)python -m benchmarks $(ARGS)

simulate: $(READY)  ## months of seeded random days against a bank that misbehaves; ARGS="--seed 1 --days 100"
	$(RUN)settlement rehearse $(ARGS)

release: $(READY)  ## build sdist, wheel and constraints into dist/, and prove the wheel in a fresh environment
	rm -rf dist
	$(RUN)uv build --quiet --python $(RUN)python
	$(RUN)uv export --quiet --frozen --no-dev --all-extras --no-emit-project --no-hashes --no-header --output-file dist/constraints.txt
	$(RUN)python .ci/wheel dist

clean:  ## remove what the targets above made: environment, caches, the demo and its data
	rm -rf $(VENV) .settlement .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A uv on the path is used; where there is none, the environment gets its own.
$(READY): pyproject.toml uv.lock
	@test -n "$(PYTHON)" || { echo "make: no python3 from 3.11 to 3.14 on the path; name one: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@set -e; \
	if command -v uv >/dev/null; then \
		test -x $(RUN)python || uv venv --quiet --python $(PYTHON) $(VENV); \
		uv sync --frozen --python $(RUN)python; \
	else \
		test -x $(RUN)uv || { \
			$(PYTHON) -m venv $(VENV) || { echo "make: this Python cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }; \
			$(RUN)python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
		}; \
		$(RUN)uv sync --frozen --python $(RUN)python; \
	fi
	@touch $@
