"""Is a log whole, and does it make sense: each record in its place, unaltered, a consequence of the last?"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from attrs import frozen

from events import snapshot
from events.catalog import Record
from events.digest import digest
from events.files import beside
from events.fold import fold
from events.ids import BEGINNING, Position
from events.log import GENESIS, PAGE, CorruptLog, Entry, LogFromTheFuture, subjects, verified
from events.restore import DIRECTORY, Warn, checked
from events.snapshot import BadSnapshot
from events.sqlite import SqliteReader
from events.state import State
from events.validate import Inconsistent, validate

# What folding a record raises that does not follow from what is before it.
NONSENSE = (AssertionError, LookupError, AttributeError, TypeError, ValueError)


@frozen(kw_only=True)
class Audit:
    """A log that is whole: so many `records`, the last chain hash, and what they add up to."""

    records: int
    chain: bytes
    state: State


def audit_file(reader: SqliteReader, warn: Warn = lambda _path, _why: None) -> Audit:
    """Check the log up to its present end, and the file that it is in; raises `CorruptLog`.

    So are the snapshots beside it; `warn` hears of those that would not be used.
    """
    result = audit(read_singly(reader), _snapshots(reader, warn))
    reader.check_file()
    return result


def audit(entries: Iterable[Entry], snapshots: Mapping[Position, str] = MappingProxyType({})) -> Audit:
    """Check a log from its first record on; raises `CorruptLog` that names the first bad record.

    The last record has to be the last of a command, as it is in every log that a coordinator wrote.
    `snapshots`: the digest that State is said to have at these positions.
    """
    state, last = State(), GENESIS
    for entry in in_time(verified(entries)):
        fold_entry(state, entry)
        last = entry.chain
        if state.position in snapshots and snapshots[state.position] != digest(state):
            raise CorruptLog(f"the snapshot of position {state.position} is wrong: delete it")
    try:
        validate(state)
    except Inconsistent as error:
        raise CorruptLog(f"up to record {state.position} the log contradicts itself: {error}") from error
    return Audit(records=state.position, chain=last, state=state)


def fold_entry(state: State, entry: Entry) -> None:
    """As `fold_record`."""
    fold_record(state, entry.record)


def fold_record(state: State, record: Record) -> None:
    """Let a record that nobody vouches for have its effect; raises `CorruptLog` if it cannot."""
    try:
        fold(state, record)
    except NONSENSE as error:
        what = f"{type(error).__name__}: {error}"
        raise CorruptLog(f"record {record.position} cannot follow: {what}") from error


def in_time(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries, as long as no time is before the one before."""
    at = float("-inf")
    for entry in entries:
        if not entry.record.at >= at:
            raise CorruptLog(f"record {entry.record.position} is earlier than the one before it")
        at = entry.record.at
        yield entry


def _snapshots(reader: SqliteReader, warn: Warn) -> dict[Position, str]:
    """The digests of those that are said to be of this log."""
    digests = {}
    for path in snapshot.found(beside(reader.path, DIRECTORY)):
        try:
            state = checked(reader, path)
            digests[state.position] = digest(state)
        except BadSnapshot as error:
            warn(path, str(error))
    return digests


def read_singly(reader: SqliteReader) -> Iterator[Entry]:
    """The records up to the present end, all that stand before a bad one too; raises `CorruptLog`."""
    after, end, limit = BEGINNING, reader.head(), PAGE
    while after < end:
        try:
            page = reader.read(after, None, limit)
        except (LogFromTheFuture, CorruptLog) as error:
            if limit > 1:
                limit = 1  # the bad record keeps us from the good ones of its page
                continue
            if isinstance(error, LogFromTheFuture):
                raise
            raise CorruptLog(f"record {after + 1} is unreadable: {error}") from error
        if not page:
            raise CorruptLog(f"record {after + 1} is missing, and so are all up to {end}")
        yield from _found_rightly(reader, page, after)
        after = page[-1].record.position


def _found_rightly(reader: SqliteReader, page: list[Entry], after: Position) -> Iterator[Entry]:
    """Readers of one build or worker rely on what the table has, of archived records too."""
    rows, archived = reader.rows(after, page[-1].record.position), reader.meta().archived
    for entry in page:
        yield entry  # whoever takes it checks it first
        position, row = entry.record.position, rows.get(entry.record.position)
        if row is None:
            if position > archived:
                raise CorruptLog(f"record {position} is missing")
        elif (row.build, row.worker) != subjects(entry.record):
            raise CorruptLog(f"record {position} was altered: it is not found by its subject")
        elif (row.text.encode(), row.chain) != (entry.text, entry.chain):
            raise CorruptLog(f"record {position} is not the same in the table and in the archive")
