# Everyday commands.  CI calls the same ones.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= auto
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
DEMO := runc uidmap mmdebstrap docker-registry xz-utils zstd ca-certificates python3-venv
SYSTEM := $(DEMO) bubblewrap busybox-static skopeo umoci buildah docker.io iproute2 git openssh-client openssh-server

.PHONY: venv system demo-system test lint format records explore demo bench docs clean

$(BIN)/oakum: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

venv: $(BIN)/oakum

# What tests, demo and benchmarks run besides oakum itself; nothing is started.
system: WANTED := $(SYSTEM)
demo-system: WANTED := $(DEMO)
system demo-system:
	@missing="$$(for p in $(WANTED); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null \
	| grep -q 'ok installed' || echo $$p; done)"; \
	if [ -n "$$missing" ]; then SUDO="$(SUDO)" .ci/install $$missing; fi

test: system venv
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What builder and build checks are compared with: made anew by a real BuildKit, in a root of its own.
records: system venv
	cd tests && ../$(BIN)/python -m builder.differential.make_records
	cd tests && ../$(BIN)/python -m support.check_cases

# Random builds by both until something differs: make explore EXPLORE="--minutes 60 --seed 1".
explore: system venv
	cd tests && ../$(BIN)/python -m builder.differential.explore $(EXPLORE)

demo: demo-system venv
	PYTHONPATH=tests $(BIN)/python demo/demo.py

bench: system venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks $(BENCH)

docs: venv
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
