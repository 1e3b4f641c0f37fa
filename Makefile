PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test docs lint types clean

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

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs build dist
