# litlab's everyday commands; `make` alone lists them. Each sets up .venv first, where that is not done yet.
#
# Variables, given behind the target as in `make train ARGS="data=mnist model=mlp trainer.max_epochs=3"`:
#   ARGS            what train.py, or pytest, gets on its command line
#   NAME, KIND      of make new: the name; model (the default) or data
#   EXTRAS          what else to install, as in `make setup EXTRAS=joblib,ray`: joblib, submitit, ray (where the jobs of a
#                   sweep run), optuna (a search that learns), export (ONNX), excel (tables), mlflow, wandb (loggers),
#                   or all; what was installed before stays
#   PYTHON          the Python to make .venv from: the first of these that is new enough
#   TORCH_BACKEND   cpu: PyTorch's CPU build, far smaller than the default one (or any --torch-backend of uv)
#   PORT            of make dashboard
#   TORCH_INDEX     the address of PyTorch's CPU wheel index, as shown on PyTorch's install page; pip needs it for
#                   TORCH_BACKEND=cpu, uv does not

EXTRAS ?=
PYTHON ?= python3 python3.13 python3.12 python3.11
TORCH_BACKEND ?=
TORCH_INDEX ?=
PORT ?= 6006

VENV := .venv
BIN := $(VENV)/bin
# Written when a set-up has come to its end, with the extras that it has; older than these two files, without one of
# $(EXTRAS), or absent: the environment is set up again.
STAMP := $(VENV)/.litlab-ready
comma := ,
INSTALLED := $(shell cat $(STAMP) 2>/dev/null)
WANTED := $(sort $(INSTALLED) $(subst $(comma), ,$(EXTRAS)))
UV := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup train new dashboard test lint format clean more

help: ## list these targets
	@echo "usage: make TARGET [ARGS=...]"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | while IFS='|' read -r name text; do \
	    printf '  %-11s %s\n' "$$name" "$$text"; done

setup: $(STAMP) ## make .venv with litlab and the tested versions of all it needs
	@$(BIN)/python -c 'from importlib.metadata import version as v; \
	print("$(VENV) is ready: litlab", v("litlab"), "with torch", v("torch") + ". Remove $(VENV) to choose another torch.")'

train: ARGS ?= data=fashion model=mlp
train: $(STAMP) ## train, by default data=fashion model=mlp: make train ARGS="data=mnist model=mlp"
	@$(BIN)/python scripts/train.py $(ARGS)

new: KIND ?= model
new: $(STAMP) ## begin a model of your own, or KIND=data, with its YAML and a test: make new NAME=mymodel
	@$(BIN)/python scripts/new.py '$(KIND)' '$(NAME)'

dashboard: $(STAMP) ## show all runs in TensorBoard, to this machine alone: http://127.0.0.1:6006, or make dashboard PORT=6007
	@$(BIN)/tensorboard --host 127.0.0.1 --port $(PORT) --logdir logs

test: $(STAMP) ## run the fast tests; the slow ones: make test ARGS="-m slow"
	@$(BIN)/pytest $(ARGS)

lint: $(STAMP) ## check style, format, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## put all Python files in the one format, and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove caches; runs in logs, data and .venv stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
	find src scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- The set-up: with uv where it is on PATH, else with pip. All modules are compiled to byte code at once, also where
# PYTHONDONTWRITEBYTECODE is set: without it every start of torch and lightning would take 24 seconds instead of 7.

ifneq ($(UV),)
INSTALL = uv pip install --quiet --python $(BIN)/python --compile-bytecode -c constraints.txt
INSTALL += $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND))
INSTALL += $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX) --index-strategy unsafe-best-match)
else
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check --compile -c constraints.txt
INSTALL += $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
endif

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null

$(STAMP): pyproject.toml constraints.txt $(if $(filter-out $(INSTALLED),$(WANTED)),more)
	@for extra in $(WANTED); do grep -q "^$$extra = " pyproject.toml || \
	    { echo "EXTRAS: there is no $$extra; choose from joblib, submitit, ray, optuna, export, excel, mlflow, wandb, all" >&2; exit 1; }; done
ifeq ($(UV)$(TORCH_INDEX),)
	@[ -z "$(TORCH_BACKEND)" ] || { echo "TORCH_BACKEND=$(TORCH_BACKEND) needs uv, or for pip TORCH_INDEX=ADDRESS," \
	    "the wheel index shown on PyTorch's install page" >&2; exit 1; }
endif
	@$(BIN)/python $(NEW_ENOUGH) || { $(create_venv); }
	@echo "Setting up $(VENV) with $(if $(UV),uv,pip), once: PyTorch is large, this takes a few minutes ..."
ifeq ($(UV),)
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(BIN)/python -m ensurepip >/dev/null
endif
	@$(INSTALL) -e '.[$(subst $() ,$(comma),$(strip dev $(WANTED)))]'
	@echo '$(WANTED)' > $@

# Makes .venv from the first of $(PYTHON) that is new enough; uv brings a Python where there is none.
define create_venv
found=; seen=; \
	for python in $(PYTHON); do \
	    version=$$($$python -c 'import platform; print(platform.python_version())' 2>/dev/null) || version=missing; \
	    seen="$$seen, $$python is $$version"; \
	    if $$python $(NEW_ENOUGH); then found=$$python; break; fi; \
	done; \
	if [ -n "$(UV)" ]; then \
	    rm -rf $(VENV) && uv venv --quiet --python "$${found:->=3.11}" $(VENV); \
	elif [ -z "$$found" ]; then \
	    echo "litlab needs Python 3.11 or newer$$seen; name one: make setup PYTHON=/path/to/python3.11" >&2; exit 1; \
	elif ! $$found -c 'import venv, ensurepip' 2>/dev/null; then \
	    echo "$$found has no venv module: install it (Debian, Ubuntu: package python3-venv), or install uv" >&2; exit 1; \
	else \
	    rm -rf $(VENV) && $$found -m venv $(VENV); \
	fi
endef
