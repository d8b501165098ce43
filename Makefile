# `make demo` and `make test` need Python 3.10 or later and nothing else installed by hand.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test soak bench engine environment sdks check format clean

help: ## these lines
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/'

demo: environment engine ## real tokens by a real engine, in an emulated account
	@$(BIN)/python -m tools.demo

test: check engine ## everything that must hold: format, lint, types, tests with the real engine
	@$(BIN)/pytest --numprocesses=4 --dist=worksteal --cov --cov-report=term

soak: environment engine ## the long form of what looks for the unexpected: properties, fuzz, faults, 200 kills; two hours
	@$(BIN)/pytest tests/unit tests/contract tests/fuzz tests/engine/test_faults.py tests/engine/test_kills.py \
		--numprocesses=2 --timeout=0 --hypothesis-profile=soak -rP

bench: environment engine ## what it costs beside the engine and the network: docs/performance.md made anew; two hours
	@$(BIN)/python -m bench

check: sdks ## format, lint, types and the one way of imports
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@for program in examples/*-*/__main__.py examples/*-*/*/__main__.py; do $(BIN)/mypy --no-error-summary $$program || exit 1; done
	@report=$$($(BIN)/lint-imports --no-logo --no-cache) || { echo "$$report"; exit 1; }

format: environment ## make the sources look as `make check` wants them
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

engine: environment ## the Pulumi engine, in .engine/bin
	@$(BIN)/python tools/engine/get.py

environment:
	@$(PYTHON) tools/environment.py

sdks:
	@$(PYTHON) tools/environment.py sdks

clean: ## forget what the commands above made here; the engine's cache stays
	rm -rf .venv .venv.lock .sdks .engine .demo Pulumi.emulator-demo.yaml .*_cache .hypothesis .coverage*
