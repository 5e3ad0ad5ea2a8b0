# Thin on purpose: every target calls the `batik` command or a standard tool. `make` alone prints help.

PYTHON ?= python3
STUDY  ?= bali-betawi-celup
NAME   ?=
DATA   ?=
SET    ?=
DASK   ?=
JOBS   ?=
SHARD  ?=

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
WITH  := $(if $(DATA),--data "$(DATA)") $(foreach setting,$(SET),--set "$(setting)")
FITS  := $(WITH) $(if $(DASK),--dask "$(DASK)") $(if $(JOBS),--jobs $(JOBS))
LOCK  := $(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --quiet

PIP   := $(BIN)/python -m pip --disable-pip-version-check --quiet
# What pip is configured with, in uv's words, so that one mirror serves both.
INDEX  = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(PIP) config get global.index-url 2>/dev/null)}}" \
	SSL_CERT_FILE="$${SSL_CERT_FILE:-$$PIP_CERT}"

export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help report paper app plan run audit sources new watch test bench lab lint lock clean

help: ## Print this help
	@echo "Usage: make TARGET [NAME=value ...]"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)$$/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z]*\):.*## \(.*\)$$/  \1	\2/p' $(MAKEFILE_LIST)
	@echo
	@echo "Studies:"; ls studies | sed -n '/^motifs\./d; s/\.yaml$$//p' | sed 's/^/  /'

report: $(READY) ## Build a study's HTML and PDF: STUDY=… DATA=folder SET="models.scratch.epochs=10" DASK=tcp://… JOBS=n
	@$(BIN)/batik report "$(STUDY)" $(FITS)

paper: $(READY) ## Make the paper anew from the studies' numbers: reports/paper/
	@$(BIN)/batik paper

app: $(READY) ## Build a study's classifier as one HTML file, and open it: STUDY=…
	@$(BIN)/batik app "$(STUDY)"

plan: $(READY) ## Count the fits that are done, missing or stale, and say why: STUDY=…
	@$(BIN)/batik plan "$(STUDY)" $(WITH)

run: $(READY) ## Do the missing fits, without a report: STUDY=… SHARD=1/4
	@$(BIN)/batik run "$(STUDY)" $(FITS) $(if $(SHARD),--shard $(SHARD))

audit: $(READY) ## List what is odd about the photographs: duplicates, altered files, files that are not images
	@$(BIN)/batik audit "$(STUDY)" $(if $(DATA),--data "$(DATA)")

sources: $(READY) ## Propose which photographs come from one vendor, camera or website, with contact sheets: STUDY=…
	@$(BIN)/batik sources "$(STUDY)" $(if $(DATA),--data "$(DATA)")

new: $(READY) ## Write a study of your own pictures, one folder per class: NAME=my-cloth DATA=folder
	@$(BIN)/batik new "$(NAME)" "$(DATA)"

watch: $(READY) ## Build a report again whenever a notebook, code or a study is saved: STUDY=…
	@$(BIN)/watchfiles --target-type command '$(BIN)/batik report "$(STUDY)" $(WITH)' batik_utils notebooks studies $(DATA)

test: $(READY) ## Run the tests (one of them builds a tiny report)
	@$(BIN)/python -m pytest

bench: $(READY) ## Measure the seeds' way, plain Keras and ours, in one run
	@$(BIN)/python -m benchmarks "$(STUDY)"

lab: $(VENV)/.lab ## Open the notebooks in JupyterLab, kernel ready
	@$(BIN)/jupyter lab --notebook-dir=notebooks

lint: $(READY) ## Check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

lock: $(READY) ## Make both requirements files anew from pyproject.toml
	@$(LOCK) --output-file requirements.txt
	@$(LOCK) --extra lab --constraints requirements.txt --output-file requirements-lab.txt

clean: ## Remove the environment and every cache (reports stay)
	rm -rf $(VENV) .batik .pytest_cache .ruff_cache .mypy_cache batik_utils.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " \
	  + sys.version.split()[0] + ". Try: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV) (once; a few hundred megabytes) …"
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null \
	  || { echo "Python's venv module is not complete; on Debian and Ubuntu: apt install python3-venv." >&2; exit 1; }
	@sed -n '/^uv==/,/^[^ ]/{/^uv==/p;/^ /p;}' requirements.txt >$(VENV)/uv.txt
	-@$(PIP) install --require-hashes --no-deps --requirement $(VENV)/uv.txt
	$(call install,requirements.txt)

$(VENV)/.lab: $(READY) requirements-lab.txt
	$(call install,requirements-lab.txt)

# The packages of a lock file, each checked by its hashes: by uv in seconds or, where it cannot be used, by pip; and the
# project itself, without network.
define install
@$(INDEX) $(BIN)/python -m uv pip sync --python $(BIN)/python --quiet --require-hashes --compile-bytecode $(1) \
  || { echo "uv could not install the locked packages; trying pip …"; $(PIP) install --require-hashes -r $(1); } \
  || { echo "The locked packages could not be installed: is a package index within reach?" >&2; exit 1; }
@said=$$($(PIP) install --no-deps --no-build-isolation --no-index --editable . 2>&1) \
  || { echo "The project itself could not be installed: $$said" >&2; exit 1; }
@touch $@
endef
