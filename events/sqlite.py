"""SqliteLog: the event log in one SQLite file, durable before `append` returns.

WAL with `synchronous=FULL`: the write-ahead log is fsynced before a commit returns, so neither `kill -9`
nor a power cut loses what was answered. One writer holds the file (a lock on a side file, which names
its holder); any number of readers may look on, each with its own connection.
"""

import errno
import fcntl
import os
import socket
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import apsw
from attrs import evolve

from events import codec, segments
from events.catalog import EVENTS, CoordinatorStarted, Record
from events.codec import FromTheFuture, Unreadable, decode, decode_rows, decode_typed, encode, read_head
from events.files import beside, make_directory
from events.ids import BEGINNING, BuildId, Position
from events.log import (
    GENESIS,
    PAGE,
    CorruptLog,
    Entry,
    LogError,
    LogFromTheFuture,
    LogFull,
    LogLocked,
    Subject,
    check_chain,
    check_order,
    link,
    subjects,
)
from events.query import Move, Query, Scanned, divided
from events.segments import Archive
from events.sqlite_meta import Meta, check_formats, mark_archived, mark_format, mark_pruned
from events.sqlite_query import INDEX, moves, statement
from events.wal import HEADER, WriteAheadLog

# 3.7.0 … 3.51.2 can corrupt a WAL on reset (sqlite.org/wal.html#the_wal_reset_bug); apsw brings its own.
assert apsw.SQLITE_VERSION_NUMBER >= 3_051_003, "SQLite older than 3.51.3 can corrupt the log"

SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE records(
    position INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    type TEXT NOT NULL,
    build TEXT,
    worker TEXT,
    text TEXT NOT NULL,
    chain BLOB NOT NULL
) STRICT;
CREATE INDEX records_of_build ON records(build, position) WHERE build IS NOT NULL;
CREATE INDEX records_of_worker ON records(worker, position) WHERE worker IS NOT NULL;
"""
# A writer that slept while another wrote must not fill the places of records that were archived meanwhile.
FENCE = """
CREATE TRIGGER IF NOT EXISTS records_go_on BEFORE INSERT ON records
WHEN new.position <> ifnull((SELECT max(position) FROM records), 0) + 1
BEGIN SELECT RAISE(ABORT, 'the log does not end where this record begins'); END
"""
COLUMN_NAMES = ("position", "at", "type", "build", "worker", "text", "chain")
# Rows that one statement stores.
ROWS_MAX = 256
COLUMNS = "position, at, type, text, chain"
PAGE_AFTER = (
    "SELECT position, at, type, text, chain FROM records WHERE position > ? ORDER BY position LIMIT ?"
)
ROW = "position, build, worker, text, chain"
# The records that say in which format they are written, and those after them.
MARKED = (
    "SELECT position, text FROM records WHERE type = 'CoordinatorStarted' OR position = 1 ORDER BY position"
)
SIZE = "SELECT ifnull(sum(octet_length(text)), 0) FROM records WHERE position > ?"
LAST_WITHIN = (
    "SELECT position, passed FROM"
    " (SELECT position, sum(octet_length(text)) OVER (ORDER BY position) AS passed FROM records"
    " WHERE position > ? AND position < (SELECT max(position) FROM records))"
    " WHERE passed <= ? ORDER BY position DESC LIMIT 1"
)
FIRST_AT = "SELECT at FROM records WHERE position > ? ORDER BY position LIMIT 1"
LAST_BEFORE = (
    "SELECT position FROM records WHERE at < ? AND position < (SELECT max(position) FROM records)"
    " ORDER BY position DESC LIMIT 1"
)
PRUNE = "DELETE FROM records WHERE position > ? AND position <= ? AND build IS NULL"
PRUNE_BUILD = (
    "DELETE FROM records WHERE position IN"
    " (SELECT position FROM records WHERE build = ? AND position <= ? ORDER BY position LIMIT ?)"
)
# Records that one transaction lets go of: a few milliseconds.
PRUNED_MAX = 2000
BUSY_MILLISECONDS = 5000
# The file never shrinks by itself; a checkpoint every 16 MiB keeps the write-ahead log short.
CHECKPOINT_PAGES = 4000
_NOT_ALONE = "{path} is written by another process too, which does not see our lock"
# SQLite knows only ENOSPC as "full"; a quota or a limit on the file's size is nothing else.
_FULL = (errno.EDQUOT, errno.EFBIG)


class Row(NamedTuple):
    """What the table has of a record: by what it is found, its text and hash."""

    build: str | None
    worker: str | None
    text: str
    chain: bytes


class SqliteLog:
    """The one writer of a log file."""

    def __init__(self, path: Path) -> None:
        """Open or create; raises `LogLocked`, `CorruptLog`, `LogFromTheFuture`, `LogError`."""
        self.path = path
        self._archive = Archive(beside(path, segments.DIRECTORY))
        self._lock = _lock(path)
        try:
            with _translated(path):
                self._connection = _open(path)
                self._meta = Meta.read(self._connection)
                self._head, self._chain = _last(self._connection)
        except BaseException:
            self._lock.close()
            raise

    def append(self, records: Sequence[Record]) -> list[bytes]:
        """One transaction, one fsync; raises `LogFull` with nothing stored, `LogError` otherwise.

        After any other error than `LogFull` the outcome is unknown: the process must end, and the next
        one finds out by reading. `LogLocked`: somebody who cannot see our lock writes too.
        """
        check_order(records, self._head)
        values, texts, chain = list[object](), list[bytes](), self._chain
        for record in records:
            text = encode(record)
            chain = link(chain, text)
            texts.append(text)
            build, worker = subjects(record)
            kind = type(record.event).__name__
            values += (record.position, record.at, kind, build, worker, text.decode(), chain)
        meta = self._meta
        if records and meta.newest < codec.FORMAT:
            says_so = records[0].position == 1 or isinstance(records[0].event, CoordinatorStarted)
            assert says_so, f"{records[0]} cannot begin another format"
            meta = meta.with_format(codec.FORMAT, records[0].position)
        self._store(values, meta, chain)
        return texts

    def copy(self, entries: Sequence[Entry]) -> None:
        """Store records of another log as they are there, in whatever format; as `append` else."""
        check_order([entry.record for entry in entries], self._head)
        values, meta, chain = list[object](), self._meta, self._chain
        for record, text, chain, _ in entries:
            head, (build, worker) = read_head(text), subjects(record)
            if head.format > meta.newest:
                meta = meta.with_format(head.format, record.position)
            values += (record.position, record.at, head.type, build, worker, text.decode(), chain)
        self._store(values, meta, chain)

    def read(
        self, after: Position = BEGINNING, subject: Subject | None = None, limit: int = PAGE
    ) -> list[Entry]:
        with _translated(self.path):
            return _read(self._connection, self._meta, self._archive, after, subject, limit)

    def records(self, after: Position = BEGINNING, limit: int = PAGE) -> list[Record]:
        with _translated(self.path):
            return _records(self._connection, self._meta, self._archive, after, limit)

    def head(self) -> Position:
        return self._head

    @property
    def archived(self) -> Position:
        """The last position that is in the archive; 0 if none is."""
        return self._meta.archived

    def chain_at(self, position: Position) -> bytes:
        with _translated(self.path):
            return _chain_at(self._connection, self._meta, self._archive, position)

    def missing(self) -> tuple[Position, Position] | None:
        """The first stretch of records that ought to be in the archive and is not, if there is one."""
        return self._archive.missing(BEGINNING, self._meta.archived)

    def note_archived(self, upto: Position) -> None:
        """The records up to here are in durable segments: `pruning` may let go of them."""
        assert self._meta.archived <= upto < self._head, f"{upto} cannot be the last that is archived"
        chain = self.chain_at(upto)
        if upto > self._meta.archived and self._archive.end(self._meta.archived, upto) != chain:
            raise CorruptLog(f"{beside(self.path, segments.DIRECTORY)} is the archive of another log")
        with self._writing(), self._alone():
            mark_archived(self._connection, upto, chain)
        self._meta = evolve(self._meta, archived=upto, archived_chain=chain)

    def pruning(self, kept: Container[BuildId]) -> Iterator[int]:
        """Let go, step by step, of archived records that are not of the builds to be kept.

        Each step is a small transaction, and says of how many records at most. Of a build the oldest go
        first: as long as its first record is here, all are.
        """
        while self._meta.pruned < self._meta.archived:
            upto = Position(min(self._meta.pruned + PRUNED_MAX, self._meta.archived))
            with self._writing(), self._alone():
                self._connection.execute(PRUNE, (self._meta.pruned, upto))
                mark_pruned(self._connection, upto)
            self._meta = evolve(self._meta, pruned=upto)
            yield PRUNED_MAX
        with _translated(self.path):
            builds = _archived_builds(self._connection, self._meta.archived)
        for build in builds:
            while build not in kept:
                with self._writing(), self._alone():
                    self._connection.execute(PRUNE_BUILD, (build, self._meta.archived, PRUNED_MAX))
                    count = self._connection.changes()
                if not count:
                    break
                yield count

    def close(self) -> None:
        self._connection.close()
        self._lock.close()

    def _store(self, values: Sequence[object], meta: Meta, chain: bytes) -> None:
        with self._writing():
            _insert(self._connection, values, meta.formats[len(self._meta.formats) :])
        self._head, self._chain = Position(self._head + len(values) // len(COLUMN_NAMES)), chain
        self._meta = meta
        with self._writing():
            self._shorten()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A disk that failed is not asked again, not even by SQLite, which would do so when it is closed."""
        try:
            with _translated(self.path, self._connection):
                yield
        except LogError as error:
            if not isinstance(error, LogFull):
                self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """A transaction; raises `LogLocked` if somebody else has written since we did."""
        with _transaction(self._connection):
            if _last(self._connection) != (self._head, self._chain):
                raise LogLocked(_NOT_ALONE.format(path=self.path))
            yield

    def _shorten(self) -> None:
        """Copy a write-ahead log that has become long to where it belongs.

        SQLite would do so by itself, and keep to itself that the disk failed. What stands in the way of
        a copy but does no harm, a reader or a lack of space, will be gone some time.
        """
        if self._connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0] < CHECKPOINT_PAGES:
            return
        self._connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, True)
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            if not (isinstance(error, apsw.BusyError) or _is_full(error, self._connection)):
                raise


