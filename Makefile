.DEFAULT_GOAL := help
PYTHON_FILES = events coordinator workers clients tests
# Tests without processes and sockets of their own, or nearly so, and not for long.
QUICK = tests/test_*.py tests/events tests/clients/graphs tests/clients/test_*.py tests/coordinator/test_*.py \
	tests/workers/test_machine.py tests/workers/test_template.py tests/workers/test_heartbeat.py \
	$(addprefix --deselect=tests/,coordinator/test_archiving.py events/test_stateful.py events/hindsight/why/test_at_any_time.py)

# In two processes; tests/together.py says which tests stay in one.
PYTEST = .venv/bin/python -m pytest -n 2

# Node comes with the environment; its scripts look for it in the path.
NPM = PATH="$(CURDIR)/.venv/bin:$$PATH" npm --prefix clients/web --silent
WEB = $(shell git ls-files clients/web)

help:           ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 16

demo: .venv/.ready  ## a real build before your eyes, from nothing to a picture
	.venv/bin/terzetto demo

test: system lint  ## every test there is
	$(PYTEST)

check: lint     ## format, lint, types and the quick tests
	$(PYTEST) $(QUICK)

web: .venv/.ready     ## build the browser's view anew after a change
	$(NPM) run build

lint: .venv/.ready
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target types style page

types:
	.venv/bin/mypy

style:
	.venv/bin/ruff format --check $(PYTHON_FILES)
	.venv/bin/ruff check $(PYTHON_FILES)

page:           # the browser's view: types and tests, without a browser
	$(NPM) run check
	$(NPM) test

soak: system .venv/.ready    ## crash tests at length: every fault there is, 2 000 kills; an hour or so
	.venv/bin/python -m pytest --soak tests/crash

SEEDS = 2000
sim: .venv/.ready  ## SEEDS=2000 simulated farms under faults, on two processes
	.venv/bin/python -m tests.simulation --seeds 0-$$(($(SEEDS) - 1)) --sometimes

mutants: system .venv/.ready  ## take each promise away: does a test miss it?
	.venv/bin/python -m tests.mutants

bench: .venv/.ready  ## measurements, one JSON object a line
	.venv/bin/python -m tests.bench

system:         # what the tests need from the system
	.ci/packages gcc libc6-dev make curl openssl strace faketime chromium-headless-shell fonts-dejavu-core rabbitmq-server \
		podman runc iptables busybox-static

.venv/.ready: pyproject.toml uv.lock .ci/bootstrap $(WEB)
	.ci/bootstrap

clean:          ## forget everything that can be made again
	rm -rf .venv .tools .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-data demo-out clients/web/dist clients/web/node_modules

.PHONY: help demo test check web lint types style page sim soak mutants bench system clean
