# The whole project from a fresh clone: `make demo` shows it, `make test` proves it.
# `make help` lists the targets. Nothing but Python 3.11 or later, make and (for the tests) a
# system Chromium is needed; everything else goes into .venv.

PYTHON ?= python3
# Where torch comes from. The default takes what pip's own index offers; set TORCH_INDEX to the
# index of another build (CPU only, or another CUDA), and TORCH to another version.
TORCH ?= torch==2.13.0
TORCH_INDEX ?=

BIN := .venv/bin
# What the demo needs, and what the tests need beside it.
DEMO_READY := .venv/.demo-ready
READY := .venv/.ready
MANAGE := $(BIN)/python manage.py
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
PINNED := --constraint .venv/constraints.txt

.DEFAULT_GOAL := help
# In the order that is written: what is missing is said before anything is installed.
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 18

# Every package has its version from requirements/constraints.txt, so pip has nothing to search for;
# torch and its CUDA packages have not where TORCH or TORCH_INDEX asks for another build.
# The pip of that file reads an index three times as fast as the one that comes with Python 3.11.
# --no-compile: Python compiles what is imported, which is a small part of what is installed.
$(DEMO_READY): requirements/base.txt requirements/demo.txt requirements/constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; name it with make PYTHON=..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
		|| { echo "No virtual environment could be made: install python3-venv." >&2; exit 2; }
	@echo "Installing into .venv (once) ..."
	@if [ -z "$(TORCH_INDEX)" ] && grep -qxF "$(TORCH)" requirements/constraints.txt; \
		then cat requirements/constraints.txt; \
		else grep -vE '^(torch|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==' requirements/constraints.txt; \
		fi > .venv/constraints.txt
	@$(INSTALL) $(PINNED) pip
	@$(if $(TORCH_INDEX),$(INSTALL) --index-url "$(TORCH_INDEX)" "$(TORCH)")
	@$(INSTALL) $(PINNED) "$(TORCH)" -r requirements/demo.txt
	@$(BIN)/python -c 'import torch; print("torch", torch.__version__, "CUDA", torch.version.cuda or "none")'
	@touch $@

$(READY): $(DEMO_READY) requirements/dev.txt
	@echo "Installing what the tests need (once) ..."
	@$(INSTALL) $(PINNED) -r requirements/dev.txt
	@touch $@

.PHONY: install
install: $(READY) ## make .venv with everything the project needs

.PHONY: demo
demo: $(DEMO_READY) ## the main job, shown (ONCE=1: end when all is tagged; JSON=1: summary as last line; NOTHING=1: without exemplars)
	@$(if $(NOTHING),MARKETPLACE_AI_DEMO_ROOT=.demo-nothing) $(MANAGE) demo $(if $(ONCE),--once) \
		$(if $(JSON),--json) $(if $(NOTHING),--nothing)

.PHONY: test
test: chromium $(READY) ## every test, on real PostgreSQL, Redis, Celery and Chromium
	@$(ONE_THREAD) $(BIN)/python -m pytest $(PARALLEL) $(LONG) $(filter-out $(LONG),$(wildcard tests/*/)) $(ARGS)

# Two processes, each with servers of its own; a module's tests stay together.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
# Each process has a core: threads of matrix products that wait for one another would spin on both.
ONE_THREAD := OMP_NUM_THREADS=1
# First, so that the two processes end at about the same time: single tests here take minutes.
LONG := tests/acceptance/ tests/faults/ tests/images/

QUICK := tests/unit tests/integration -m "not slow" -q

.PHONY: quick
quick: $(READY) ## the everyday loop: unit tests and light integration tests
	@$(ONE_THREAD) $(BIN)/python -m pytest $(PARALLEL) $(QUICK) $(ARGS)

.PHONY: coverage
coverage: $(READY) ## the lines and branches that `make quick` leaves out
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest $(PARALLEL) $(QUICK) $(ARGS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

.PHONY: gpu
gpu: $(READY) ## the tests that need a CUDA device (make .venv with torch's CUDA build)
	@$(BIN)/python -m pytest -m gpu tests/gpu $(ARGS)

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
		|| command -v google-chrome >/dev/null \
		|| { echo "The tests need a system Chromium: apt-get install chromium" >&2; exit 2; }

.PHONY: lint
lint: $(READY) ## format, types, walls between the rooms, agreement of the requirement lists
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.requirements

.PHONY: faults
FAULTS ?= long
faults: $(READY) ## fault and hostile tests in their long form (FAULTS=short; FAULTS_SEED=N replays choices)
	@FAULTS=$(FAULTS) $(BIN)/python -m pytest $(wildcard tests/faults tests/hostile) -rP $(ARGS)

.PHONY: bench
bench: $(READY) ## the benchmarks (BENCH_DATA=DIR: public sets; ONLY="text": rows with it in their name)
	@$(BIN)/python -m bench $(if $(ONLY),--only "$(ONLY)")

.PHONY: screenshots
screenshots: chromium $(READY) ## the pictures of the docs, from the running demo
	@$(MANAGE) screenshots

.PHONY: clean
clean: ## stop the demo's servers and delete .venv and all that the demo keeps
	@test ! -x $(BIN)/python || $(BIN)/python -m demo.services remove || true
	@rm -rf .venv .demo
