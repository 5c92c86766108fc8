# Two commands do all the set-up: `make serve` and `make test`. Both create .venv when they must.
PYTHON ?= python3
BIN := .venv/bin
export NO_MKDOCS_2_WARNING := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help serve build test record bench lint format fonts clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: .venv/ready ## build the site, show it at http://127.0.0.1:8000/, rebuild on change
	$(BIN)/python -m mkdocs serve

build: .venv/ready ## build the site into site/; a warning fails the build
	$(BIN)/python -m mkdocs build --strict

test: lint ## run every check; RECORD=FILE writes which page's program ran when, and how long
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadgroup --no-loadscope-reorder $(if $(RECORD),--record=$(RECORD))

record: .venv/ready ## run every page's program and write the record that the pages show
	$(BIN)/python -m pytest docs --record docs/assets/data/record.json

bench: .venv/ready ## measure speed, the layers of Table 1 and banded attention; replaces the committed results
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.complexity
	$(BIN)/python -m benchmarks.restricted

lint: .venv/ready ## check the code's style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: .venv/ready ## write the code in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

fonts: .venv/ready ## cut the fonts down to the characters in use (needs npm)
	mkdir -p .cache/fonts
	npm install --silent --no-save --prefix .cache/fonts @fontsource/stix-two-math@5.3.0 @fontsource/stix-two-text@5.3.0
	$(BIN)/python docs/assets/fonts/subset.py .cache/fonts/node_modules/@fontsource

clean: ## remove the environment, the caches and the built site
	rm -rf .venv .cache .hypothesis .ruff_cache site

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, but $(PYTHON) is older; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group test
	touch $@
