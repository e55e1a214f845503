# Two commands do everything on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
WORKERS ?= 3  # for two cores: tests wait for servers and timeouts a third of their time
# MACE needs another e3nn than SevenNet: a layer above $(VENV), in which it has its own.
MACE := .venv-mace

# The extra gpaw is compiled: where libxc or FFTW is missing, all else is installed.
comma := ,
GPAW := $(if $(and $(wildcard /usr/include/xc.h),$(wildcard /usr/include/fftw3.h)),$(comma)gpaw)
export GPAW_CONFIG ?= $(CURDIR)/.ci/gpaw_siteconfig

.PHONY: demo test test-mace check docs install clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test,docs,figures,mongo,physics,torchsim,sevennet,matgl$(GPAW)]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/nextrung run workflows/demo.yaml

test: test-mace $(INSTALLED)
	NEXTRUNG_FAMILIES=chgnet,sevennet,matgl,torchsim $(THREADS) $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

# What NEXTRUNG_FAMILIES names has to be installed; tests of the others skip.
test-mace: $(MACE)/.installed
	NEXTRUNG_FAMILIES=mace $(THREADS) $(MACE)/bin/python -m pytest --numprocesses 2 --dist loadfile tests/potentials/mace

$(MACE)/.installed: $(INSTALLED) constraints-mace.txt
	test -x $(MACE)/bin/python || $(BIN)/python -m venv $(MACE)
	echo "import site; site.addsitedir('$$(realpath $(VENV)/lib/python3*/site-packages)')" \
		> $$(echo $(MACE)/lib/python3*/site-packages)/layer.pth
	$(MACE)/bin/pip install --quiet --constraint constraints-mace.txt --editable '.[mace]'
	touch $@

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/numpydoc lint $$(git ls-files 'src/*.py' ':!src/nextrung/cli/')

docs: $(INSTALLED)
	$(THREADS) NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) $(MACE) runs site .mypy_cache .pytest_cache .ruff_cache
