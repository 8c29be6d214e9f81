"""Archived records: stretches of the log in compressed files, each a little export of its own.

A segment is the lines of an export, gzipped. Only its first and last line keep their chain hashes: those in
between follow from the first and the texts, and the last says whether they do. (Random digits do not
compress; they would be most of the file.) `zcat` shows the records of any of them.

A file gets its name when it is whole and durable, and never changes after that. Who cuts where is decided by
the texts alone, so a segment that is written twice is the same bytes.
"""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from events.codec import Unreadable, decode, quoted
from events.files import make_directory, write_durably
from events.ids import Position
from events.log import GENESIS, Chained, CorruptLog, Entry, Subject, concerns, link, read_all, verified
from events.sqlite_meta import Meta
from events.transfer import dump, split

# Beside the log.
DIRECTORY = "archive"
# Of text in one segment, before it is compressed. Whoever reads a record reads its segment.
BYTES_MAX = 16 << 20
LEVEL = 6
_NAME = re.compile(r"(\d{15})-(\d{15})\.jsonl\.gz\Z")
_MAGIC = b"\x1f\x8b"


class Segment(NamedTuple):
    """A file of the archive, and the positions of its first and last record."""

    path: Path
    first: Position
    last: Position


class Stored(NamedTuple):
    """A record's text and chain hash."""

    text: bytes
    chain: bytes


def found(directory: Path) -> list[Segment]:
    """All segments there, in order."""
    names = ((path, _NAME.match(path.name)) for path in sorted(directory.glob("*.jsonl.gz")))
    return [Segment(path, Position(int(name[1])), Position(int(name[2]))) for path, name in names if name]


def write(directory: Path, entries: Sequence[Entry]) -> Segment:
    """Make a segment of consecutive entries; durable on return."""
    first, last = entries[0].record.position, entries[-1].record.position
    path = directory / f"{first:015}-{last:015}.jsonl.gz"
    ends = (first, last)
    lines = [dump(entry) if entry.record.position in ends else entry.text for entry in entries]
    make_directory(directory)
    write_durably(path, [gzip.compress(b"\n".join(lines) + b"\n", LEVEL, mtime=0)])
    return Segment(path, first, last)


def cut(entries: Iterable[Entry], bytes_max: int) -> Iterator[list[Entry]]:
    """Entries in the portions that a segment each is made of; the last may be small."""
    portion: list[Entry] = []
    size = 0
    for entry in entries:
        portion.append(entry)
        size += len(entry.text)
        if size >= bytes_max:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def store(log: Chained, directory: Path, after: Position, upto: Position, *, is_partial: bool) -> Position:
    """Make segments of the records beyond `after` up to `upto`; returns the last position that is in one.

    Without `is_partial` none is made of what is too little for one yet. Raises `CorruptLog` before anything
    damaged gets a name, and if what was written cannot be read again.
    """
    entries = takewhile(lambda entry: entry.record.position <= upto, read_all(log, after))
    whole = verified(entries, log.chain_at(after) or GENESIS, after)
    for portion in cut(whole, BYTES_MAX):
        if is_partial or sum(len(entry.text) for entry in portion) >= BYTES_MAX:
            segment = write(directory, portion)
            if read(segment.path) != [(entry.text, entry.chain) for entry in portion]:
                raise CorruptLog(f"{segment.path} does not say what was written to it")
            after = segment.last
    return after


def put_aside(directory: Path, archived: Position) -> None:
    """Rename segments beyond what the log knows of, for the log's writer before it has others made.

    A former attempt left them, or the log in whose place a backup was put.
    """
    for segment in found(directory):
        if segment.last > archived:
            segment.path.rename(segment.path.with_name(f"{segment.path.name}.unused"))


def read(path: Path) -> list[Stored]:
    """The records of a segment; raises `CorruptLog` unless they lead from its first hash to its last."""
    lines = _lines(path)
    first, chain = split(lines[0])
    last, ending = split(lines[-1])
    stored = [Stored(first, chain)]
    for text in [*lines[1:-1], last] if len(lines) > 1 else ():
        chain = link(chain, text)
        stored.append(Stored(text, chain))
    if not chain or chain != ending:
        raise CorruptLog(f"{path} was altered: its last chain hash does not follow from its first")
    return stored


