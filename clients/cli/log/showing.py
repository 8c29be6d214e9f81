"""Records, stories and runs on stdout, as they are read: a log may be longer than memory."""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from attrs import asdict

from clients.cli import printing
from clients.cli.errors import SCHEMA_VERSION
from clients.cli.log import reading
from clients.cli.texts import duration, plain, short
from events.hindsight.runs import Run, runs
from events.hindsight.story import Told, Topic, tell
from events.ids import BEGINNING
from events.log import Entry, Subject, read_all, read_records
from events.sqlite import SqliteReader

COMMAND_CHARS_MAX = 120


def show(reader: SqliteReader, wanted: reading.Wanted, *, limit: int | None, as_json: bool) -> int:
    """The records themselves."""
    entries = islice(wanted.read(reader), limit)
    write(_with_version(entry.line) for entry in entries) if as_json else write(map(_record, entries))
    return 0


def story(reader: SqliteReader, topic: Topic, *, as_json: bool) -> int:
    """A sentence per record that touched the topic."""
    if topic.build is None or topic.job is not None:
        records = read_records(reader)
    else:
        records = reading.of_build(reader, topic.build)
    told = tell(records, topic)
    write(map(_told_json, told)) if as_json else write(_story(told))
    return 0


def what_ran(reader: SqliteReader, build: str, *, only: Sequence[str] = (), as_json: bool) -> int:
    """Runs of one build or of all; with `only`, those with such results."""
    subject = Subject.build(reading.find_build(reader, build)) if build else None
    found = runs(entry.record for entry in read_all(reader, BEGINNING, subject))
    wanted = (run for run in found if not only or run.result in only)
    count = write(map(_run_json, wanted)) if as_json else write(map(_run, wanted))
    if not count:
        printing.note("nothing failed" if only else "nothing ran")
    return 0


def write(lines: Iterable[str]) -> int:
    """Write the lines to stdout as they come; returns how many there were."""
    count = 0
    for count, line in enumerate(lines, start=1):  # noqa: B007  # it is what is returned
        sys.stdout.write(f"{line}\n")
    return count


def moment(at: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    try:
        when = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{at:g}"  # no calendar has such a time
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _with_version(text: bytes) -> str:
    return f'{{"schema_version":{SCHEMA_VERSION},{text[1:].decode()}'


def _record(entry: Entry) -> str:
    fields = json.loads(entry.line)
    position, at, kind = fields.pop("position"), fields.pop("at"), fields.pop("type")
    told = "  ".join(f"{name}={_value(value)}" for name, value in fields.items())
    return f"{position:>7}  {moment(at)}  {kind:<18} {told}".rstrip()


def _value(value: object) -> str:
    if isinstance(value, str):
        return plain(value) if value and " " not in value else json.dumps(plain(value), ensure_ascii=False)
    return plain(json.dumps(value, ensure_ascii=False))


def _story(told: Iterable[Told]) -> Iterator[str]:
    """Each sentence after its position, its time, and how long after the first it was."""
    began: float | None = None
    for each in told:
        began = each.at if began is None else began
        since = f"+{duration(each.at - began)}"
        yield f"{each.position:>7}  {moment(each.at)}  {since:>8}  {plain(each.text)}"


def _told_json(told: Told) -> str:
    return _json(position=told.position, at=told.at, time=moment(told.at), text=told.text)


def _run(run: Run) -> str:
    took = duration(run.ended_at - run.started_at) if run.ended_at is not None else ""
    again = f" (attempt {run.attempt})" if run.attempt > 1 else ""
    parts = [
        f"{run.position:>7}  {moment(run.started_at)}  {short(run.build)}  {took:>7}",
        f"{_outcome(run)}{again}",
        run.worker.removeprefix("http://"),
        run.name or short(run.job),
        _commands(run),
    ]
    return "  ".join(plain(part) for part in parts).rstrip()


def _outcome(run: Run) -> str:
    says_code = run.exit_code is None or run.exit_code < 0 or str(run.exit_code) in run.error
    why = "; ".join(filter(None, ("" if says_code else f"exit {run.exit_code}", run.error)))
    return f"{run.result}: {why}" if why and run.result != "succeeded" else run.result


def _commands(run: Run) -> str:
    """What was run, as a shell would have it; its beginning, where it is long."""
    text = " && ".join(shlex.join(command.exec) for command in run.commands if command.exec)
    return f"{text[:COMMAND_CHARS_MAX]}…" if len(text) > COMMAND_CHARS_MAX else text


def _run_json(run: Run) -> str:
    seconds = None if run.ended_at is None else round(run.ended_at - run.started_at, 6)
    return _json(**asdict(run), time=moment(run.started_at), seconds=seconds)


def _json(**fields: object) -> str:
    return json.dumps({"schema_version": SCHEMA_VERSION, **fields}, ensure_ascii=False)
