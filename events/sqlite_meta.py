"""What a log file says of itself beside its records: in which formats they are, and which are archived."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Self

import apsw
from attrs import evolve, frozen

from events import codec
from events.codec import read_head
from events.ids import BEGINNING, Position
from events.log import GENESIS, CorruptLog, LogFromTheFuture

_FORMAT = "format "
_ARCHIVED, _CHAIN, _PRUNED = "archived", "archived chain", "pruned"


@frozen
class Meta:
    """`formats`: each format that was written in, after the first, with its first position; both rise.

    Records up to `archived`, which has the hash `archived_chain`, are in segments, and not all of them in the
    table any more: up to `pruned` it has only those of some builds.
    """

    formats: tuple[tuple[int, Position], ...] = ()
    archived: Position = BEGINNING
    archived_chain: bytes = GENESIS
    pruned: Position = BEGINNING

    @classmethod
    def read(cls, connection: apsw.Connection) -> Self:
        """Raises `CorruptLog`, `LogFromTheFuture`."""
        rows = dict(connection.execute("SELECT key, value FROM meta"))
        try:
            archived, pruned = (Position(int(rows.get(key, "0"))) for key in (_ARCHIVED, _PRUNED))
            chain = bytes.fromhex(rows.get(_CHAIN, GENESIS.hex()))
        except ValueError as error:
            raise CorruptLog(f"what the log says of its archive is damaged: {error}") from error
        return cls(_formats(rows), archived, chain, pruned)

    @property
    def newest(self) -> int:
        """The format of whatever comes next."""
        return self.formats[-1][0] if self.formats else 1

    @property
    def old_upto(self) -> Position | None:
        """The last position in an older format than today's; None if it is that of whatever comes next."""
        if self.newest < codec.FORMAT:
            return None
        return Position(self.formats[-1][1] - 1) if self.formats else BEGINNING

    def is_old(self, position: Position) -> bool:
        upto = self.old_upto
        return upto is None or position <= upto

    def format_of(self, position: Position) -> int:
        place = bisect_right(self.formats, position, key=lambda entry: entry[1])
        return self.formats[place - 1][0] if place else 1

    def with_format(self, format_: int, first: Position) -> "Meta":
        return evolve(self, formats=(*self.formats, (format_, first)))


def mark_archived(connection: apsw.Connection, position: Position, chain: bytes) -> None:
    """The table may let go of the records up to here."""
    _put(connection, _ARCHIVED, str(position))
    _put(connection, _CHAIN, chain.hex())


def mark_pruned(connection: apsw.Connection, position: Position) -> None:
    """The table has let go of all up to here that are of no build."""
    _put(connection, _PRUNED, str(position))


def mark_format(connection: apsw.Connection, format_: int, first: Position) -> None:
    """From this position on records are in this format; a version that does not know it stays away."""
    connection.execute("INSERT INTO meta VALUES(?, ?)", (f"{_FORMAT}{format_}", str(first)))
    connection.execute(f"PRAGMA user_version={format_}")


def check_formats(meta: Meta, texts: Iterable[tuple[Position, str]]) -> None:
    """Raise `CorruptLog` unless the marks of these texts, all beyond the archive, say what `meta` does."""
    said = tuple(entry for entry in meta.formats if entry[1] > meta.archived)
    marked = Meta(tuple(entry for entry in meta.formats if entry[1] <= meta.archived))
    before = len(marked.formats)
    for position, text in texts:
        written_in = read_head(text.encode()).format
        if position > meta.archived and written_in > marked.newest:
            marked = marked.with_format(written_in, position)
    if marked.formats[before:] != said:
        raise CorruptLog(f"the log says of its formats {said}, its records say {marked.formats[before:]}")


def _put(connection: apsw.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES(?, ?)", (key, value))


def _formats(rows: dict[str, str]) -> tuple[tuple[int, Position], ...]:
    try:
        found = sorted(
            (int(key.removeprefix(_FORMAT)), Position(int(value)))
            for key, value in rows.items()
            if key.startswith(_FORMAT)
        )
    except ValueError as error:
        raise CorruptLog(f"what the log says of its formats is damaged: {error}") from error
    if [first for _, first in found] != sorted(first for _, first in found):
        raise CorruptLog(f"the log's formats do not follow each other: {found}")
    if found and found[-1][0] > codec.FORMAT:
        raise LogFromTheFuture(
            f"the log has format {found[-1][0]}, the newest known here is {codec.FORMAT}: upgrade terzetto"
        )
    return tuple(found)
