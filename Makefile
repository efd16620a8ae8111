# Everything a newcomer needs: `make demo` and `make test`. Each target installs what it uses.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# Where bytecode is not written, every process compiles all of our modules again.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The emulator, the SAM command line and checkov pin other versions of what we use: each has its own room.
MINISTACK := $(VENV)/ministack
SAM := $(VENV)/sam
CHECKOV := $(VENV)/checkov
# What Lambda brings along, and nothing else: a function that needs more does not start there.
LAMBDA := $(VENV)/lambda
MICROBURST := $(VENV)/microburst
BROWSER := $(VENV)/browser
CHARTS := $(VENV)/console

.PHONY: help demo up down console test thorough browser e2e chaos conformance simulate fuzz bench cost lint types template security check format documents lock wheel clean

help: ## Show the targets
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.ready $(MINISTACK)/.ready ## Replay a day of calls on an embedded AWS
	$(BIN)/perminute replay examples/day
	@echo "More of this day, and of a deployed stack with --stack in place of --replay (docs/reports.md):"
	@sed -n 's|^[$$] perminute|  $(BIN)/perminute|p' docs/reports.md

# Three environments beside the first one, at once: it is what a newcomer waits for.
up: ## Run the deployed system on this machine, until `make down`
	@$(MAKE) --no-print-directory --jobs 3 $(MINISTACK)/.ready $(SAM)/.ready $(LAMBDA)/.ready
	$(BIN)/perminute up

down: $(VENV)/.ready ## End it; its data is gone
	$(BIN)/perminute down

console: $(VENV)/.ready $(MINISTACK)/.ready $(CHARTS)/.ready ## Show the same day on a page in your browser
	$(BIN)/perminute console examples/day

test: $(VENV)/.ready $(MINISTACK)/.ready ## Run the tests
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m "not thorough"

thorough: $(VENV)/.ready ## Run the tests that take long: whole worlds, planted bugs, every kind of answer and event, more examples
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m thorough
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m "not thorough" --hypothesis-profile thorough tests/property

e2e: $(VENV)/.ready $(MINISTACK)/.ready $(SAM)/.ready $(LAMBDA)/.ready ## Run the day again on what is built and deployed
	$(BIN)/pytest -v tests/deployed/e2e

chaos: $(VENV)/.ready $(MINISTACK)/.ready $(SAM)/.ready $(LAMBDA)/.ready $(MICROBURST)/.ready ## Run it where as many requests to AWS fail as there are events
	$(BIN)/pytest -v tests/deployed/chaos

# Nothing of perminute is installed beside the driver: so the tests' common fixtures are left out.
browser: $(VENV)/.ready $(MINISTACK)/.ready $(CHARTS)/.ready $(BROWSER)/.ready ## Try the console in Chromium, if there is one; pictures in build/console
	$(BROWSER)/bin/pytest -q --confcutdir tests/browser -o pythonpath=tests/browser tests/browser

# Amazon's license for it asks for an AWS account in good standing, and forbids passing it on: so it is
# neither fetched nor started here, and no part of what the continuous integration runs.
conformance: $(VENV)/.ready ## Hold the stores to their contract on Amazon's DynamoDB Local, which you have started
	@test -n "$(ENDPOINT)" || { printf '%s\n' \
	  "If its license lets you use it (docs/adr/0012), start DynamoDB Local, and say where:" \
	  "  java -jar DynamoDBLocal.jar -inMemory -sharedDb -disableTelemetry -port 8000" \
	  "  make conformance ENDPOINT=http://127.0.0.1:8000" >&2; exit 1; }
	$(BIN)/pytest --dynamodb-local $(ENDPOINT) tests/contract

simulate: $(VENV)/.ready ## Simulate a thousand worlds in which everything goes wrong that can
	$(BIN)/perminute simulate --seeds 1000
	$(BIN)/perminute simulate --seeds 50 --over moto --events 100
	$(BIN)/perminute simulate --seeds 50 --over adverse --events 100

fuzz: $(VENV)/.ready ## Try every door with 100,000 inputs that nobody should send
	$(BIN)/pytest -v --fuzz-inputs 100000 tests/fuzz

bench: $(VENV)/.ready $(MINISTACK)/.ready $(CHARTS)/.ready ## Measure, each figure beside the naive way
	$(BIN)/python -m perminute_local.bench

cost: $(VENV)/.ready ## Show what a stage costs while idle, and what a million calls cost
	@$(BIN)/python -m perminute_local.cost

lint: $(VENV)/.ready ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready ## Check types
	$(BIN)/mypy

# The layer is built by a Makefile of its own, which asks the path for a Python that has pip.
template: export PATH := $(CURDIR)/$(SAM)/bin:$(PATH)
template: export SAM_CLI_TELEMETRY := 0
template: $(VENV)/.ready $(SAM)/.ready ## Validate and build what is deployed
	sam validate --lint
	sam build

security: $(CHECKOV)/.ready ## Check the template for what would be unsafe (.checkov.yaml)
	$(CHECKOV)/bin/checkov

