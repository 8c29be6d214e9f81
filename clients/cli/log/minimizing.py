"""A log shrunk to what shows a fault, for a replay test."""

import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from clients.cli import exits, printing
from clients.cli.errors import usage
from clients.cli.exits import Exit, Failure
from clients.cli.log.replaying import stretch
from clients.cli.texts import count, plain
from events.catalog import Record
from events.codec import encode
from events.hindsight import minimize as shrinking
from events.hindsight.bisect import INVARIANTS, first_break
from events.hindsight.minimize import Fails
from events.hindsight.redact import Redaction
from events.ids import BEGINNING
from events.sqlite import SqliteReader


@frozen(kw_only=True)
class Wanted:
    """What is to be shown, either by an invariant or by a program, and where the result goes."""

    invariant: str
    program: str
    output: Path
    is_redacted: bool
    seconds: float


def check(wanted: Wanted) -> None:
    """Raises a usage error unless one fault is named, and the fixture can be made."""
    if bool(wanted.invariant) == bool(wanted.program):
        raise usage("a fault is shown in one way", fix="give either --invariant or --command")
    if wanted.invariant and wanted.invariant not in INVARIANTS:
        fix = f"there are {', '.join(INVARIANTS)}"
        raise usage(f"there is no invariant {plain(wanted.invariant)!r}", fix=fix)
    for path in (wanted.output, _text_of(wanted.output)):
        if path.exists():
            raise Failure(exits.BAD_FILE, f"{path} exists", fix="name a file that does not exist yet")


def minimize(reader: SqliteReader, wanted: Wanted, *, as_json: bool) -> int:
    """Find the fault, shrink, redact, and see that the result still shows it."""
    deadline = time.monotonic() + wanted.seconds
    records, fails = _begin(reader, wanted)
    before = reader.head()
    kept = shrinking.minimize(records, fails, lambda: time.monotonic() < deadline)
    if wanted.is_redacted:
        kept = list(Redaction().records(kept))
        if not (_fault(kept, wanted.invariant) if wanted.invariant else fails(kept)):
            raise Failure(
                exits.NOT_FOUND, "redacted, the records no longer show it", fix="leave out --redact"
            )
    shows = _sentence(kept, wanted)
    wanted.output.write_bytes(_lines(kept))
    _text_of(wanted.output).write_text(f"{shows}\n")
    if as_json:
        printing.as_json({"records": len(kept), "of": before, "fixture": str(wanted.output), "shows": shows})
    else:
        printing.lines([f"{count(len(kept), 'record')} of {before}: {wanted.output}", plain(shows)])
    return Exit.OK


def _begin(reader: SqliteReader, wanted: Wanted) -> tuple[list[Record], Fails]:
    """The records up to the fault, and what tells it; raises `Failure` if there is none."""
    if wanted.program:
        records = list(stretch(reader, BEGINNING, reader.head()))
        program = _Program(wanted.program, wanted.seconds)
        if not program.fails(records):
            raise Failure(exits.NOT_FOUND, "the command does not fail with the whole log")
        return records, program.fails
    found = first_break(stretch(reader, BEGINNING, reader.head()), wanted.invariant).found
    if found is None:
        raise Failure(exits.NOT_FOUND, f"{wanted.invariant} holds in the whole log")
    records = list(stretch(reader, BEGINNING, found.position))
    fault = _fault(records, wanted.invariant)
    assert fault is not None, "what breaks with a command is broken after it"
    return records, fault.is_shown


def _fault(records: Sequence[Record], invariant: str) -> shrinking.Fault | None:
    return shrinking.find(records, invariant)


def _sentence(records: Sequence[Record], wanted: Wanted) -> str:
    if wanted.program:
        shown = "a command" if wanted.is_redacted else f"`{wanted.program}`"
        return f"It makes {shown} fail."
    fault = _fault(records, wanted.invariant)
    assert fault is not None, "it was shown a moment ago"
    return f"It does not hold that {INVARIANTS[wanted.invariant]}: {fault.text}"


class _Program:
    """A shell command that is given a candidate's path; one that takes too long has not failed."""

    def __init__(self, command: str, seconds: float) -> None:
        self._command = command
        self._seconds = seconds

    def fails(self, records: Sequence[Record]) -> bool:
        with tempfile.TemporaryDirectory(prefix="terzetto-log-") as directory:
            path = Path(directory) / "candidate.jsonl"
            path.write_bytes(_lines(records))
            try:
                done = subprocess.run(  # noqa: S603  # it is what the user asks for
                    ["/bin/sh", "-c", f'{self._command} "$1"', "sh", str(path)],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                    timeout=self._seconds,
                )
            except subprocess.TimeoutExpired:
                return False
        return done.returncode != 0


def _lines(records: Sequence[Record]) -> bytes:
    return b"".join(encode(record) + b"\n" for record in records)


def _text_of(fixture: Path) -> Path:
    return fixture.with_suffix(".txt")
