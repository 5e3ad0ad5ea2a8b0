# Thin on purpose: every target calls the `batik` command or a standard tool. `make` alone prints help.

PYTHON ?= python3
STUDY  ?= bali-betawi-celup
PHOTOS ?= 1
DATA   ?=
DASK   ?=
FULL   ?=
JOBS   ?=
SHARD  ?=
PRECISION ?=

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
RUNS  := $(if $(DATA),--data "$(DATA)") $(if $(FULL),--full) $(if $(DASK),--dask "$(DASK)") $(if $(JOBS),--jobs $(JOBS)) \
	$(if $(PRECISION),--precision $(PRECISION))

export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help report plan run audit test bench lab lint lock clean

help: ## Print this help
	@echo "Usage: make TARGET [NAME=value ...]"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)$$/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z]*\):.*## \(.*\)$$/  \1	\2/p' $(MAKEFILE_LIST)
	@echo
	@echo "Studies:"; ls studies | sed -n 's/\.yaml$$//; s/^/  /p'

report: $(READY) ## Build a study's HTML and PDF: STUDY=… DATA=folder PHOTOS=0 FULL=1 DASK=tcp://… JOBS=n PRECISION=bfloat16
	@$(BIN)/batik report "$(STUDY)" $(RUNS) $(if $(filter 0,$(PHOTOS)),--no-photos)

plan: $(READY) ## List the fits that are done, missing or stale, and why: STUDY=…
	@$(BIN)/batik plan "$(STUDY)" $(if $(DATA),--data "$(DATA)") $(if $(FULL),--full) \
	  $(if $(PRECISION),--precision $(PRECISION))

run: $(READY) ## Do the missing fits, without a report: STUDY=… SHARD=1/4
	@$(BIN)/batik run "$(STUDY)" $(RUNS) $(if $(SHARD),--shard $(SHARD))

audit: $(READY) ## List what is odd about the photographs: duplicates, altered files, files that are not images
	@$(BIN)/batik audit "$(STUDY)" $(if $(DATA),--data "$(DATA)")

test: $(READY) ## Run the tests (one of them builds a tiny report)
	@$(BIN)/python -m pytest

bench: $(READY) ## Measure the seeds' way against ours, in one run
	@$(BIN)/python -m benchmarks "$(STUDY)"

lab: $(READY) ## Open the notebooks in JupyterLab, kernel ready
	@$(BIN)/jupyter lab --notebook-dir=notebooks

lint: $(READY) ## Check style
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

lock: $(READY) ## Make requirements.txt anew from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.txt

clean: ## Remove the environment and every cache (reports stay)
	rm -rf $(VENV) .batik .pytest_cache .ruff_cache batik_utils.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.txt pyproject.toml batik_utils/bootstrap.py
	@$(PYTHON) batik_utils/bootstrap.py $(VENV)
