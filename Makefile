# Two commands do all the set-up: `make serve` and `make test`. Both create .venv when they must.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
export NO_MKDOCS_2_WARNING := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help serve build offline test train record bench generated lint format fonts pins clean environment

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: environment ## build the site, show it at http://127.0.0.1:8000/ (or PORT=...), rebuild on change
	$(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:$(PORT)

build: environment ## build the site into site/; a warning fails the build
	$(BIN)/python -m mkdocs build --strict

offline: build ## build the site, and with it a zip that works from disk
	@echo "site/executable-transformer.zip: unpack it anywhere and open its index.html"

test: lint ## run every check; RECORD=FILE writes which page's program ran when, and how long
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadscope --no-loadscope-reorder $(if $(RECORD),--record=$(RECORD))

train: environment ## train a small translator on the embedded corpus, and let it translate
	$(BIN)/python -m snippets.training.train --config tiny --out runs/tiny
	$(BIN)/python -m snippets.training.translate --checkpoint runs/tiny "Das Kind malt heute im Park den Hut." \
		"Am Morgen hat der alte Mann im Park zwei rote Äpfel gefunden."

record: environment ## run every page's program and write the record that the pages show
	$(BIN)/python -m pytest docs --record docs/assets/data/record.json

bench: environment ## measure the times on the pages; with CHECKPOINT=runs/... decoding too
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.complexity
	$(BIN)/python -m benchmarks.restricted
	$(BIN)/python -m benchmarks.allocation
	$(BIN)/python -m benchmarks.decoding $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT))
	$(if $(CHECKPOINT),$(BIN)/python -m benchmarks.bleu --checkpoint $(CHECKPOINT))

generated: environment ## write anew what programs make of the code: figures, tables
	GENERATE=1 $(BIN)/python -m pytest --quiet tests/site/test_generated.py

lint: environment ## check the code's style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: environment ## write the code in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

fonts: environment ## cut the fonts down to the characters in use (needs npm)
	mkdir -p .cache/fonts
	npm install --silent --no-save --prefix .cache/fonts @fontsource/stix-two-math@5.3.0 @fontsource/stix-two-text@5.3.0
	$(BIN)/python docs/assets/fonts/subset.py .cache/fonts/node_modules/@fontsource

# Resolves the needs of pyproject.toml anew, in an environment of its own. The CUDA libraries that
# PyTorch's wheel for Linux brings along, and the mark of a build (+cpu), are left out.
PINS := .cache/pins
pins: ## write the newest release of every need into constraints.txt
	rm -rf $(PINS)
	$(PYTHON) -m venv $(PINS)
	$(PINS)/bin/python -m pip install --quiet --upgrade pip
	$(PINS)/bin/python -m pip install --quiet --group test
	$(PINS)/bin/python -m pip freeze --all > $(PINS)/frozen
	grep '^#' constraints.txt > $(PINS)/constraints.txt
	grep -vE '^(cuda|nvidia|triton)[-_a-z0-9]*==' $(PINS)/frozen | sed 's/+[a-z0-9.]*$$//' >> $(PINS)/constraints.txt
	mv $(PINS)/constraints.txt constraints.txt
	rm -rf $(PINS)

clean: ## remove the environment, the caches and the built site
	rm -rf .venv .cache .hypothesis .ruff_cache site

# What the environment is made from: the dependency groups and the pins, and no other setting.
NEEDS := $(PYTHON) -c 'import json, tomllib; \
	print(json.dumps(tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"])); \
	print(*(line.strip() for line in open("constraints.txt") if line[0] not in "\#\n"), sep="\n")'

# .venv/ready holds the needs that .venv was made from; a new environment is made when they change.
environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, but $(PYTHON) is older; set PYTHON=..." >&2; exit 1; }
	@needs=$$($(NEEDS)) && if [ "$$needs" != "$$(cat .venv/ready 2>/dev/null)" ]; then set -ex; \
		$(PYTHON) -m venv --clear .venv; \
		$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip; \
		$(BIN)/python -m pip install --quiet --constraint constraints.txt --group test; \
		{ set +x; } 2>/dev/null; echo "$$needs" > .venv/ready; fi
