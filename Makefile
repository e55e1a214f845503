# Two commands do everything on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
WORKERS ?= 3  # for two cores: tests wait for servers and timeouts a third of their time

.PHONY: demo test check docs install clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test,docs,figures,mongo,physics,torchsim]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/nextrung run workflows/demo.yaml

test: $(INSTALLED)
	$(THREADS) $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/numpydoc lint $$(git ls-files 'src/*.py' ':!src/nextrung/cli/')

docs: $(INSTALLED)
	$(THREADS) NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) runs site .mypy_cache .pytest_cache .ruff_cache
