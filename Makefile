# make repro   set up, then rebuild the whole graph (only what is out of date)
# make test    set up, then `make check` and the tests
# make gpu     set up, then the tests that need a GPU
# make check   ruff, mypy, import-linter
# make clean   remove the environment, what the graph made, and scratch

PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null \
	&& echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
READY_TEST := $(VENV)/ready-test
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: repro test gpu check format clean

# dvc writes this file in place: killed in that instant, it refuses what is left of it for ever.
repro: $(READY)
	@python -m json.tool .dvc/tmp/rwlock >/dev/null 2>&1 || rm -f .dvc/tmp/rwlock
	dvc repro

test: check $(READY_TEST)
	python -m pytest $(TESTS)

gpu: $(READY)
	python -m pytest -m gpu $(TESTS)

check: $(READY)
	ruff check .
	ruff format --check .
	mypy
	lint-imports

format: $(READY)
	ruff check --fix .
	ruff format .

# The order matters: requirements/*.txt say why.
$(READY): $(filter-out %/4-tests.txt,$(wildcard requirements/*.txt)) pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed; name one: make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -r requirements/1-torch.txt
	$(BIN)/pip install -q -r requirements/2-packages.txt
	$(BIN)/pip install -q --no-deps -r requirements/3-no-deps.txt
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	touch $@

$(READY_TEST): $(READY) requirements/4-tests.txt
	$(BIN)/python -c 'import sys, torch; sys.exit(not torch.version.cuda)' \
	|| $(BIN)/pip install -q --no-deps -r requirements/4-tests.txt
	touch $@

clean:
	rm -rf $(VENV) scratch .dvc/cache .dvc/tmp
	git clean -qdfX data
