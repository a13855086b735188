# The commands of this project; `make help` lists them. Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FAST := not slow and not browser and not e2e
# A process a core, each with a database and a studio of its own; a file's tests stay together.
SPREAD := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help up install check test format lint types imports fast-tests slow-tests long-tests bench chaos openapi lock

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

up: $(STAMP) ## Start the studio: database, broker, migrations, web and worker; Ctrl-C stops all
	@exec $(BIN)/unmask up

install: $(STAMP) ## Make the virtual environment and install the exact versions of requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: '$(PYTHON)' was not found: install Python 3.11 or newer, or name it: make up PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $$($(PYTHON) --version) is too old: install Python 3.11 or newer, or name it: make up PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "error: $(PYTHON) cannot make virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Installing exact versions into $(VENV), once: about 6 GB and some minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

check: format-check lint types imports fast-tests ## Format, lint, types, import rules, fast tests: under two minutes

test: check slow-tests ## check, then the slow, end-to-end and browser tests

.PHONY: format-check
format-check: $(STAMP)
	$(BIN)/ruff format --check .

lint: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy backend ui

imports: $(STAMP)
	$(BIN)/lint-imports

fast-tests: $(STAMP)
	$(BIN)/python -m pytest -m "$(FAST)" $(SPREAD)

# Browser tests skip loudly where Chromium is missing; with CI set they fail instead.
slow-tests: $(STAMP)
	@$(BIN)/python -c 'import shutil, sys; sys.exit(not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))' || echo "WARNING: no Chromium is installed: the browser tests cannot run (Debian: apt install chromium)" >&2
	$(BIN)/python -m pytest -m "not ($(FAST)) and not long" $(SPREAD)

long-tests: $(STAMP) ## What takes most of a minute or many GB each: full size, memory peaks, killed processes
	$(BIN)/python -m pytest -m long

format: $(STAMP) ## Format the code and apply the safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## Measure rollout, update, memory, API, raters at once, key to next pair and Compare against their bounds; prints figures
	$(BIN)/python -m tests.bench

chaos: $(STAMP) ## Kill job, worker, web and Postgres at random for ten minutes; compare with the undisturbed run
	$(BIN)/python -m tests.chaos

openapi: $(STAMP) ## Write the OpenAPI file from the code
	$(BIN)/unmask openapi > docs/openapi.json

lock: $(STAMP) ## Resolve pyproject.toml anew, keeping pinned versions that still fit
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
