PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOWEST := .venv-lowest
# The tests start many processes, which would all compile the package where this is set to anything.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test docs lint types wheel lowest clean

demo: $(STAMP)  ## train digits_lt twice and compare
	rm -rf runs/demo
	for method in ce bcl; do for seed in 0 1 2; do \
	  $(BIN)/longtail fit --recipe digits_lt/$$method --seed $$seed --run runs/demo/$$method-seed$$seed || exit; \
	done; done
	$(BIN)/longtail report runs/demo/ce-seed0
	$(BIN)/longtail report runs/demo/bcl-seed0
	$(BIN)/longtail compare runs/demo/ce-seed* runs/demo/bcl-seed* --output runs/demo/compare.html

test: $(STAMP)
	$(BIN)/python -m pytest

docs: $(STAMP)  ## the site, in build/docs; a warning, such as a broken link, is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -d build/doctrees docs build/docs

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

wheel: $(STAMP)  ## build, install the wheel into an empty environment and use it there
	tests/wheel.sh $(BIN)/python

lowest:  ## the tests with the oldest versions that pyproject.toml allows
	rm -rf $(LOWEST)
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[dev]'
	$(LOWEST)/bin/python -m pytest

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(LOWEST) runs build dist