class SqliteReader:
    """A look at a log file that somebody else may be writing."""

    def __init__(self, path: Path, archive: Archive | None = None) -> None:
        """Raises `LogError` if there is no log at `path`, `LogFromTheFuture` if it is a newer one.

        Readers that share an `archive` unpack less.
        """
        self.path = path
        self._archive = archive or Archive(beside(path, segments.DIRECTORY))
        with _translated(path):
            if not path.exists():
                raise LogError(f"there is no log at {path}")
            self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._connection.set_busy_timeout(BUSY_MILLISECONDS)
            _check_format(self._connection, path)
            if self._connection.pragma("user_version") == 0:
                raise CorruptLog(f"{path} is no event log")

    def read(
        self, after: Position = BEGINNING, subject: Subject | None = None, limit: int = PAGE
    ) -> list[Entry]:
        with self._looking() as meta:
            return _read(self._connection, meta, self._archive, after, subject, limit)

    def records(self, after: Position = BEGINNING, limit: int = PAGE) -> list[Record]:
        with self._looking() as meta:
            return _records(self._connection, meta, self._archive, after, limit)

    def head(self) -> Position:
        with _translated(self.path):
            return _last(self._connection)[0]

    def chain_at(self, position: Position) -> bytes:
        with self._looking() as meta:
            return _chain_at(self._connection, meta, self._archive, position)

    def meta(self) -> Meta:
        """What the file says of itself."""
        with self._looking() as meta:
            return meta

    def beyond(self, bytes_kept: int) -> tuple[Position, int]:
        """The last record before the newest ones that make up so many bytes of text, and the bytes before.

        Of what is not archived; the position is 0 if all of it is no more than that.
        """
        with self._looking() as meta:
            [(size,)] = self._connection.execute(SIZE, (meta.archived,))
            if size > bytes_kept:
                for position, passed in self._connection.execute(
                    LAST_WITHIN, (meta.archived, size - bytes_kept)
                ):
                    return Position(position), passed
        return BEGINNING, 0

    def oldest(self) -> float | None:
        """The time of the first record that is not archived, in seconds since 1970; None if there is none."""
        with self._looking() as meta:
            for (at,) in self._connection.execute(FIRST_AT, (meta.archived,)):
                return float(at)
            return None

    def before(self, at: float) -> Position:
        """The last record that is older than this and is not the log's last; 0 if there is none."""
        with self._looking():
            for (position,) in self._connection.execute(LAST_BEFORE, (at,)):
                return Position(position)
            return BEGINNING

    def rows(self, after: Position, upto: Position) -> dict[Position, Row]:
        """What the table has of the records between these positions."""
        with _translated(self.path):
            rows = self._connection.execute(
                f"SELECT {ROW} FROM records WHERE position > ? AND position <= ?",  # noqa: S608  # words of ours
                (after, upto),
            )
            return {Position(position): Row(*row) for position, *row in rows}

    def search(self, query: Query) -> list[Record]:
        with _translated(self.path):
            return divided(query, self._read_through(query.subject), Scanned(self).search, self._search)

    def texts(self, query: Query) -> list[str]:
        with _translated(self.path):
            return divided(query, self._read_through(query.subject), Scanned(self).texts, self._texts)

    def moves(self, build: BuildId, upto: Position) -> list[Move]:
        with _translated(self.path):
            if self._read_through(Subject.build(build)):
                return Scanned(self).moves(build, upto)
            return list(self._connection.execute(*moves(self._connection, build, upto)))

    def check_file(self) -> None:
        """Raise `CorruptLog` unless the file is sound as SQLite sees it, its indexes too."""
        with _translated(self.path):
            [(answer,)] = self._connection.execute("PRAGMA integrity_check(1)")
        if answer != "ok":
            raise CorruptLog(f"{self.path}: {answer}")
        with _translated(self.path):
            _check_end(self._connection, self.path)
            check_formats(Meta.read(self._connection), self._connection.execute(MARKED))

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _looking(self) -> Iterator[Meta]:
        """One moment of the file: what it says of its archive is true of its table."""
        with _translated(self.path):
            self._connection.execute("BEGIN")
            try:
                yield Meta.read(self._connection)
            finally:
                self._connection.execute("COMMIT")

    def _read_through(self, subject: Subject | None) -> Position:
        """Up to where all has to be read, since the indexes lack it or know other words for it."""
        meta = Meta.read(self._connection)
        if meta.old_upto is None:
            return _last(self._connection)[0]
        return max(meta.old_upto, BEGINNING if _is_whole(self._connection, subject) else meta.archived)

    def _search(self, query: Query) -> list[Record]:
        return decode_rows(self._connection.execute(*statement(query)))

    def _texts(self, query: Query) -> list[str]:
        sql, values = statement(query, columns="text")
        return [text for (text,) in self._connection.execute(sql, values)]


