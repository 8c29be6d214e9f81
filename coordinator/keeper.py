"""What is kept beside the log, and the process that makes it: snapshots, so that the next start is quick."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import structlog
import trio

from events import snapshot
from events.ids import Position
from events.log import Chained
from events.restore import DIRECTORY, restore
from events.state import State

log = structlog.get_logger()


class KeepingFailed(Exception):
    """The process that should have done it did not; the text is its last word."""


class Keeper(Protocol):
    """Looks after a log that a coordinator writes."""

    def restore(self) -> State:
        """What the log adds up to. Blocks."""
        ...

    def last_snapshot(self) -> Position:
        """Up to where a start would not have to replay; 0 without a snapshot. (A look into a directory.)"""
        ...

    async def take_snapshot(self) -> str:
        """Make one of all that is durable, unless State contradicts itself: then returns how.

        Raises `KeepingFailed`.
        """
        ...


class FileKeeper:
    """Of a log file: the snapshots are in a directory beside it."""

    def __init__(self, path: Path, writer: Chained) -> None:
        self._path = path
        self._snapshots = path.parent / DIRECTORY
        self._log = writer

    def restore(self) -> State:
        return restore(self._log, self._snapshots, _warn)

    def last_snapshot(self) -> Position:
        paths = snapshot.found(self._snapshots)
        return snapshot.position_of(paths[0]) if paths else Position(0)

    async def take_snapshot(self) -> str:
        said = await _run("snapshot", self._path, self._snapshots)
        if "contradiction" in said:
            return str(said["contradiction"])
        log.info("snapshot taken", **said)
        return ""


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
