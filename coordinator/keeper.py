"""What is kept beside the log, and the process that makes it: snapshots of its state, and its archive."""

import json
import subprocess
import sys
from collections.abc import Container, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import structlog
import trio

from events import segments, snapshot
from events.files import beside
from events.ids import BuildId, Position
from events.restore import DIRECTORY, restore
from events.sqlite import SqliteLog, SqliteReader
from events.state import State

log = structlog.get_logger()


class KeepingFailed(Exception):
    """The process that should have done it did not; the text is its last word."""


class Fresh(NamedTuple):
    """What is not archived: so many bytes of text, of the newest records, for so long (seconds)."""

    bytes: int
    seconds: float


class Sample(NamedTuple):
    """State as it was live, at a position that is durable."""

    position: Position
    digest: str


class Keeper(Protocol):
    """Looks after a log that a coordinator writes."""

    def restore(self) -> State:
        """What the log adds up to. Blocks."""
        ...

    def last_snapshot(self) -> Position:
        """Up to where a start would not have to replay; 0 without a snapshot. (A look into a directory.)"""
        ...

    async def take_snapshot(self, live: Sample | None) -> str:
        """Make one of all that is durable, unless State contradicts itself: then returns how.

        Of `live`, if there is one: that the log adds up to another digest there is such a contradiction, too.
        Raises `KeepingFailed`.
        """
        ...

    def state_at(self, position: Position) -> State:
        """What the records up to there add up to. Blocks."""
        ...

    def archived(self) -> Position:
        """The last position that is archived; 0 if none is."""
        ...

    async def archive(self, fresh: Fresh, now: float) -> Position:
        """Make segments of what is too much or too old; returns up to where they are.

        `let_go` is then to be called with that. Raises `KeepingFailed`.
        """
        ...

    def let_go(self, upto: Position, kept: Container[BuildId]) -> Iterator[object]:
        """Let the log's table lose, step by step, what is archived and not of the builds to be kept.

        Each step is one of the log's writer, and blocks for some milliseconds.
        """
        ...


class FileKeeper:
    """Of a log file: snapshots and archive are in directories beside it."""

    def __init__(self, path: Path, writer: SqliteLog) -> None:
        self._path = path
        self._snapshots = beside(path, DIRECTORY)
        self._log = writer

    def restore(self) -> State:
        state = restore(self._log, self._snapshots, _warn)
        if lost := self._log.missing():
            log.warning("the archive is not whole: put its files back", first=lost[0], last=lost[1])
        return state

    def last_snapshot(self) -> Position:
        paths = snapshot.found(self._snapshots)
        return snapshot.position_of(paths[0]) if paths else Position(0)

    async def take_snapshot(self, live: Sample | None) -> str:
        said = await _run("snapshot", self._path, *map(str, live or ()))
        if "contradiction" in said:
            return str(said["contradiction"])
        log.info("snapshot taken", **said)
        return ""

    def state_at(self, position: Position) -> State:
        with closing(SqliteReader(self._path)) as reader:
            return restore(reader, self._snapshots, upto=position)

    def archived(self) -> Position:
        return self._log.archived

    async def archive(self, fresh: Fresh, now: float) -> Position:
        upto, how = await trio.to_thread.run_sync(self.surplus, fresh, now)
        if upto <= self._log.archived:
            return self._log.archived
        segments.put_aside(beside(self._path, segments.DIRECTORY), self._log.archived)
        said = await _run("archive", self._path, str(upto), how)
        return Position(said["upto"])

    def surplus(self, fresh: Fresh, now: float) -> tuple[Position, str]:
        """Up to where there is too much, in whole segments; or what is too old, in any. Blocks."""
        with closing(SqliteReader(self._path)) as reader:
            last, size = reader.beyond(fresh.bytes)
            if size >= segments.BYTES_MAX:
                return last, "whole"
            oldest = reader.oldest()
            if oldest is not None and oldest < now - 2 * fresh.seconds:
                return reader.before(now - fresh.seconds), "partial"
            return Position(0), "whole"

    def let_go(self, upto: Position, kept: Container[BuildId]) -> Iterator[object]:
        if upto > self._log.archived:
            self._log.note_archived(upto)
            log.info("archived", upto=upto)
            yield upto
        yield from self._log.pruning(kept)


async def _run(*arguments: str | Path) -> Any:
    command = [sys.executable, "-m", "coordinator.keeping", *map(str, arguments)]
    done = await trio.run_process(
        command, capture_stdout=True, capture_stderr=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise KeepingFailed(said[-1] if said else f"it ended with {done.returncode}")
    return json.loads(done.stdout)


def _warn(path: Path, why: str) -> None:
    log.warning("snapshot not used", path=str(path), reason=why)
