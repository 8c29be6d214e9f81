"""The Log: facts in order, each at a position; synchronous, since the shell runs it in a thread."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple, Protocol

from attrs import define

from events import codec
from events.catalog import CoordinatorStarted, Record
from events.codec import decode, encode, read_head, unknown_fields
from events.ids import BEGINNING, BuildId, Position, WorkerId

GENESIS = bytes(32)
PAGE = 2000


class Subject(NamedTuple):
    """What a record is about, for readers who want only that."""

    kind: str  # "build" or "worker"
    id: str

    @classmethod
    def build(cls, build: BuildId) -> "Subject":
        return cls("build", build)

    @classmethod
    def worker(cls, worker: WorkerId) -> "Subject":
        return cls("worker", worker)


class Entry(NamedTuple):
    """A record as it is stored: `text` as in `events.codec`, `chain` covers it and all before it.

    `is_old`: it is written in an older format; the record is what that means today.
    """

    record: Record
    text: bytes
    chain: bytes
    is_old: bool = False

    @property
    def line(self) -> bytes:
        """The text in today's format, for whoever is told of the record now."""
        return encode(self.record) if self.is_old else self.text


class LogError(Exception):
    """The log cannot do what it must; the text says what to do."""


class CorruptLog(LogError):
    """A record was altered, lost or cannot be read; nothing was repaired."""


class LogLocked(LogError):
    """Another process holds the log."""


class LogFull(LogError):
    """There is no space; nothing of the batch was stored."""


class LogFromTheFuture(LogError):
    """A newer Terzetto wrote this log."""


class Readable(Protocol):
    """A log as those see it who only look."""

    def read(
        self, after: Position = BEGINNING, subject: Subject | None = None, limit: int = PAGE
    ) -> list[Entry]:
        """Up to `limit` records beyond `after`, of one subject or of all."""
        ...

    def records(self, after: Position = BEGINNING, limit: int = PAGE) -> list[Record]:
        """As `read` of all, without the texts: what a replay needs, faster; raises `CorruptLog`.

        A file is not believed: each is in its place and its text is the one that the chain hash covers.
        """
        ...

    def head(self) -> Position:
        """The position of the last record; 0 in an empty log."""
        ...


class Chained(Readable, Protocol):
    """A log that knows its chain hash at any position."""

    def chain_at(self, position: Position) -> bytes:
        """The chain hash of the record there; empty if there is none."""
        ...


class Log(Readable, Protocol):
    """Appends are all or nothing, and durable on return."""

    def append(self, records: Sequence[Record]) -> list[bytes]:
        """Store the records and return their texts; raises `LogFull` (nothing stored) or `LogError`."""
        ...

    def close(self) -> None: ...


def subjects(record: Record) -> tuple[str | None, str | None]:
    """The build and the worker a record concerns."""
    event = record.event
    return getattr(event, "build", None), getattr(event, "worker", None)


def concerns(record: Record, subject: Subject) -> bool:
    """Is the record about this subject?"""
    build, worker = subjects(record)
    return subject.id == (build if subject.kind == "build" else worker)


def check_order(records: Sequence[Record], head: Position) -> None:
    """Whoever appends must continue the log at `head` without a hole; anything else is a bug."""
    for expected, record in enumerate(records, start=head + 1):
        assert record.position == expected, f"{record} is not record {expected}"


def link(previous: bytes, text: bytes) -> bytes:
    """The chain hash of a record: SHA-256 over its predecessor's and its own text."""
    return sha256(previous + text).digest()


def read_all(log: Readable, after: Position = BEGINNING, subject: Subject | None = None) -> Iterator[Entry]:
    """Every record beyond `after`, in pages, so that no reader holds the log for long."""
    while page := log.read(after, subject):
        yield from page
        after = page[-1].record.position


def read_records(log: Readable, after: Position = BEGINNING) -> Iterator[Record]:
    """Every record beyond `after`, for a replay."""
    while page := log.records(after):
        yield from page
        after = page[-1].position


def check_chain(stored: Iterable[tuple[int, bytes, bytes]], previous: bytes, position: int) -> None:
    """Raise `CorruptLog` unless these positions, texts and hashes go on from where a hash stands."""
    for found, text, chain in stored:
        position += 1
        if found != position:
            raise CorruptLog(f"record {position} is missing: {found} stands in its place")
        previous = sha256(previous + text).digest()
        if previous != chain:
            raise CorruptLog(f"record {position} was altered, or one before it: its chain hash is wrong")


def verified(entries: Iterable[Entry], previous: bytes = GENESIS, position: int = 0) -> Iterator[Entry]:
    """The entries, each after its place, its text and the chain were checked; raises `CorruptLog`."""
    for entry in entries:
        position += 1
        if entry.record.position != position:
            raise CorruptLog(f"record {position} is missing: {entry.record.position} stands in its place")
        previous = link(previous, entry.text)
        if entry.chain != previous:
            raise CorruptLog(f"record {position} was altered, or one before it: its chain hash is wrong")
        if not entry.is_old and encode(entry.record) != entry.text:
            raise _strange(entry)
        _check_mark(entry)
        yield entry


def _check_mark(entry: Entry) -> None:
    """Where a text says in which format it is, the log must know."""
    if entry.record.position == 1 or isinstance(entry.record.event, CoordinatorStarted):
        written_in = read_head(entry.text).format or 1
        if entry.is_old != (written_in < codec.FORMAT):
            raise CorruptLog(f"record {entry.record.position} is not in the format that the log says")


def _strange(entry: Entry) -> LogError:
    """Why a text is not the one that its record has."""
    position, kind = entry.record.position, type(entry.record.event).__name__
    unknown = unknown_fields(entry.record, entry.text)
    if unknown and read_head(entry.text).type == kind:
        return LogFromTheFuture(f"record {position} says {sorted(unknown)}, from a newer version: upgrade")
    return CorruptLog(f"record {position} was altered: it is not indexed as what its text says")


def verify(entries: Iterable[Entry], previous: bytes = GENESIS, position: int = 0) -> bytes:
    """Check positions and the chain, return the last hash; raises `CorruptLog` at the first bad record."""
    for entry in verified(entries, previous, position):
        previous = entry.chain
    return previous


@define(init=False)
class MemoryLog:
    """A log without a disk, for tests and simulation; keeps texts, so that reading decodes as usual."""

    _entries: list[Entry]
    _fail: Callable[[], None] | None

    def __init__(self, fail: Callable[[], None] | None = None) -> None:
        """`fail` is called before each append and may raise what a disk would."""
        self._entries = []
        self._fail = fail

    def append(self, records: Sequence[Record]) -> list[bytes]:
        if self._fail is not None:
            self._fail()
        check_order(records, self.head())
        chain = self._entries[-1].chain if self._entries else GENESIS
        entries = []
        for record in records:
            text = encode(record)
            chain = link(chain, text)
            entries.append(Entry(decode(text), text, chain))
        self._entries += entries
        return [entry.text for entry in entries]

    def read(
        self, after: Position = BEGINNING, subject: Subject | None = None, limit: int = PAGE
    ) -> list[Entry]:
        found = []
        for entry in self._entries[after:]:
            if subject is None or concerns(entry.record, subject):
                found.append(entry)
                if len(found) == limit:
                    break
        return found

    def records(self, after: Position = BEGINNING, limit: int = PAGE) -> list[Record]:
        return [entry.record for entry in self.read(after, None, limit)]

    def chain_at(self, position: Position) -> bytes:
        return self._entries[position - 1].chain if 0 < position <= self.head() else b""

    def head(self) -> Position:
        return Position(len(self._entries))

    def close(self) -> None:
        pass
