"""Results on stdout: text for people, JSON with its schema's version for programs."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from clients.cli.errors import SCHEMA_VERSION


def line(text: str) -> None:
    """One line of the result, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def lines(texts: Sequence[str]) -> None:
    for text in texts:
        line(text)


def note(text: str) -> None:
    """One line on stderr, for people."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def meanwhile(text: str) -> Iterator[None]:
    """Say at a terminal what keeps the user waiting, as long as it does."""
    if not (sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")):
        yield
        return
    sys.stderr.write(text)
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\r\x1b[J")
        sys.stderr.flush()


def as_json(value: Mapping[str, object]) -> None:
    """One JSON object on a line of its own."""
    line(json.dumps({"schema_version": SCHEMA_VERSION, **value}, ensure_ascii=False))
