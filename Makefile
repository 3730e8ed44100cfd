# driftwatch: `make demo` shows it, `make test` tests it; each sets up all it needs and reuses what is there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WARM := $(VENV)/.warm
PEERS := .venv-peers
# One more than the cores of a small machine: tests of daemons wait for half of their time, for brokers, sessions and time-outs.
TEST_PROCESSES ?= 3
FAULTS ?= 200
SEED ?= 1
NODES ?= 3

# Several processes that each take every core only get in each other's way, and slow each other down a lot.
export OMP_NUM_THREADS ?= 1
export MPLBACKEND ?= Agg

.DEFAULT_GOAL := help
.PHONY: help demo test lint tools programs bench bench-detection chaos lock broker clean

help:  ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## train a small reference, replay a drift, watch the alert
	$(BIN)/driftwatch demo

# Where Python may not keep what it compiled, each of the processes that tests start would compile driftwatch anew.
test:  ## every check and every test
	@$(MAKE) --no-print-directory -j3 lint tools programs $(WARM)
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder --durations 15

lint: $(READY)  ## formatting, style, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Takes minutes the first time, as Python's packages do: `test` gets all at once.
tools:
	@.ci/tools

# Kafka's jars and Helm, which takes minutes of a core to build the first time. Without them, tests get them or say why not.
programs: tools
	@for each in tests/broker/jars.py tests/deploy/tools.py; do $(PYTHON) $$each || true; done

# What each process of the tests would else do for itself the first time: compile modules, and a broker's classes. Lint takes
# one core meanwhile. What goes wrong here goes wrong in the tests again, and is told there.
$(WARM): $(READY) | tools
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --collect-only -q >/dev/null 2>&1 || true
	@$(BIN)/python -m tests.broker.archive || true
	@touch $@

bench: $(READY)  ## measure speed and accuracy; prints tables
	$(BIN)/python -m benchmarks

bench-detection: $(PEERS)/.ready  ## measure detection beside peers, which have an environment of their own
	$(PEERS)/bin/python -m benchmarks.detection $(DETECTION)

chaos: $(READY) tools  ## strike daemons with faults (FAULTS=200 SEED=1 NODES=3 KINDS= BEFORE=), and compare what is left with what it should be
	$(BIN)/python -m tests.chaos --faults $(FAULTS) --seed $(SEED) --nodes $(NODES) $(if $(BEFORE),--before $(BEFORE)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(KINDS),--kinds '$(KINDS)')

broker: $(READY)  ## run a Kafka broker on this machine to try things out with
	$(BIN)/python -m tests.broker

$(READY): pyproject.toml requirements.lock .ci/install
	PYTHON=$(PYTHON) .ci/install $(VENV)
	@touch $@

$(PEERS)/.ready: benchmarks/peers.lock .ci/install
	PYTHON=$(PYTHON) .ci/install $(PEERS) benchmarks/peers.lock
	@touch $@

lock:  ## resolve the pinned dependencies anew
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet -o requirements.lock
	uv pip compile pyproject.toml --extra cpu --extra schema-registry --extra aws --extra remote --extra otel --extra mlflow \
		--constraint requirements.lock --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet -o requirements.runtime.lock
	echo hatchling | uv pip compile - --constraint requirements.lock --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet -o requirements.build.lock
	uv pip compile benchmarks/peers.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet -o benchmarks/peers.lock

clean:  ## remove all that the other targets made
	rm -rf $(VENV) $(PEERS) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist driftwatch-demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
