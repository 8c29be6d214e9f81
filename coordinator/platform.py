"""What the coordinator stands on: this machine, or a simulated one. Only this differs, never the logic."""

import os
import random
import secrets
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import trio
from attrs import frozen

from clients import wire
from clients.server import Listen, open_listeners
from clients.wire import OpenStream
from coordinator.disk import RunSync, in_thread
from coordinator.journal import PROBE_BYTES
from coordinator.keeper import FileKeeper, Keeper
from coordinator.recent import Recent
from events import segments
from events.catalog import Record
from events.files import beside
from events.ids import BEGINNING, BuildId, Position
from events.log import PAGE, Entry, Log, Subject
from events.query import Move, Query, Searchable
from events.segments import Archive
from events.sqlite import SqliteLog, SqliteReader


class OpenLog(NamedTuple):
    """The one writer of a log, a second look at it that never waits for the writer, and its keeper."""

    writer: Log
    reader: Searchable
    keeper: Keeper | None = None


def open_files(data: Path) -> OpenLog:
    """The log below `data`. Raises `LogError` and its kin. Blocks."""
    path = data / "log.sqlite3"
    writer = SqliteLog(path)
    return OpenLog(writer, FileReader(path), FileKeeper(path, writer))


def has_room(data: Path) -> bool:
    """Can a megabyte be written beside the log?"""
    probe = data / ".room"
    try:
        probe.write_bytes(bytes(PROBE_BYTES))
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


@frozen(kw_only=True)
class Platform:
    """The machine. `wall_time`: the clock that may jump; `steady_time`: the one that does not.

    `sync_disk`: make durable whatever any process wrote; `recent` and `page`: how much of the log is kept
    in memory and how much is read at once.
    """

    open_log: Callable[[Path], OpenLog] = open_files
    has_room: Callable[[Path], bool] = has_room
    run_sync: RunSync = in_thread
    sync_disk: Callable[[], None] = os.sync
    listen: Listen = open_listeners
    open_stream: OpenStream = trio.open_tcp_stream
    wall_time: Callable[[], float] = time.time
    steady_time: Callable[[], float] = time.monotonic
    new_id: Callable[[int], str] = secrets.token_hex
    chance: Callable[[], random.Random] = random.Random
    recent: Callable[[Position], Recent] = Recent
    page: int = PAGE

    def open_client(self, base_url: str) -> wire.Client:
        """A client whose connections this machine makes. Raises ValueError if that is no base URL."""
        return wire.Client(base_url, open_stream=self.open_stream)

    def clock(self, not_before: float) -> Callable[[], float]:
        """Seconds since 1970 that never fall: the wall clock once, then the monotonic one.

        So a jump of the wall clock expires nobody's lease; it shows in the next start's times only. Whole
        microseconds: more is noise, and would be most of what a record's time takes on its way to a browser.
        """
        start, origin = max(self.wall_time(), not_before), self.steady_time()
        return lambda: round(start + (self.steady_time() - origin), 6)


class FileReader:
    """Reads the log through a connection of its own each time, so that any thread may."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._archive = Archive(beside(path, segments.DIRECTORY))

    def read(
        self, after: Position = BEGINNING, subject: Subject | None = None, limit: int = PAGE
    ) -> list[Entry]:
        with self._reader() as reader:
            return reader.read(after, subject, limit)

    def records(self, after: Position = BEGINNING, limit: int = PAGE) -> list[Record]:
        with self._reader() as reader:
            return reader.records(after, limit)

    def head(self) -> Position:
        with self._reader() as reader:
            return reader.head()

    def search(self, query: Query) -> list[Record]:
        with self._reader() as reader:
            return reader.search(query)

    def texts(self, query: Query) -> list[str]:
        with self._reader() as reader:
            return reader.texts(query)

    def moves(self, build: BuildId, upto: Position) -> list[Move]:
        with self._reader() as reader:
            return reader.moves(build, upto)

    def _reader(self) -> "closing[SqliteReader]":
        return closing(SqliteReader(self._path, self._archive))
