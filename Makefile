# Everything below sets itself up: a machine with Python 3.11 to 3.13 and make is enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
PIP    := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install --quiet

.DEFAULT_GOAL := help
.PHONY: help install demo test check coverage mutants bench soak images bundle compose-demo lock clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.runtime ## make .venv with the command .venv/bin/datacanal

demo: $(VENV)/.runtime ## one question over two sample bank lakes, end to end (KEEP=1 leaves it running)
	@$(BIN)/datacanal demo $(if $(KEEP),--keep)

# Tests of whole services use both cores of a small machine by themselves: they run one after the other.
test: $(VENV)/.dev .venv-tpch/.made ## all tests of this machine, about 10 minutes; ends with what was skipped and why
ifdef ARGS
	@$(BIN)/pytest $(ARGS)
else
	@$(BIN)/pytest -n $(JOBS) --dist loadfile tests/unit tests/policy tests/contract tests/integration
	@$(BIN)/pytest tests/e2e
endif

check: $(VENV)/.dev ## format, lint, types, import arrows
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

GATE_TESTS = $(addprefix tests/unit/,planning/test_gate.py planning/test_hostile_statements.py \
  planning/test_legal_statements.py planning/test_names.py planning/lineage site/gate site/policy domain/test_chain.py \
  $(addprefix ledger/test_,verifying.py exporting.py sealing.py sealing_turns.py))

coverage: $(VENV)/.dev ## statements and branches of SQL gate, labels, egress gate, policy and ledger that their unit tests reach
	@mkdir -p .cache
	@$(BIN)/coverage run -m pytest -q $(GATE_TESTS)
	@$(BIN)/coverage report

mutants: $(VENV)/.dev ## how many small changes of the same modules their unit tests notice (N=150, SEED=...)
	@$(BIN)/python -m tests.mutation $(or $(N),150) $(SEED)

bench: $(VENV)/.dev .venv-tpch/.made .venv-gateway/.made .venv-serving/.made ## the measured promises, beside something real in the same run
	@for program in planning latency record ledger tpch gate containers keys serving; do $(BIN)/python -m tests.benchmarks.$$program || exit 1; done
	@$(BIN)/python -m tests.benchmarks.serving --metering

soak: $(VENV)/.dev .venv-tpch/.made ## the long runs: 50,000 random statements, 20,000 among canaries, a 5 GB result, TPC-H scale 1 on small workers
	@$(BIN)/pytest -m soak tests/soak tests/policy $(ARGS)

images: $(VENV)/.runtime ## container images for the engine of this machine; BASE_IMAGE=, CA_BUNDLE= as images/README.md says
	@$(BIN)/python -m images

bundle: images ## both images as one file, for a machine without a network
	@version=$$($(BIN)/datacanal --version | cut -d' ' -f2); bundle=.cache/images/datacanal-$$version.tar; \
	  docker save --output $$bundle datacanal-worker:$$version datacanal-server:$$version \
	  && gzip -1 --force $$bundle && ls -sh $$bundle.gz

compose-demo: images ## two sites as containers, a job over both, and proof that they do not reach each other (KEEP=1)
	@$(BIN)/python -m compose demo $(if $(KEEP),--keep)

lock: ## make the lock files anew (needs uv)
	@for name in "runtime:pyproject.toml --group build" \
	             "image:pyproject.toml -c requirements/runtime.lock" \
	             "dev:pyproject.toml --group build --group dev --all-extras -c requirements/runtime.lock" \
	             "gateway:--group pyproject.toml:gateway -c requirements/runtime.lock" \
	             "serving:--group pyproject.toml:serving -c requirements/runtime.lock" \
	             "tpch:--group pyproject.toml:tpch"; do \
	   uv pip compile $${name#*:} --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	     --no-annotate --no-header --quiet --output-file requirements/$${name%%:*}.lock || exit 1; done

clean: ## remove what the other commands made
	rm -rf .venv .venv-tpch .venv-gateway .venv-serving .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	  sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Python 3.11 to 3.13 is needed, $(PYTHON) is {v[0]}.{v[1]}; name another with: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "The venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.runtime: $(VENV)/.python requirements/runtime.lock pyproject.toml
	@echo "Installing the locked packages into $(VENV) …"
	@$(PIP) --require-hashes -r requirements/runtime.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.lock
	@echo "Installing the locked tools for tests and checks …"
	@$(PIP) --require-hashes -r requirements/dev.lock
	@touch $@

# TPC-H texts and data come from an extension that needs another DuckDB, so it has an environment of its own.
# Where it cannot be had, its tests skip and say so.
.venv-tpch/.made: requirements/tpch.lock $(VENV)/.python
	@$(PYTHON) -m venv .venv-tpch
	@PIP_DISABLE_PIP_VERSION_CHECK=1 .venv-tpch/bin/pip install --quiet --require-hashes -r requirements/tpch.lock \
	  && touch $@ || { rm -rf .venv-tpch; echo "The TPC-H environment cannot be made here; its tests will be skipped."; }

# What the benchmark of containers is measured beside; it wants an environment of its own.
.venv-gateway/.made: requirements/gateway.lock $(VENV)/.python
	@$(PYTHON) -m venv .venv-gateway
	@PIP_DISABLE_PIP_VERSION_CHECK=1 .venv-gateway/bin/pip install --quiet --require-hashes -r requirements/gateway.lock \
	  && touch $@ || { rm -rf .venv-gateway; echo "dask-gateway cannot be had here; its column stays empty."; }

# What the benchmark of serving is measured beside: ROAPI, Datasette and a handler of a few lines.
.venv-serving/.made: requirements/serving.lock $(VENV)/.python
	@$(PYTHON) -m venv .venv-serving
	@PIP_DISABLE_PIP_VERSION_CHECK=1 .venv-serving/bin/pip install --quiet --require-hashes -r requirements/serving.lock \
	  && touch $@ || { rm -rf .venv-serving; echo "ROAPI and Datasette cannot be had here; their columns stay empty."; }
