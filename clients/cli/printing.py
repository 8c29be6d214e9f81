"""Results on stdout: text for people, JSON with its schema's version for programs."""

import json
import sys
from collections.abc import Mapping, Sequence

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


def as_json(value: Mapping[str, object]) -> None:
    """One JSON object on a line of its own."""
    line(json.dumps({"schema_version": SCHEMA_VERSION, **value}, ensure_ascii=False))