check: lint types template security e2e thorough test ## All that the continuous integration runs

format: $(VENV)/.ready ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

documents: $(VENV)/.ready ## Write anew what is made from the code and the samples: pages of docs/, forms of events/
	$(BIN)/python -m perminute_local.documents.openapi > docs/openapi.json
	$(BIN)/python -m perminute_local.documents.event_documents schema > docs/events.schema.json
	$(BIN)/python -m perminute_local.documents.event_documents page > docs/events.md
	$(BIN)/python -m perminute_local.documents.samples events
	$(BIN)/python -m perminute_local.documents.command_page > docs/command-line.md

lock: $(VENV)/.ready ## Pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile -q pyproject.toml --extra dev --extra statements --universal --python-version 3.11 \
	  --generate-hashes --no-header --upgrade -o requirements/dev.lock
	$(BIN)/uv pip compile -q requirements/functions.in --python-version 3.13 --python-platform aarch64-manylinux2014 \
	  --generate-hashes --no-header -c requirements/dev.lock -o layers/dependencies/requirements.txt
	$(BIN)/uv pip compile -q requirements/statements.in --python-version 3.13 --python-platform aarch64-manylinux2014 \
	  --generate-hashes --no-header -c requirements/dev.lock -o layers/statements/requirements.txt
	$(BIN)/uv pip compile -q requirements/ministack.in --universal --python-version 3.11 \
	  --generate-hashes --no-header --upgrade -o requirements/ministack.lock
	$(BIN)/uv pip compile -q requirements/lambda-runtime.in --universal --python-version 3.11 \
	  --generate-hashes --no-header --upgrade -o requirements/lambda-runtime.lock
	$(BIN)/uv pip compile -q requirements/microburst.in --universal --python-version 3.11 \
	  --generate-hashes --no-header --upgrade -o requirements/microburst.lock
	$(BIN)/uv pip compile -q requirements/browser.in --universal --python-version 3.11 \
	  --generate-hashes --no-header --upgrade -o requirements/browser.lock
	$(BIN)/uv pip compile -q requirements/console.in --universal --python-version 3.11 \
	  --generate-hashes --no-header --upgrade -o requirements/console.lock
	$(BIN)/uv pip compile -q requirements/sam.in --universal --python-version 3.11 \
	  --generate-hashes --no-header --upgrade -o requirements/sam.lock
	$(BIN)/uv pip compile -q requirements/checkov.in --universal --python-version 3.11 \
	  --generate-hashes --no-header --upgrade -o requirements/checkov.lock

wheel: $(VENV)/.ready ## Build what pipx installs, into build/wheel
	rm -rf build/wheel build/lib build/bdist.*
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheel .

clean: ## Remove what the targets made
	rm -rf $(VENV) .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis build

# A new function is a new package, which an installation from before does not know.
$(VENV)/.ready: requirements/dev.lock pyproject.toml $(wildcard functions/*/__init__.py)
	@command -v $(PYTHON) >/dev/null || { echo "there is no $(PYTHON); name a Python 3.11 or newer: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "perminute needs Python 3.11 or newer; name one with: make PYTHON=python3.13 ..." >&2; exit 1; }
	@echo "Installing what perminute needs into $(VENV), once; it takes about a minute." >&2
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(MINISTACK)/.ready: $(VENV)/.ready requirements/ministack.lock
	@echo "Installing the AWS emulator into $(MINISTACK), once." >&2
	$(PYTHON) -m venv $(MINISTACK)
	$(MINISTACK)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/ministack.lock
	@touch $@

$(LAMBDA)/.ready: $(VENV)/.ready requirements/lambda-runtime.lock
	$(PYTHON) -m venv --without-pip $(LAMBDA)
	$(BIN)/python -m pip --python $(LAMBDA)/bin/python install --quiet --disable-pip-version-check \
	  --require-hashes -r requirements/lambda-runtime.lock
	@touch $@

$(MICROBURST)/.ready: $(VENV)/.ready requirements/microburst.lock
	$(PYTHON) -m venv $(MICROBURST)
	$(MICROBURST)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/microburst.lock
	@touch $@

$(BROWSER)/.ready: $(VENV)/.ready requirements/browser.lock
	$(PYTHON) -m venv $(BROWSER)
	$(BROWSER)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/browser.lock
	@touch $@

$(CHARTS)/.ready: $(VENV)/.ready requirements/console.lock
	$(PYTHON) -m venv $(CHARTS)
	$(CHARTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/console.lock
	@touch $@

$(SAM)/.ready: $(VENV)/.ready requirements/sam.lock
	@echo "Installing what builds and deploys into $(SAM), once; it takes a minute." >&2
	$(PYTHON) -m venv $(SAM)
# --no-deps: the lock is complete, and pip does not match its hashes of packages with extras.
	$(SAM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/sam.lock
	@touch $@

$(CHECKOV)/.ready: $(VENV)/.ready requirements/checkov.lock
	$(PYTHON) -m venv $(CHECKOV)
	$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/checkov.lock
	@touch $@
