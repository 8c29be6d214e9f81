"""A log as a trace file, written as it is read."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from clients.cli import printing
from clients.cli.errors import SCHEMA_VERSION
from clients.cli.log import reading
from clients.cli.texts import count, plain
from events.catalog import Record
from events.hindsight.trace import trace
from events.log import read_records
from events.sqlite import SqliteReader


def write(reader: SqliteReader, build: str, output: Path | None) -> int:
    """All builds, or one; to stdout if no file is named."""
    id_ = reading.find_build(reader, build) if build else None
    records = read_records(reader) if id_ is None else reading.of_build(reader, id_)
    with _opened(output) as file:
        events = _write(file, records)
    if output is not None:
        fix = "open it in https://ui.perfetto.dev or chrome://tracing"
        printing.note(f"{plain(str(output))}: {count(events, 'trace event')}; {fix}")
    return 0


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    with output.open("w", encoding="utf-8") as file:
        yield file


def _write(file: TextIO, records: Iterator[Record]) -> int:
    """One event to a line, so that a trace can be looked through with other tools, too."""
    number = 0
    head = {"schema_version": SCHEMA_VERSION, "displayTimeUnit": "ms"}
    file.write(json.dumps(head)[:-1] + ', "traceEvents": [')
    for number, event in enumerate(trace(records), start=1):
        file.write(f"{',' if number > 1 else ''}\n{json.dumps(event, ensure_ascii=False)}")
    file.write("\n]}\n")
    return number
