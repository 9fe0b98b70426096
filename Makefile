PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test test-slow test-browser test-gpu test-onedl test-newest soak lint speed speed-gpu

install: .venv/installed

.venv/installed: setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[openmmlab,lite,weights,dev]'
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

# The suite on the maintained fork of OpenMMLab.
test-onedl: .venv-onedl/installed
	.venv-onedl/bin/python -m pytest -n 2 --dist loadfile

.venv-onedl/installed: setup.py constraints-onedl.txt
	$(PYTHON) -m venv .venv-onedl
	.venv-onedl/bin/pip install --quiet --constraint constraints-onedl.txt --editable '.[onedl,weights,dev]'
	touch $@

# The suite on the newest releases, e.g. make test-newest PYTHON=python3.13
test-newest:
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/pip install --quiet torch torchvision --editable '.[openmmlab,lite,weights,dev]'
	.venv-newest/bin/python -VV
	.venv-newest/bin/pip freeze | grep -iE '^(torch|torchvision|numpy|mm|scikit-learn|pytorch)'
	.venv-newest/bin/python -m pytest -n 2 --dist loadfile

soak: install
	$(BIN)/python -m pytest -m soak

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

speed: install
	for file in benchmarks/[!_]*.py; do $(BIN)/python $$file --results results/speed || exit 1; done
	$(BIN)/python benchmarks/_page.py

speed-gpu: install
	for file in triplet stage1_step metric_loss_step loading; do $(BIN)/python benchmarks/$$file.py --results results/speed || exit 1; done
	$(BIN)/python benchmarks/_page.py
