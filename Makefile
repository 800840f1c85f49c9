# make run   the main job on real files: annotate them, store the result, serve it
# make test  ruff, mypy and the whole test suite
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= run
PORT ?= 8000
DATABASE := sqlite:///$(RUN)/bodysite.sqlite
# The DICOM files that come with pydicom; a few of them are damaged on purpose.
SAMPLES = $$($(BIN)/python -c "import pydicom.data as d; print(d.__path__[0] + '/test_files')")

.PHONY: run annotate test lint clients bench bench-terminology clean

run: annotate
	$(BIN)/bodysite serve --port $(PORT) --database $(DATABASE)

annotate: $(VENV)/api.stamp
	mkdir -p $(RUN)
	@echo "Some of pydicom's files are damaged on purpose: each is named below, the others go on."
	$(BIN)/bodysite annotate "$(SAMPLES)" --database $(DATABASE) \
	    --format csv --out $(RUN)/annotations.csv || [ $$? -eq 1 ]

test: lint
	$(BIN)/pytest

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The FHIR validators and clients from npm that the tests use where Node.js is there.
clients:
	cd tests/clients && npm install --no-audit --no-fund --no-package-lock --loglevel=error

bench: $(VENV)/dev.stamp
	$(BIN)/python benchmarks/service.py
	$(BIN)/python benchmarks/words.py
	$(BIN)/python benchmarks/pixels.py
	$(BIN)/python benchmarks/preprocess.py
	$(BIN)/python benchmarks/coherence.py
	$(BIN)/python benchmarks/training.py

# A synthetic release of the size of the International Edition, and the ontology libraries beside it.
bench-terminology: $(VENV)/dev.stamp
	$(BIN)/pip install -q -c constraints.txt -e '.[dev,bench]'
	$(BIN)/python benchmarks/releases/run.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/api.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install -q -c constraints.txt -e '.[api]'
	touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $(VENV)/api.stamp $@

clean:
	rm -rf $(VENV) $(RUN) *.egg-info .mypy_cache .pytest_cache .ruff_cache tests/clients/node_modules
