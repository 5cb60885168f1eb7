# One door to everything: `make help` lists it.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help up test guards oracle chaos fuzz check schemas format bench demo lock sbom clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# A stamp is written last, so an installation that was interrupted is done again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Daybook needs Python 3.11 or newer: make up PYTHON=python3.11'; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo 'Python has no venv module here (Debian: apt-get install python3-venv).'; exit 2; }
	@touch $@

$(VENV)/.installed: requirements.lock pyproject.toml $(VENV)/.made
	@echo 'Installing Daybook into $(VENV) (once) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo 'Installing the tools for tests and checks (once) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

up: $(VENV)/.installed ## run Daybook here: API, workers, embedded Postgres and Valkey
	@exec $(BIN)/daybook up

test: $(VENV)/.installed-dev ## every test, against real embedded services
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

guards: $(VENV)/.installed-dev ## take guards out of a copy, one at a time: its test must go red there
	@$(BIN)/python -m tests.guards $(ARGS)

oracle: $(VENV)/.installed-dev ## 10 million events under faults, and whether any was lost or doubled
	$(BIN)/python -m tests.oracle $(ARGS)

fuzz: $(VENV)/.installed-dev ## requests made up from the documents, FUZZ_EXAMPLES=100 for each operation
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-100} $(BIN)/python -m pytest -rP tests/fuzzing --timeout 3600 $(ARGS)

chaos: $(VENV)/.installed-dev ## people shop while everything is killed; then all books must agree
	$(BIN)/python -m tests.chaos $(ARGS)

check: $(VENV)/.installed-dev ## lint, format, types, import contracts, shapes of stored events
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m event_store.schemas --check

schemas: $(VENV)/.installed-dev ## add new versions of events to event_schemas.json; write the GraphQL schema
	$(BIN)/python -m event_store.schemas
	$(BIN)/python -m api.graphql.schema src/api/graphql/schema.graphql

format: $(VENV)/.installed-dev ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## measure, as ratios to something run in the same minute
	$(BIN)/python -m benchmarks $(ARGS)

demo: $(VENV)/.installed ## a tour over HTTP, from registration to shipment
	@$(BIN)/daybook demo

lock: $(VENV)/.installed-dev ## resolve the dependencies anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra build -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra build --extra dev -o requirements-dev.lock pyproject.toml

sbom: ## what Daybook is made of, from the lock, as CycloneDX: dist/sbom.json
	@mkdir -p dist
	@$(PYTHON) -m venv dist/.sbom
	@dist/.sbom/bin/python -m pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7.5,<8'
	dist/.sbom/bin/cyclonedx-py requirements requirements.lock --of JSON -o dist/sbom.json
	@rm -rf dist/.sbom

clean: ## remove .venv, caches and var (all local data)
	@echo 'This removes .venv, the caches and var with all its data.'
	@printf 'Go on? [y/N] ' && read answer && [ "$$answer" = y ]
	-$(BIN)/python -c 'import pathlib; from daybook.embedded.postgres_place import remove; remove(pathlib.Path("var").absolute())'
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