def end(path: Path) -> bytes:
    """The chain hash of a segment's last record, without a look at the others; raises `CorruptLog`."""
    return split(_lines(path)[-1])[1]


def is_segment(data: bytes) -> bool:
    """Do these first bytes of a file say that it may be one?"""
    return data.startswith(_MAGIC)


def _lines(path: Path) -> list[bytes]:
    try:
        return gzip.decompress(path.read_bytes()).removesuffix(b"\n").split(b"\n")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorruptLog(f"{path} is damaged: {error!r}") from error
    except OSError as error:
        raise CorruptLog(f"{path} cannot be read: {error}") from error


class Archive:
    """The segments of one log, one of them in memory; threads may share it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._last: tuple[Segment | None, list[Stored]] = (None, [])

    def entries(
        self, after: Position, upto: Position, meta: Meta, subject: Subject | None, limit: int
    ) -> list[Entry]:
        """Up to `limit` records beyond `after` and up to `upto`; raises `CorruptLog` where one is missing."""
        entries: list[Entry] = []
        for segment, reached in self._needed(after, upto):
            if subject is not None and not self._mentions(segment, subject):
                continue
            for position in range(reached + 1, segment.last + 1):
                entry = self._entry(segment, Position(position), meta)
                if subject is None or concerns(entry.record, subject):
                    entries.append(entry)
                    if len(entries) == limit:
                        return entries
        return entries

    def chain_at(self, position: Position, upto: Position) -> bytes:
        """The chain hash of an archived record; raises `CorruptLog` where it is missing."""
        segment, _ = next(self._needed(Position(position - 1), upto))
        return self._load(segment)[position - segment.first].chain

    def end(self, after: Position, upto: Position) -> bytes:
        """The chain hash at `upto`; raises `CorruptLog` if a record beyond `after` is missing."""
        *_, (last, _) = self._needed(after, upto)
        return end(last.path)

    def missing(self, after: Position, upto: Position) -> tuple[Position, Position] | None:
        """The first stretch within these positions that no segment has, if there is one."""
        segments = [each for each in found(self._directory) if after < each.last <= upto]
        reached = after
        for segment in sorted(segments, key=lambda each: (each.first, each.last)):
            if segment.first > reached + 1:
                return Position(reached + 1), Position(segment.first - 1)
            reached = max(reached, segment.last)
        return None if reached == upto else (Position(reached + 1), upto)

    def _needed(self, after: Position, upto: Position) -> Iterator[tuple[Segment, Position]]:
        """The segments with the records beyond `after`, each with the position up to where others were.

        One that ends beyond `upto` is not of this log. Some may overlap: a process that makes segments may
        outlive its coordinator.
        """
        if lost := self.missing(after, upto):
            raise CorruptLog(
                f"records {lost[0]} to {lost[1]} are archived, and {self._directory} does not have them:"
                " put its files back"
            )
        for segment in found(self._directory):
            if after < segment.last <= upto:
                yield segment, after
                after = segment.last

    def _mentions(self, segment: Segment, subject: Subject) -> bool:
        """Is it worth looking at each of its records?"""
        sought = quoted(subject.id)
        return any(sought in text for text, _ in self._load(segment))

    def _load(self, segment: Segment) -> list[Stored]:
        at, stored = self._last
        if at != segment:
            stored = read(segment.path)
            if len(stored) != segment.last - segment.first + 1:
                raise CorruptLog(f"{segment.path} does not have the records that its name says")
            self._last = (segment, stored)
        return stored

    def _entry(self, segment: Segment, position: Position, meta: Meta) -> Entry:
        text, chain = self._load(segment)[position - segment.first]
        try:
            record = decode(text, meta.format_of(position))
        except Unreadable as error:
            raise CorruptLog(f"{segment.path}: {error}") from error
        if record.position != position:
            raise CorruptLog(f"record {position} is missing: {record.position} stands in its place")
        return Entry(record, text, chain, is_old=meta.is_old(position))
