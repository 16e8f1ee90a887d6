# `make demo` and `make test` set up everything that they need in .venv.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

CONFIG ?= config/paper.yaml

.PHONY: help run demo test check docs bench mutants faults slurm reference verify \
	simulation-check clean

help:
	@echo "make demo        install, then run the whole pipeline on embedded digits, offline"
	@echo "make run CONFIG=file     run a configuration, or go on with it after any interruption;"
	@echo "                         OPTIONS=... of Snakemake, such as OPTIONS='--cores 8'"
	@echo "make test        install, then run the tests, on all cores"
	@echo "make check       style, types and the workflow's lint"
	@echo "make docs        the site of docs/, offline, in build/site"
	@echo "make bench       speed and memory"
	@echo "make mutants     which of the listed wrong changes of the code the tests miss, slow"
	@echo "make faults      kills, full disks, damaged files: does one call go on after each, slow"
	@echo "make slurm       does one call go on after each fault of a cluster: starts a Slurm of its own"
	@echo "make reference   rebuild the committed tables and figures from the committed scores"
	@echo "make verify      check the committed tables by recomputing them from the scores;"
	@echo "                         RUN=folder trains that committed run again and compares,"
	@echo "                         DATA=file.yaml says where its images are on this machine"
	@echo "make simulation-check    CURE_TSR=folder GTSRB=file: simulated beside real challenges"
	@echo "make clean       remove .venv, caches and the demo's results"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is \
	needed, this is " + sys.version.split()[0] + "; name one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,docs]"
	@touch $@

run: $(READY)
	@$(BIN)/python -m workflow.run $(CONFIG) $(OPTIONS)

demo: $(READY)
	$(BIN)/python -m workflow.run config/demo.yaml --quiet rules
	@echo
	@echo "The report, with everything in it:  results/demo/report/index.html"
	@echo "The main table:                     results/demo/tables/auroc-digits.md"
	@echo "Histograms of the losses:           results/demo/figures/histograms-digits.png"

# The tests of a file stay in one process, which makes what they share once. Not by `loadgroup`, which
# pytest-xdist 3.8 does not heed with pytest 9.2.
test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint --configfile config/demo.yaml

docs: $(READY)
	$(BIN)/python -m sphinx -c docs -b html -W --keep-going --quiet . build/site
	@echo "Open build/site/docs/index.html"

bench: $(READY)
	$(BIN)/python -m performance.bench

mutants: $(READY)
	$(BIN)/python -m tests.mutants

faults: $(READY)
	$(BIN)/python -m tests.faults

slurm: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,slurm]"
	$(BIN)/python -m tests.slurm

reference: $(READY)
	set -e; for file in results/reference/*/config.yaml; do \
	$(BIN)/python -m benchmark reanalyse --configfile $$file; done

verify: $(READY)
ifdef RUN
	@$(BIN)/python -m benchmark verify-run $(RUN) $(addprefix --configfile ,$(DATA))
else
	set -e; for file in results/reference/*/config.yaml; do \
	$(BIN)/python -m benchmark verify --configfile $$file; done
endif

simulation-check: $(READY)
	@test -n "$(CURE_TSR)" -a -n "$(GTSRB)" || { echo "name both data sets: make simulation-check \
	CURE_TSR=data/CURE-TSR GTSRB=gtsrb.npz (config/README.md)" >&2; exit 1; }
	$(BIN)/python -m tests.simulation_check "$(CURE_TSR)" "$(GTSRB)" results/simulation-check

clean:
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis .snakemake results/demo
	find . -name __pycache__ -not -path "./.git/*" -prune -exec rm -rf {} +
