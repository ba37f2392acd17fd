# Every target makes its own virtual environment: Python 3.11+, pip and make are all that is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Hundreds of processes that a suite starts would otherwise each compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check bench ci parts test-libraries test-torch test-real-kafka test-old-postgres test-unprivileged smoke clean

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "caldrift needs Python 3.11 or newer; set PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[embedded]" --group dev
	@touch $@

demo: $(READY)
	@exec $(BIN)/caldrift demo

# The suite starts many processes and waits for them: three of its own share it, each with servers of its own.
test: $(READY)
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m bench

# What only CI promises: a missing part is a failure there, not a skipped test. The suites mostly wait, so two at a time.
ci: export CI = true
ci: parts
	@echo "test-torch was skipped: with torch its environment takes 6 GB; run it by hand"
	$(MAKE) --jobs 2 --keep-going --output-sync=target test check test-real-kafka test-old-postgres test-libraries test-unprivileged

parts: $(READY)
	$(BIN)/python -m tests.real_kafka --fetch

# What depends on the broker, but not the suite's own mutants and the study's table: that comes from what arrived.
test-real-kafka: parts
	$(BIN)/python -m tests.real_kafka --run $(BIN)/python -m pytest -m broker --numprocesses 2 --dist worksteal \
	  --ignore tests/end_to_end/test_mutants.py --ignore tests/end_to_end/test_lifeeval.py

# Debian's Postgres, older than the embedded one. Of the same recount from three seeds it runs one.
OLD_POSTGRES ?= $(lastword $(sort $(wildcard /usr/lib/postgresql/*/bin)))
test-old-postgres: $(READY)
	@test -n "$(OLD_POSTGRES)" || { echo "CI promises an older Postgres: install Debian's postgresql" >&2; exit 1; }
	CALDRIFT_TEST_POSTGRES_BIN=$(OLD_POSTGRES) $(BIN)/python -m pytest tests/postgres \
	  -k "not (after_any_changes_and_jumps and (1 or 2))"

# Libraries of the field as oracles, some 700 MB in an environment of their own; most of their modules are never loaded.
LIBRARIES := .parts/libraries
$(LIBRARIES)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(LIBRARIES)
	$(LIBRARIES)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(LIBRARIES)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt \
	  --editable ".[embedded]" --group dev --group libraries
	@touch $@

test-libraries: $(LIBRARIES)/.ready
	$(LIBRARIES)/bin/python -m pytest -W ignore tests/libraries

# Libraries that need torch: 6 GB on Linux, as its wheel does not load without those for graphics cards. By hand only.
TORCH := .parts/torch
$(TORCH)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable ".[embedded]" --group dev --group torch
	@touch $@

test-torch: $(TORCH)/.ready
	$(TORCH)/bin/python -m pytest -W ignore tests/libraries

# What root may hide: the demo and an embedded service, run by an account without privileges from a copy of its own.
test-unprivileged: $(READY)
	$(BIN)/python -m tests.unprivileged make smoke

smoke: $(READY)
	$(BIN)/python -m pytest tests/demo tests/end_to_end/test_embedded_run.py -k "not (whatever_process_is_killed or stopped_and_started or slack_and_pagerduty or two_demos)"

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
