# The commands of the README are `make quick`, `make repro` and `make test`; all start from Python 3.11, git and make alone.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help env data quick repro test lab demo live course class site slides offline-kit lint format profiles lock clean
.DEFAULT_GOAL := help

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/'

env: $(READY)  ## the environment in .venv, exactly as locked

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "error: Python 3.11 not found; install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test ! -L $(VENV) || { echo "error: $(VENV) is a link to another environment, which this would empty; remove the link, or 'touch $(READY)' to use it as it is" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --no-deps --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(READY)

data: $(READY)  ## the sample data, from the store inside the repository
	@$(BIN)/dvc status --quiet data.dvc || $(BIN)/dvc pull --quiet --remote store data || { echo "error: data/ cannot be brought up to date; 'dvc pull data' says why (new data of your own there? 'dvc add data')" >&2; exit 2; }

COMMA := ,
SUBSET = $(if $(METHODS),--methods "$(METHODS)") $(if $(CATEGORIES),--categories "$(CATEGORIES)")

quick: data  ## a first result in a few minutes: DFR on the nut, its table and its GIF; repro re-uses it
	@$(MAKE) --no-print-directory repro METHODS=dfr CATEGORIES=nut

repro: data  ## everything: environment, sample data, the whole pipeline side by side, and a comparison with git
	$(BIN)/python -m anomaly_lib fanout $(if $(PROFILE),--profile $(PROFILE)) $(if $(JOBS),--jobs $(JOBS)) $(SUBSET)
	@$(if $(strip $(SUBSET)),,$(BIN)/python -m anomaly_lib compare $(if $(PROFILE),--profile $(PROFILE)) || true)

# as fanout does for its stages: tensors take memory that the process has had, and not new pages from the system
test: export MALLOC_MMAP_THRESHOLD_ := 1073741824
test: export MALLOC_TRIM_THRESHOLD_ := 1073741824
test: data  ## lint and all tests
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/python -m mypy anomaly_lib
	$(BIN)/python -m pytest -n auto --dist loadfile --durations=12 $(TESTS)

lab: data  ## JupyterLab on the repository, at the first lesson
	@$(BIN)/jupyter labextension disable "@jupyterlab/apputils-extension:announcements" >/dev/null 2>&1  # asks to fetch news
	$(BIN)/python -m anomaly_tools.lab

demo: data  ## the demos as pages without code, for a projector; PROFILE=thorough shows that profile's models
	ANOMALY_DEMO_PROFILE=$(if $(PROFILE),profiles/$(PROFILE)/params.yaml) $(BIN)/python -m anomaly_course.widgets.serve

live: data  ## the three detectors in a browser, one folder without server or network: build/live; needs trained models
	$(BIN)/python -m anomaly_tools.live $(if $(PROFILE),--profile $(PROFILE)) $(if $(CATEGORIES),--categories $(subst $(COMMA), ,$(CATEGORIES)))

site: data  ## the rendered site in build/site/html, with the live page where 'make live' has run; lessons run once, a quarter of an hour
	$(BIN)/python -m anomaly_tools.site execute
	$(BIN)/python -m anomaly_tools.site build

slides: data  ## the lessons as slides in build/slides
	$(BIN)/python -m anomaly_tools.site execute
	$(BIN)/python -m anomaly_tools.site slides

offline-kit: $(READY)  ## one folder that installs on laptops without network, the live page with it: build/offline-kit, 3.3 GB
	$(BIN)/python -m anomaly_tools.offline_kit build/offline-kit

course: data  ## the lessons for a course in course/: student copies, and copies with solutions
	$(BIN)/python -m anomaly_tools.lesson_copies course

class: $(READY)  ## what a class has answered: counts of all files in FOLDER=...
	@test -n "$(FOLDER)" || { echo "error: name the folder with the class's files: make class FOLDER=answers" >&2; exit 2; }
	@$(BIN)/python -m anomaly_tools.class_answers "$(FOLDER)"

lint: $(READY)  ## what CI checks of style, types, imports and access
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/python -m mypy anomaly_lib
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m anomaly_tools.access

format: $(READY)  ## format code and notebooks, and strip the notebooks
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
	$(BIN)/python -m anomaly_lib.pipeline.nbstrip --in-place notebooks
	$(BIN)/python -m anomaly_lib.pipeline.nbstrip --in-place notebooks/demos
	$(BIN)/python -m anomaly_lib.pipeline.nbstrip --in-place notebooks/from_scratch

profiles:  ## copy dvc.yaml to all profiles, after a change of it
	for folder in profiles/*/; do cp dvc.yaml $$folder; done

lock: $(READY)  ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 pyproject.toml --extra suite --extra export --extra dev -o requirements.lock

clean:  ## remove the environment and all that the pipeline made; data/, DVC's cache and files in git stay
	rm -rf $(VENV) .pytest_cache .ruff_cache
	git clean -fdXq build reports
