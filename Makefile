# `make run` shows the demo; `make test` runs every check. Everything goes into .venv and .cache.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := requirements/build.lock requirements/runtime.lock

# Addresses of the demo, for machines where the usual ports are taken.
WS_PORT ?= 8080
ZMQ_PORT ?= 5555
HTTP_PORT ?= 8081

# Where the pages of an example are.
PAGE_PORT ?= 8000

.PHONY: run test lint pytest bench fuzz lock clean help example-chat example-orders example-php

help:
	@echo "make run    start the daemon, a demo publisher, and print the page to open"
	@echo "make example-chat, example-orders, example-php    run one of examples/ and print its page"
	@echo "make test   install what the tests need, then run lint and all tests"
	@echo "make lint   ruff, mypy --strict and the import rules"
	@echo "make bench  measure; SCENARIOS=\"paced burst\" for some, BENCH_ARGS=--help for more"
	@echo "make fuzz   feed the parsers of untrusted input; EXAMPLES=N inputs for each"
	@echo "make lock   write requirements/*.lock anew from requirements/*.in"
	@echo "make clean  remove $(VENV), .cache and build results"

run: $(VENV)/.runtime
	$(BIN)/python scripts/run_demo.py --ws-port $(WS_PORT) --zmq-port $(ZMQ_PORT) --http-port $(HTTP_PORT)

example-chat example-orders example-php: example-%: $(VENV)/.test
	PYTHONPATH=scripts $(BIN)/python examples/run.py $* --ws-port $(WS_PORT) --zmq-port $(ZMQ_PORT) --http-port $(HTTP_PORT) --page-port $(PAGE_PORT)

test:
	scripts/install_test_packages.sh
	$(MAKE) lint pytest

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy wampush tests scripts fuzz bench examples twisted/plugins/wampush_plugin.py
	$(BIN)/lint-imports --config setup.cfg --no-cache

# Tests that run side by side; each file of them in one process.
WORKERS ?= 2

pytest: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term --cov-report=xml:.cache/coverage/report.xml $(PYTEST_ARGS)

EXAMPLES ?= 20000

fuzz: $(VENV)/.test
	$(BIN)/python -m fuzz --examples $(EXAMPLES)

bench: $(VENV)/.test
	$(BIN)/python -m bench $(SCENARIOS) $(BENCH_ARGS)

$(VENV)/.runtime: $(LOCKS) pyproject.toml scripts/make_venv.sh
	PYTHON="$(PYTHON)" scripts/make_venv.sh $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes $(addprefix -r ,$(LOCKS))
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.test: $(VENV)/.runtime requirements/test.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/test.lock
	touch $@

lock:
	PYTHON="$(PYTHON)" scripts/compile_locks.sh

clean:
	rm -rf $(VENV) .cache build dist wampush.egg-info
