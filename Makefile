# The commands of the project. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: help environment book test check lab notebook lock clean

# The first of these that is Python 3.11 or newer makes the environment; PYTHON=... overrides.
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,\
	$(if $(shell $(p) -c 'import sys; print(sys.version_info >= (3, 11) or "")' 2>/dev/null),$(p))))
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= quick
WORKERS ?= 2
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip
# What is tested of a finished build.
BUILT := tests/book/test_built.py tests/book/test_browser.py
BUILD := $(BIN)/python book/build.py --profile $(PROFILE) --workers $(WORKERS)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

environment: $(VENV)/installed  ## install everything into .venv (nothing where nothing changed)

# The stamp comes last, so that an interrupted set-up goes on at the next call.
$(VENV)/installed: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found. Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13), or say where it is: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python has no venv module. Install it (Debian, Ubuntu: apt install python3-venv), or name another Python: make PYTHON=/path/to/python"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Making the environment in $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "Installing the packages of requirements.txt: about 5 GB without CUDA, a few minutes, once"
	@$(PIP) install -r requirements.txt | sed '/already satisfied/d'
	@$(PIP) install --quiet --no-deps --editable .
	@$(PIP) check
	@touch $@

book: environment  ## run every notebook that changed, render the book into _build/html
	$(BUILD)

notebook: environment  ## run one notebook: make notebook N=02_1
	@test -n "$(N)" || { echo "Name a notebook: make notebook N=02_1"; exit 1; }
	$(BUILD) --notebook $(N)

check: environment  ## the quick checks: style, types, unit tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest companion tests $(BUILT:%=--ignore %) \
		--numprocesses $(WORKERS) --dist loadfile

test: check  ## every check: the quick ones, the notebooks with their claims, the pages in a browser
	$(BUILD)
	$(BIN)/python -m pytest $(BUILT) -rs

lab: environment  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

# UV_FIND_LINKS may name a folder with a CPU build of torch. CUDA libraries are not locked:
# each build of torch asks for its own.
lock: environment  ## resolve requirements.txt anew from pyproject.toml
	$(PIP) install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
		--no-annotate --no-header --quiet --output-file $(VENV)/resolved.txt
	{ echo "# The lock, made by 'make lock' from pyproject.toml; make, CI and environment.yml install it."; \
	  sed -E 's/^torch==([0-9.]+) ;.*/torch==\1/' $(VENV)/resolved.txt \
	  | grep -v -E "^(cuda-|nvidia-|triton=|torch==[0-9.]+\+)|and sys_platform == 'emscripten'"; } > requirements.txt

clean:  ## remove what was built (executed notebooks, pages); keeps .venv and downloaded data
	rm -rf _build
