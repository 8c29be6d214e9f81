"""Looking for records without reading all: what the tools that explain the past ask of a log."""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import islice, takewhile
from typing import Protocol, TypeAlias, TypeVar

import msgspec
from attrs import evolve, frozen

from events.catalog import Record
from events.ids import BEGINNING, BuildId, JobId, Position
from events.log import PAGE, Entry, Readable, Subject, concerns, read_all
from events.transitions import JOB

T = TypeVar("T")

# Records of these types are few, and tell what went on around all others: a log finds them at once.
NOTABLE = (
    "BuildCancelled",
    "BuildFailed",
    "BuildForgotten",
    "BuildStarted",
    "BuildSucceeded",
    "CoordinatorStalled",
    "CoordinatorStarted",
    "SourcesReady",
    "WorkerJoined",
    "WorkerLost",
)
# What changes the status of a job.
MOVING = tuple(sorted({cls.__name__ for row in JOB.values() for cls in row}))
LIMIT_MAX = 1 << 40

_encode = msgspec.json.Encoder().encode


@frozen(kw_only=True)
class Query:
    """Which records: those for which all of this holds; what is left out asks for nothing.

    `jobs`: the event is about one of these jobs, whatever the build; `text`: the record's text has this
    in it; positions lie beyond `after` and up to `upto`. Of the first `limit` records, or with
    `newest_first` of the last.
    """

    upto: Position
    after: Position = BEGINNING
    types: tuple[str, ...] = ()
    subject: Subject | None = None
    jobs: Collection[JobId] = ()
    text: str = ""
    newest_first: bool = False
    limit: int = LIMIT_MAX


# At this position an event of this type moved the job from one status to another. A plain tuple: there may
# be a million.
Move: TypeAlias = tuple[Position, str, JobId]


class Searchable(Readable, Protocol):
    """A log in which one can look for something."""

    def search(self, query: Query) -> list[Record]:
        """The records, in the order asked for."""
        ...

    def texts(self, query: Query) -> list[str]:
        """The texts of the records, in today's format, for whoever needs little of each of very many."""
        ...

    def moves(self, build: BuildId, upto: Position) -> list[Move]:
        """Every change of a status of the build's jobs up to a position, in order."""
        ...


class Scanned:
    """Any log as a `Searchable`, by reading all of it."""

    def __init__(self, log: Readable) -> None:
        self._log = log
        self.read, self.records, self.head = log.read, log.records, log.head

    def search(self, query: Query) -> list[Record]:
        return [entry.record for entry in self._find(query)]

    def texts(self, query: Query) -> list[str]:
        return [entry.line.decode() for entry in self._find(query)]

    def moves(self, build: BuildId, upto: Position) -> list[Move]:
        query = Query(upto=upto, types=MOVING, subject=Subject.build(build))
        return [move(record) for record in self.search(query)]

    def _find(self, query: Query) -> list[Entry]:
        all_ = read_all(self, query.after, query.subject)
        entries = takewhile(lambda entry: entry.record.position <= query.upto, all_)
        found = (entry for entry in entries if _fits(entry, query))
        if query.newest_first:
            return list(deque(found, query.limit))[::-1]
        return list(islice(found, query.limit))


def saying(field: str, value: str) -> str:
    """How the text of a record says that this field has this value; nothing else in it can look like that."""
    return f'"{field}":{_encode(value).decode()}'


def search_all(log: Searchable, query: Query) -> Iterator[Record]:
    """As `search`, oldest first, in pages, so that nobody needs memory for all."""
    assert not query.newest_first
    while page := log.search(evolve(query, limit=PAGE)):
        yield from page
        query = evolve(query, after=page[-1].position)


def divided(
    query: Query, split: Position, older: Callable[[Query], list[T]], newer: Callable[[Query], list[T]]
) -> list[T]:
    """What two find, of which one knows the records up to `split` and the other those beyond it."""
    parts = [
        (older, evolve(query, upto=min(query.upto, split))),
        (newer, evolve(query, after=max(query.after, split))),
    ]
    found: list[T] = []
    for search, part in reversed(parts) if query.newest_first else parts:
        if part.after < part.upto and len(found) < query.limit:
            found += search(evolve(part, limit=query.limit - len(found)))
    return found


def position_at(log: Searchable, seconds: float) -> Position:
    """The position of the last record that is not later than this, in seconds since 1970; 0 if all are."""
    low, high = 0, int(log.head())
    while low < high:
        middle = (low + high + 1) // 2
        if log.search(Query(upto=Position(middle), newest_first=True, limit=1))[0].at <= seconds:
            low = middle
        else:
            high = middle - 1
    return Position(low)


def _fits(entry: Entry, query: Query) -> bool:
    record = entry.record
    return (
        (not query.types or type(record.event).__name__ in query.types)
        and (query.subject is None or concerns(record, query.subject))
        and (not query.jobs or getattr(record.event, "job", None) in query.jobs)
        and query.text.encode() in entry.line
    )


def move(record: Record) -> Move:
    """What a record of one of the types `MOVING` did."""
    job: JobId = record.event.job  # type: ignore[union-attr]  # all that move a job name it
    return record.position, type(record.event).__name__, job
