"""The coordinator's disk: the log as a disk keeps it, and what a power cut leaves of the files beside it."""

import errno
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import Factory, define

from events.catalog import Record
from events.ids import Position
from events.log import Entry, LogError, LogFull, MemoryLog

# The work on files that can find the disk full: a source's bytes, a job's output.
WRITES = frozenset({"_Writer.add", "_Writer.finish", "_write_file", "_seal_all"})


class Broken(LogError):
    """The disk says that a write failed."""


@define(eq=False)
class Disk:
    """What survives the coordinator's process. `on_commit` sees each batch once it is durable."""

    on_commit: Callable[[Sequence[Entry]], None] = lambda _entries: None
    entries: list[Entry] = Factory(list)
    is_full: bool = False
    is_broken: bool = False
    commit_seconds: float = 0.0
    injected: Counter[str] = Factory(Counter)
    # Of output files: how many bytes a power cut leaves for certain.
    _synced: dict[Path, int] = Factory(dict)

    @property
    def head(self) -> Position:
        return Position(len(self.entries))

    @property
    def is_at_risk(self) -> bool:
        """Are there files that a power cut would tear?"""
        return bool(self._synced)

    def fail(self) -> None:
        """As a write to the log does now."""
        if self.is_broken:
            raise Broken("the simulated disk is broken")
        if self.is_full:
            self.injected["full_disk_log"] += 1
            raise LogFull("no space left on the simulated disk")

    def call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Do work on files, as far as there is room for it."""
        name = getattr(function, "__qualname__", "")
        if name in WRITES and self.is_full:
            self.injected["full_disk_files"] += 1
            raise OSError(errno.ENOSPC, "no space left on the simulated disk")
        result = function(*args)
        if name == "_write_file":
            self._synced.setdefault(args[0], 0)
        elif name == "_seal_all":
            for sealing in args[1]:
                for path, _, _ in sealing.files:
                    self._synced.pop(path, None)
        return result

    def cut_power(self, chance: random.Random) -> None:
        """Files that were written and not synced keep some of their bytes, or are gone."""
        for path, certain in self._synced.items():
            if not path.exists():
                continue
            kept = chance.randint(certain, path.stat().st_size)
            if kept:
                with path.open("r+b") as file:
                    file.truncate(kept)
            else:
                path.unlink()
            self.injected["output_torn"] += 1
        self._synced.clear()


class SimulatedLog(MemoryLog):
    """A `Log` on such a disk, for one process: a batch is there as a whole or not at all."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk.fail)
        self._entries = disk.entries
        self._disk = disk

    def append(self, records: Sequence[Record]) -> list[bytes]:
        texts = super().append(records)
        self._disk.on_commit(self._disk.entries[-len(records) :])
        return texts
