# `make help` lists the targets. Everything runs from .venv, which `make setup` fills from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PACKAGES := automation components engine providers sandbox service stacks
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Commands and tests start many short processes. Where the environment says PYTHONDONTWRITEBYTECODE, each would compile anew.
COMPILE = $(BIN)/python -m compileall -q $(PACKAGES)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup check format test coverage demo clean-demo bench lock clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r t d; do printf '%-18s %s\n' "$$t" "$$d"; done

setup: $(STAMP) ## make .venv and install what requirements.lock pins

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make setup: no '$(PYTHON)' found. Install Python 3.11 or newer, or run: make setup PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make setup: '$(PYTHON)' is $$($(PYTHON) -V 2>&1), but 3.11 or newer is needed. Run: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make setup: '$(PYTHON)' cannot make virtual environments. Install its venv module (Debian, Ubuntu: python3-venv), then retry." >&2; exit 1; }
	@echo "setting up .venv (once; a minute or two)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@$(COMPILE)
	@touch $@

check: $(STAMP) ## lint, format, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## rewrite the sources as `make check` wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(STAMP) ## run all tests
	@$(COMPILE)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

coverage: $(STAMP) ## run all tests and say which lines they reach, in all processes; takes half as long again
	@mkdir -p .coverage-data
	@$(COMPILE)
	$(BIN)/python -m pytest --cov --cov-report=term $(PYTEST_ARGS)

demo: $(STAMP) ## provision three cabinets and a department on embedded servers, and show what Tenantry does
	@$(BIN)/python -m automation.demo run

clean-demo: $(STAMP) ## tear down all that `make demo` made
	@$(BIN)/python -m automation.demo clean

bench: $(STAMP) ## measure speed and memory
	@$(BIN)/python -m benchmarks

lock: ## pin the dependencies again, and those of the image (needs uv)
	@command -v uv >/dev/null || { echo "make lock: no 'uv' found; install it with: python3 -m pip install uv" >&2; exit 1; }
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock' --extra dev -o requirements.lock pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock' --extra build -c requirements.lock -o deploy/requirements.lock pyproject.toml

clean: ## remove .venv and caches (not .tenantry, which may hold state)
	rm -rf .venv .coverage-data .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build ./*.egg-info
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
