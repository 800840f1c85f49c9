# make run   the main job: annotate DICOM files and drawn images, store the result, serve it
# make test  ruff, mypy and the whole test suite
# make test-postgresql  the tests of the service on PostgreSQL, which make test runs on SQLite
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= run
PORT ?= 8000
DATABASE := sqlite:///$(RUN)/bodysite.sqlite
# The DICOM files that come with pydicom; a few of them are damaged on purpose.
SAMPLES = $$($(BIN)/python -c "import pydicom.data as d; print(d.__path__[0] + '/test_files')")

.PHONY: run annotate test test-postgresql lint clients bench bench-terminology clean

run: annotate
	$(BIN)/bodysite serve --port $(PORT) --database $(DATABASE)

# The images in $(RUN)/demo are drawn: the repository carries none. One header contradicts its image.
annotate: $(VENV)/api.stamp
	mkdir -p $(RUN)/explained
	$(BIN)/python benchmarks/demo_images.py $(RUN)/demo
	@echo "Some of pydicom's files are damaged on purpose: each is named below, the others go on."
	$(BIN)/bodysite annotate $(RUN)/demo "$(SAMPLES)" --database $(DATABASE) --format csv \
	    --out $(RUN)/annotations.csv --review $(RUN)/review.csv || [ $$? -eq 1 ]
	$(BIN)/bodysite explain $(RUN)/demo/*.dcm $(RUN)/demo/hand.png --out $(RUN)/explained
	@echo "What was found in the drawn images (all: $(RUN)/annotations.csv, what to look at:" \
	    "$(RUN)/review.csv):"
	@grep -e ^file -e ^$(RUN)/demo/ $(RUN)/annotations.csv | cut -d, -f1,5,7,8,13,25

test: lint
	$(BIN)/pytest

test-postgresql: $(VENV)/dev.stamp
	BODYSITE_TEST_DATABASE=postgresql $(BIN)/pytest tests/api

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
	$(BIN)/pip install -q -c constraints.txt -e '.[api,pixels]'
	touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $(VENV)/api.stamp $@

clean:
	rm -rf $(VENV) $(RUN) *.egg-info .mypy_cache .pytest_cache .ruff_cache tests/clients/node_modules
