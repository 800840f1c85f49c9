# make run   the main job on real files: annotate, store, serve, print addresses to open
# make test  ruff, mypy and the whole test suite
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= run
PORT ?= 8000

.PHONY: run demo test lint bench clean

run: demo
	$(BIN)/bodysite serve --port $(PORT) --database sqlite:///$(RUN)/bodysite.sqlite

# What `make run` does before it serves: the DICOM files that come with pydicom go into the store.
demo: $(VENV)/api.stamp
	mkdir -p $(RUN)
	$(BIN)/python -m api.demo --database sqlite:///$(RUN)/bodysite.sqlite --port $(PORT)

test: $(VENV)/dev.stamp lint
	$(BIN)/pytest

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev.stamp
	$(BIN)/python benchmarks/service.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/api.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install -q -c constraints.txt -e '.[api]'
	touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/api.stamp

clean:
	rm -rf $(VENV) $(RUN) *.egg-info .mypy_cache .pytest_cache .ruff_cache
