"""Logs checked, and turned into JSON lines and back."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from clients.cli import exits, printing
from clients.cli.exits import Failure
from clients.cli.log import reading
from clients.cli.texts import count
from events import segments
from events.hindsight.audit import audit_file
from events.ids import BEGINNING, Position
from events.log import PAGE, CorruptLog, Subject, read_all
from events.sqlite import SqliteLog, SqliteReader
from events.transfer import dump, is_chained, load, with_chain

STDIN = "-"
# No record is as long; what is, is no log.
LINE_BYTES_MAX = 64 << 20


def verify(reader: SqliteReader, *, as_json: bool) -> int:
    """Raises `CorruptLog` unless all is well."""
    found = audit_file(reader, lambda path, why: printing.note(f"{path} {why}; it is not used"))
    if as_json:
        printing.as_json({"ok": True, "records": found.records, "chain": found.chain.hex()})
    else:
        printing.line(f"ok: {count(found.records, 'record')}, chain {found.chain.hex()}")
    return 0


def export(reader: SqliteReader, build: str) -> int:
    """The records, or one build's, as lines of bytes: what a terminal's encoding is does not matter."""
    subject = Subject.build(reading.find_build(reader, build)) if build else None
    sys.stdout.flush()
    for entry in read_all(reader, BEGINNING, subject):
        sys.stdout.buffer.write(dump(entry) + b"\n")
    sys.stdout.buffer.flush()
    return 0


def import_(sources: Sequence[str], path: Path, *, as_json: bool) -> int:
    """A log at `path` of the lines; nothing is there if any of them is bad."""
    records, are_chained = copied(sources, path)
    if not are_chained:
        printing.note("the lines carry no chain hashes: what was altered before was not found")
    if as_json:
        printing.as_json({"records": records, "log": str(path), "chained": are_chained})
    else:
        printing.line(f"imported {count(records, 'record')} into {path}")
    return 0


def copied(sources: Sequence[str], path: Path) -> tuple[Position, bool]:
    """Make a log at `path` of the lines; returns its head, and whether they carry chain hashes.

    Raises `Failure`; nothing is there then.
    """
    if path.exists():
        raise Failure(exits.BAD_FILE, f"{path} exists", fix="name a log that does not exist yet")
    with _made(path) as log:
        try:
            are_chained = _store(chain.from_iterable(map(_lines_of, sources)), log)
        except CorruptLog as error:
            fix = "export all of the log again; nothing was imported"
            raise Failure(exits.CORRUPT_LOG, f"{' '.join(sources)}: {error}", fix=fix) from error
        return log.head(), are_chained


@contextlib.contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    if source == STDIN:
        yield sys.stdin.buffer
        return
    with Path(source).open("rb") as file:
        yield file


@contextlib.contextmanager
def _made(path: Path) -> Iterator[SqliteLog]:
    """A new log beside `path` that takes its place when it is complete."""
    draft = path.with_name(f"{path.name}.import-{os.getpid()}")
    try:
        with contextlib.closing(SqliteLog(draft)) as log:
            yield log
        os.link(draft, path)  # unlike a rename, this replaces nothing that came in the meantime
    finally:
        for suffix in ("", ".lock", "-wal", "-shm"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _lines_of(source: str) -> Iterator[bytes]:
    """The lines of an export, or of what a segment of the archive stands for."""
    with _opened(source) as file:
        if source != STDIN and segments.is_segment(file.peek(2)):  # type: ignore[attr-defined]  # it is buffered
            yield from (with_chain(text, hash_) for text, hash_ in segments.read(Path(source)))
        else:
            yield from _lines(file)


def _store(lines: Iterator[bytes], log: SqliteLog) -> bool:
    """Append all lines, a page at a time; returns whether they carry chain hashes."""
    first = next(lines, None)
    if first is None:
        raise CorruptLog("there is no record in it")
    batch = []
    for entry in load(chain((first,), lines)):
        batch.append(entry)
        if len(batch) == PAGE:
            log.copy(batch)
            batch = []
    log.copy(batch)
    return is_chained(first)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    number = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise CorruptLog(f"record {number} is none: its line is longer than {LINE_BYTES_MAX} bytes")
        yield line.removesuffix(b"\n")
