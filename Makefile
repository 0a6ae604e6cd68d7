# `make run` shows the demo; `make test` runs every check. Each works as the first command in a fresh
# checkout. Everything goes into .venv and .cache, except for uv's cache of downloads.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := requirements/build.lock requirements/runtime.lock
INSTALLER := requirements/bootstrap.lock $(addprefix scripts/,\
    install_locked.sh make_venv.sh registry_settings.py run_uv.py uv.sh)
# Written last by npm. Defined before the rules that need it, because make reads these at once.
NODE_MODULES := client-js/node_modules/.package-lock.json
EXTENSION := $(addprefix wampush/,_openings.c _openings.h _receives.c _receives.h _sends.c _sends.h _speedups.c)
export PYTHON

# Ports of the demo and the examples, for machines where the usual ones are taken.
WS_PORT ?= 8080
ZMQ_PORT ?= 5555
HTTP_PORT ?= 8081
PORTS = --ws-port $(WS_PORT) --zmq-port $(ZMQ_PORT) --http-port $(HTTP_PORT)

# Port of an example's pages.
PAGE_PORT ?= 8000

.PHONY: run test lint style types client pytest coverage own-tests bench soak simulate fuzz sanitize lock reference release clean help example-chat example-orders example-php

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
	@echo "make simulate"
	@echo "            simulate three nodes, a Redis server and clients; STEPS=N, SEED=N"
	@echo "make fuzz   feed the parsers of untrusted input; EXAMPLES=N sets the inputs per parser"
	@echo "make client build client-js/ into static/ anew, and its digests into docs/reference; needs node"
	@echo "make sanitize"
	@echo "            run the tests of the extension in C with AddressSanitizer and UBSan"
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
	$(if $(PYTEST_ARGS),,$(MAKE) --jobs=2 --output-sync coverage own-tests)

lint: style types

style: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy has one core to itself for half a minute; beside the tests, which wait often, it costs less.
types: $(VENV)/.test $(NODE_MODULES)
	cd client-js && npm run --silent types
	$(BIN)/mypy wampush tests scripts fuzz bench examples twisted/plugins/wampush_plugin.py
	$(BIN)/lint-imports --config setup.cfg --no-cache

# Test processes that run side by side; the tests of one file stay in one process. Twice as many as a
# small machine has cores, because tests wait for other processes; with more, each of which imports
# all tests, two cores have more to do.
WORKERS ?= 4

# What is covered is recorded here, and reported by `coverage` and `own-tests`, side by side.
COVERAGE = --cov --cov-report= --cov-fail-under=0

# Seconds after which the tests are ended; they take 370 to 450.
PYTEST_SECONDS ?= 2400

# The tests start hundreds of processes. Each would compile Twisted and wampush anew where the
# environment keeps Python from writing bytecode, as images for containers often do. What drives the
# browser is a program for node, which keeps nothing compiled by itself.
pytest: export PYTHONDONTWRITEBYTECODE =
pytest: export PYTHONPYCACHEPREFIX = $(CURDIR)/.cache/bytecode
pytest: export NODE_COMPILE_CACHE = $(CURDIR)/.cache/node
pytest: $(VENV)/.test $(NODE_MODULES) $(if $(PYTEST_ARGS),,.cache/collected)
	timeout --foreground --signal=INT --kill-after=60 $(PYTEST_SECONDS) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile \
		--no-loadscope-reorder --max-worker-restart=0 --durations=20 $(COVERAGE) $(PYTEST_ARGS)

# Each test process imports all tests. One compiles them for all, while mypy has the other core. It
# runs a test of texts by Hypothesis, which then keeps its table of all characters.
.cache/collected: $(VENV)/.test
	mkdir -p .cache
	$(BIN)/python -m pytest -qq -k "test_node_message and test_what_is_written_is_read" >$@.new || { cat $@.new; exit 1; }
	mv $@.new $@

# Both read what the last full run of pytest has recorded, each with one core for some seconds.
coverage: $(VENV)/.test
	$(BIN)/python -m coverage report

own-tests: $(VENV)/.test
	$(BIN)/python scripts/check_own_tests.py

EXAMPLES ?= 20000

fuzz: $(VENV)/.test
	$(BIN)/python -m fuzz --examples $(EXAMPLES)

# The tests of the extension in C, with it built for AddressSanitizer and UBSan. Python itself is not
# built for them, so their library comes first, and what Python keeps until its end is no leak.
SANITIZERS = -g -fsanitize=address,undefined -fno-sanitize-recover=all
sanitize: $(VENV)/.test
	LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc SPEEDUPS_CFLAGS="$(SANITIZERS)" \
		$(BIN)/python -m pytest -q tests/test_speedups.py tests/edges/zeromq/test_messages.py

# Some scenarios use the browser and the servers of the tests.
bench: $(VENV)/.test
	scripts/install_system_packages.sh bench
	$(BIN)/python -m bench $(SCENARIOS) $(BENCH_ARGS)

# The editable install comes last: what no lock names is removed before it.
INSTALL_PROJECT = scripts/uv.sh pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .

# Steps of the simulation of several nodes; SEED= begins with a certain one, otherwise with one that
# nobody has tried before.
STEPS ?= 5000000
SEED ?= $(shell date +%s)

simulate: $(VENV)/.test
	SIMULATION_STEPS=$(STEPS) SIMULATION_SEED=$(SEED) $(BIN)/python -m pytest tests/simulation -n auto --dist load --timeout 3600 --no-header -q

MINUTES ?= 60

soak: $(VENV)/.runtime
	scripts/install_system_packages.sh bench
	$(BIN)/python -m bench.soak --minutes $(MINUTES)

# With a C compiler, the extension is built next to its source.
INSTALLED_FROM = $(LOCKS) $(INSTALLER) pyproject.toml setup.py $(EXTENSION)

$(VENV)/.runtime: $(INSTALLED_FROM)
	scripts/install_locked.sh $(VENV) $(LOCKS)
	$(INSTALL_PROJECT)
	touch $@

# test.lock holds everything that $(LOCKS) hold.
$(VENV)/.test: $(INSTALLED_FROM) requirements/test.lock
	scripts/install_locked.sh $(VENV) requirements/test.lock
	$(INSTALL_PROJECT)
	touch $(VENV)/.runtime $@

lock:
	scripts/compile_locks.sh $(LOCK_ARGS)

# The browsers' side. Its build is part of the checkout, so that only who changes it needs node.
$(NODE_MODULES): client-js/package.json client-js/package-lock.json scripts/install_node_packages.py
	scripts/install_system_packages.sh node
	$(PYTHON) scripts/install_node_packages.py

client: $(NODE_MODULES) $(VENV)/.runtime
	cd client-js && node build.mjs --static ../static
	$(BIN)/python scripts/generate_reference.py

reference: $(VENV)/.runtime
	$(BIN)/python scripts/generate_reference.py

# The generator of the bill of materials has an environment of its own, and so has the wheel that is tried.
release: $(VENV)/.runtime requirements/release.lock
	scripts/install_locked.sh .cache/release requirements/release.lock
	$(BIN)/python scripts/build_release.py --sbom-tool .cache/release/bin/cyclonedx-py --check-in .cache/installed

clean:
	rm -rf $(VENV) .cache build dist wampush.egg-info wampush/_speedups.*.so
