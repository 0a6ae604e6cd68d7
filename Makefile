# `make run` shows the demo; `make test` runs every check. Each works as the first command in a fresh
# checkout. Everything goes into .venv and .cache, except for uv's cache of downloads.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := requirements/build.lock requirements/runtime.lock
INSTALLER := requirements/bootstrap.lock $(addprefix scripts/,\
    install_locked.sh make_venv.sh registry_settings.py run_uv.py uv.sh)
export PYTHON

# Ports of the demo and the examples, for machines where the usual ones are taken.
WS_PORT ?= 8080
ZMQ_PORT ?= 5555
HTTP_PORT ?= 8081
PORTS = --ws-port $(WS_PORT) --zmq-port $(ZMQ_PORT) --http-port $(HTTP_PORT)

# Port of an example's pages.
PAGE_PORT ?= 8000

.PHONY: run test lint style types pytest own-tests bench soak fuzz lock reference release clean help example-chat example-orders example-php

help:
	@echo "make run    start the daemon with a demo publisher and print the page to open"
	@echo "make example-chat, example-orders, example-php"
	@echo "            run an example from examples/ and print the page to open"
	@echo "            Ports: WS_PORT, ZMQ_PORT, HTTP_PORT; for examples also PAGE_PORT"
	@echo "make test   install what the tests need, then run lint and all tests"
	@echo "make lint   run ruff, mypy --strict and the import rules"
	@echo "make own-tests"
	@echo "            list the modules that their own tests do not cover, after a full run of pytest"
	@echo "make bench  measure; SCENARIOS=\"paced burst\" selects some, BENCH_ARGS=--help lists options"
	@echo "make soak   upgrade and reload a server under random clients for an hour; MINUTES=N"
	@echo "make fuzz   feed the parsers of untrusted input; EXAMPLES=N sets the inputs per parser"
	@echo "make lock   update requirements/*.lock from requirements/*.in; LOCK_ARGS=--upgrade raises versions"
	@echo "make reference"
	@echo "            write the generated parts of docs/reference anew"
	@echo "make release"
	@echo "            build sdist, wheel, software bill of materials and checksums in dist/, and try the wheel"
	@echo "make clean  remove $(VENV), .cache and build results"

run: $(VENV)/.runtime
	$(BIN)/python scripts/run_demo.py $(PORTS)

example-chat example-orders: example-%: $(VENV)/.runtime
	PYTHONPATH=scripts $(BIN)/python examples/run.py $* $(PORTS) --page-port $(PAGE_PORT)

example-php: $(VENV)/.runtime
	scripts/install_system_packages.sh php-example
	PYTHONPATH=scripts $(BIN)/python examples/run.py php $(PORTS) --page-port $(PAGE_PORT)

test:
	scripts/install_system_packages.sh test
	$(MAKE) style
	$(MAKE) --jobs=2 types pytest
	$(if $(PYTEST_ARGS),,$(MAKE) own-tests)

lint: style types

style: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy has one core to itself for half a minute; beside the tests, which wait often, it costs less.
types: $(VENV)/.test
	$(BIN)/mypy wampush tests scripts fuzz bench examples twisted/plugins/wampush_plugin.py
	$(BIN)/lint-imports --config setup.cfg --no-cache

# Test processes that run side by side; the tests of one file stay in one process. One more than the
# two cores of a small machine, because many tests wait for other processes.
WORKERS ?= 3

# Seconds after which the tests are ended; they take about 300.
PYTEST_SECONDS ?= 2400

# The tests start hundreds of processes. Each would compile Twisted and wampush anew where the
# environment keeps Python from writing bytecode, as images for containers often do.
pytest: export PYTHONDONTWRITEBYTECODE =
pytest: export PYTHONPYCACHEPREFIX = $(CURDIR)/.cache/bytecode
pytest: $(VENV)/.test
	timeout --foreground --signal=INT --kill-after=60 $(PYTEST_SECONDS) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile \
		--max-worker-restart=0 --durations=20 --cov --cov-report=term $(PYTEST_ARGS)

# Reads what the last full run of pytest has recorded.
own-tests: $(VENV)/.test
	$(BIN)/python scripts/check_own_tests.py

EXAMPLES ?= 20000

fuzz: $(VENV)/.test
	$(BIN)/python -m fuzz --examples $(EXAMPLES)

bench: $(VENV)/.runtime
	scripts/install_system_packages.sh bench
	$(BIN)/python -m bench $(SCENARIOS) $(BENCH_ARGS)

# The editable install comes last: what no lock names is removed before it.
INSTALL_PROJECT = scripts/uv.sh pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .

MINUTES ?= 60

soak: $(VENV)/.runtime
	scripts/install_system_packages.sh bench
	$(BIN)/python -m bench.soak --minutes $(MINUTES)

$(VENV)/.runtime: $(LOCKS) $(INSTALLER) pyproject.toml
	scripts/install_locked.sh $(VENV) $(LOCKS)
	$(INSTALL_PROJECT)
	touch $@

# test.lock holds everything that $(LOCKS) hold.
$(VENV)/.test: $(VENV)/.runtime requirements/test.lock
	scripts/install_locked.sh $(VENV) requirements/test.lock
	$(INSTALL_PROJECT)
	touch $@

lock:
	scripts/compile_locks.sh $(LOCK_ARGS)

reference: $(VENV)/.runtime
	$(BIN)/python scripts/generate_reference.py

# The generator of the bill of materials has an environment of its own, and so has the wheel that is tried.
release: $(VENV)/.runtime requirements/release.lock
	scripts/install_locked.sh .cache/release requirements/release.lock
	$(BIN)/python scripts/build_release.py --sbom-tool .cache/release/bin/cyclonedx-py --check-in .cache/installed

clean:
	rm -rf $(VENV) .cache build dist wampush.egg-info
