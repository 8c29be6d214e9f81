.DEFAULT_GOAL := help
PYTHON_FILES = events coordinator workers clients tests

help:           ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 16

demo: .venv/.ready  ## a real build before your eyes, from nothing to a picture
	.venv/bin/terzetto demo

test: system check  ## every test there is
	.venv/bin/python -m pytest tests/e2e

check: .venv/.ready  ## format, lint, types and all tests that need no processes
	.venv/bin/ruff format --check $(PYTHON_FILES)
	.venv/bin/ruff check $(PYTHON_FILES)
	.venv/bin/mypy
	.venv/bin/python -m pytest --ignore tests/e2e

bench: .venv/.ready  ## measurements, one JSON object a line
	.venv/bin/python -m tests.bench

system:         # what the tests need from the system: a C compiler and the sources of a real C program
	.ci/packages gcc libc6-dev make

.venv/.ready: pyproject.toml uv.lock .ci/bootstrap
	.ci/bootstrap

clean:          ## forget everything that can be made again
	rm -rf .venv .tools .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-data demo-out

.PHONY: help demo test check bench system clean