def _insert(
    connection: apsw.Connection, values: Sequence[object], formats: Sequence[tuple[int, Position]]
) -> None:
    """Store the rows, seven values each, in as few statements as can be; and which formats begin in them.

    Each statement gives up the interpreter's lock and has to get it back from a busy event loop, which
    costs far more than the statement. A single one is a transaction by itself.
    """
    if len(values) <= ROWS_MAX * len(COLUMN_NAMES) and not formats:
        if values:
            connection.execute(_statement(len(values) // len(COLUMN_NAMES)), values)
        return
    with _transaction(connection):
        for format_, first in formats:
            mark_format(connection, format_, first)
        for start in range(0, len(values), ROWS_MAX * len(COLUMN_NAMES)):
            page = values[start : start + ROWS_MAX * len(COLUMN_NAMES)]
            connection.execute(_statement(len(page) // len(COLUMN_NAMES)), page)


@cache
def _statement(rows: int) -> str:
    row = f"({','.join('?' * len(COLUMN_NAMES))})"
    return f"INSERT INTO records VALUES{','.join([row] * rows)}"


def _lock(path: Path) -> "_Lock":
    make_directory(path.parent)
    return _Lock(path.with_name(path.name + ".lock"))


class _Lock:
    """An advisory lock on a side file that says who holds it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 200, 0).decode("utf-8", "replace").strip()
            os.close(self._descriptor)
            raise LogLocked(f"{path.with_suffix('')} is held by {holder or 'another process'}") from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _open(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    # Until we know that all is well nothing is changed, not even by SQLite as it is closed.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    if connection.pragma("journal_mode", "wal") != "wal":  # it answers with what it has, and no error
        raise LogError(f"{path} cannot have a write-ahead log: the disk failed, or is none of this machine")
    _check_end(connection, path)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    if connection.pragma("user_version") == 0:
        with _transaction(connection):
            connection.execute(SCHEMA)
            connection.execute("PRAGMA user_version=1")
    _check_format(connection, path)
    for statement_ in (INDEX, FENCE):  # logs of older versions have none
        connection.execute(statement_)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    return connection


def _check_end(connection: apsw.Connection, path: Path) -> None:
    """Raise `CorruptLog` if SQLite sees less of the write-ahead log than had been synced."""
    [(page_bytes,)] = connection.execute("PRAGMA page_size")
    content = _read_ahead(path)
    list(connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1"))  # now it knows of all that we have read
    frames, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    if _read_ahead(path, HEADER.size) != content[: HEADER.size]:
        return  # it was begun anew meanwhile
    if WriteAheadLog(content, page_bytes).hides_commits(frames):
        what = f"frame {frames + 1} does not fit, but more had been stored after it"
        raise CorruptLog(f"{path}-wal: the write-ahead log is damaged: {what}")


def _read_ahead(path: Path, size: int = -1) -> bytes:
    try:
        with path.with_name(path.name + "-wal").open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        return b""


def _check_format(connection: apsw.Connection, path: Path) -> None:
    written_in = connection.pragma("user_version")
    if written_in > codec.FORMAT:
        raise LogFromTheFuture(
            f"{path} has format {written_in}, the newest known here is {codec.FORMAT}: upgrade terzetto"
        )


def _last(connection: apsw.Connection) -> tuple[Position, bytes]:
    for position, chain in connection.execute(
        "SELECT position, chain FROM records ORDER BY position DESC LIMIT 1"
    ):
        return Position(position), chain
    return BEGINNING, GENESIS


def _chain_at(connection: apsw.Connection, meta: Meta, archive: Archive, position: Position) -> bytes:
    """The hash up to a record; empty if there is none there."""
    for (chain,) in connection.execute("SELECT chain FROM records WHERE position = ?", (position,)):
        return bytes(chain)
    if position == meta.archived:
        return meta.archived_chain if position else b""
    return archive.chain_at(position, meta.archived) if 0 < position < meta.archived else b""


def _archived_builds(connection: apsw.Connection, upto: Position) -> list[BuildId]:
    """The builds of which the table has records up to a position."""
    builds, after = list[BuildId](), ""
    next_ = "SELECT build FROM records WHERE build > ? ORDER BY build, position LIMIT 1"
    first = "SELECT 1 FROM records WHERE build = ? AND position <= ? LIMIT 1"
    while found := [*connection.execute(next_, (after,))]:
        [(after,)] = found
        if [*connection.execute(first, (after, upto))]:
            builds.append(BuildId(after))
    return builds


def _is_whole(connection: apsw.Connection, subject: Subject | None) -> bool:
    """Does the table have all records of the subject, archived or not?"""
    if subject is None or subject.kind != "build":
        return False
    first = "SELECT type FROM records WHERE build = ? ORDER BY position LIMIT 1"
    return [*connection.execute(first, (subject.id,))] == [("BuildStarted",)]


def _read(
    connection: apsw.Connection,
    meta: Meta,
    archive: Archive,
    after: Position,
    subject: Subject | None,
    limit: int,
) -> list[Entry]:
    entries: list[Entry] = []
    if after < meta.archived and not _is_whole(connection, subject):
        entries = archive.entries(after, meta.archived, meta, subject, limit)
        after, limit = meta.archived, limit - len(entries)
    where = f"AND {subject.kind} = ?" if subject else ""
    values = (after, subject.id, limit) if subject else (after, limit)
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM records WHERE position > ? {where} ORDER BY position LIMIT ?",  # noqa: S608  # the kind is one of two words of ours
        values,
    )
    if meta.is_old(Position(after + 1)):
        return entries + [_entry_of(meta, *row) for row in rows]
    return entries + [_entry(*row) for row in rows]


def _records(
    connection: apsw.Connection, meta: Meta, archive: Archive, after: Position, limit: int
) -> list[Record]:
    previous = _chain_at(connection, meta, archive, after) or GENESIS
    if after < meta.archived or meta.is_old(Position(after + 1)):
        entries = _read(connection, meta, archive, after, None, limit)
        check_chain(((e.record.position, e.text, e.chain) for e in entries), previous, after)
        return [entry.record for entry in entries]
    rows: list[Any] = connection.execute(PAGE_AFTER, (after, limit)).fetchall()
    check_chain(((position, _bytes(text), chain) for position, _, _, text, chain in rows), previous, after)
    return decode_rows(row[:-1] for row in rows)


def _bytes(text: object) -> bytes:
    """A text as it is covered by the chain hash; a bit that fell over makes a column another type."""
    return text.encode() if isinstance(text, str) else b""


def _entry_of(meta: Meta, position: Position, at: object, type_: object, text: object, chain: bytes) -> Entry:
    """The entry of a row in any format."""
    if not meta.is_old(position) or not isinstance(text, str):
        return _entry(position, at, type_, text, chain)
    stored = text.encode()
    head = read_head(stored)
    if (head.position, head.at, head.type) != (position, at, type_):
        raise Unreadable(f"record {position} was altered: it is not indexed as what its text says")
    return Entry(decode(stored, meta.format_of(position)), stored, chain, is_old=True)


def _entry(position: int, at: object, type_name: object, text: object, chain: bytes) -> Entry:
    # A bit that fell over in SQLite's own bookkeeping makes a column another type.
    if not (isinstance(text, str) and isinstance(type_name, str) and isinstance(at, float)):
        raise Unreadable(f"record {position} is damaged")
    stored = text.encode()
    if type_name not in EVENTS and f'"type":"{type_name}"' not in text:
        raise Unreadable(f"record {position} was altered: it is not indexed as what its text says")
    return Entry(decode_typed(position, at, type_name, stored), stored, chain)


@contextmanager
def _transaction(connection: apsw.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _translated(path: Path, connection: apsw.Connection | None = None) -> Iterator[None]:
    """SQLite's errors in our words; a writer's `connection` knows what the system said."""
    try:
        yield
    except apsw.Error as error:
        raise _in_our_words(error, path, connection) from error
    except FromTheFuture as error:
        raise LogFromTheFuture(f"{path}: {error}") from error
    except (Unreadable, UnicodeDecodeError) as error:
        raise CorruptLog(f"{path}: {error}") from error


def _in_our_words(error: apsw.Error, path: Path, connection: apsw.Connection | None) -> LogError:
    if _is_full(error, connection):
        return LogFull(f"no space left for {path}")
    # Positions are all that can clash, and ours go on from the last one there was.
    if isinstance(error, apsw.ConstraintError):
        return LogLocked(_NOT_ALONE.format(path=path))
    # Our statements are right for our tables: if SQLite says they are not, the tables are not ours.
    if isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.SQLError):
        return CorruptLog(f"{path}: {error}")
    return LogError(f"{path}: {error}")


def _is_full(error: apsw.Error, connection: apsw.Connection | None) -> bool:
    """Was there no room for a write, on the disk or in our share of it?"""
    if isinstance(error, apsw.FullError):
        return True
    code = getattr(error, "extendedresult", 0)
    # The index of the write-ahead log has to grow sometimes, too.
    if code == apsw.SQLITE_IOERR_SHMSIZE:
        return True
    return code == apsw.SQLITE_IOERR_WRITE and connection is not None and connection.system_errno in _FULL
