PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test test-slow test-browser test-gpu soak lint bench

install: .venv/installed

.venv/installed: setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[lite,dev]'
	touch $@

demo: install
	$(BIN)/python tools/demo.py

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: install
	$(BIN)/python -m pytest -m slow

test-browser: install
	$(BIN)/python -m pytest -m browser

test-gpu: install
	$(BIN)/python -m pytest -m gpu

soak: install
	$(BIN)/python -m pytest -m soak

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: install
	for file in benchmarks/[!_]*.py; do $(BIN)/python $$file || exit 1; done
