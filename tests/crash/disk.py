"""A disk that remembers each thing done to it, and can be seen as a power cut would have left it then.

It lies below SQLite as its file system (a VFS), so the log above is the production one. What was synced
stays. Of what was not, a cut keeps what it likes: all, nothing, some writes, some sectors of some writes;
later ones before earlier ones, new names or old ones. A sync that failed has lost what it should have
kept: the next one succeeds, as on Linux, and keeps nothing of it.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw

SECTOR = 512


class Op(NamedTuple):
    """`kind`: write, truncate, delete, sync; lose: a sync that failed; names: a sync of the directory."""

    kind: str
    name: str
    offset: int = 0
    data: bytes = b""


class Disk(apsw.VFS):
    """The default file system of SQLite from now on, until `unregister`.

    `fault` is called before each operation, and may raise what a real disk would.
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.fault: Callable[[Op], None] = lambda _op: None
        super().__init__("recording disk", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> "File":  # noqa: N802  # SQLite's name
        return File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802  # SQLite's name
        self.note(Op("delete", Path(filename).name))
        super().xDelete(filename, syncdir)
        if syncdir:
            self.note(Op("names", ""))

    def note(self, op: Op) -> None:
        self.fault(op)
        self.ops.append(op)


class File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._disk = disk
        self._name = Path(path).name
        # SQLite syncs the directory with the first sync of these, whoever made them.
        self._syncs_names = bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL))
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # SQLite's name
        self._disk.note(Op("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802  # SQLite's name
        self._disk.note(Op("truncate", self._name, size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's name
        try:
            self._disk.note(Op("sync", self._name))
        except apsw.IOError:
            self._disk.ops.append(Op("lose", self._name))
            raise
        super().xSync(flags)
        if self._syncs_names:
            self._syncs_names = False
            self._disk.note(Op("names", ""))


class Image:
    """What is on a disk, by file name: what is durable, and what is pending beyond that."""

    def __init__(self) -> None:
        self._durable: dict[str, bytearray] = {}
        self._pending: dict[str, list[Op]] = {}

    def do(self, op: Op) -> None:
        """The next thing that happened."""
        match op.kind:
            case "sync":
                self._settle(op.name)
            case "names":
                self._forget_deleted()
            case "lose":
                self._pending[op.name] = []
            case _:
                self._pending.setdefault(op.name, []).append(op)

    def _settle(self, name: str) -> None:
        content = self._left(name, lambda _: True)
        self._pending[name] = []
        if content is not None:
            self._durable[name] = content

    def _forget_deleted(self) -> None:
        for name, pending in self._pending.items():
            deletions = [n for n, op in enumerate(pending) if op.kind == "delete"]
            if deletions:
                self._durable.pop(name, None)
                self._pending[name] = pending[deletions[-1] + 1 :]

    def after_power_cut(self, chance: random.Random) -> dict[str, bytes]:
        """The files that are found when the power is back."""
        keeps = chance.choice((_everything, _nothing, _some_writes, _some_sectors, _some_sectors))(chance)
        found = {name: self._left(name, keeps) for name in {*self._durable, *self._pending}}
        return {name: bytes(content) for name, content in found.items() if content is not None}

    def _left(self, name: str, keeps: Callable[[Op], bool]) -> bytearray | None:
        durable = self._durable.get(name)
        content = None if durable is None else bytearray(durable)
        for op in self._pending.get(name, ()):
            if op.kind == "delete":
                if not keeps(op):
                    break  # the old file is there again, and what was done to a new one is nowhere
                content = None
                continue
            for piece in _sectors(op):
                if keeps(piece):
                    content = _changed(content or bytearray(), piece)
        return content


def _changed(content: bytearray, op: Op) -> bytearray:
    if op.kind == "truncate":
        del content[op.offset :]
        return content
    content.extend(bytes(max(0, op.offset - len(content))))
    content[op.offset : op.offset + len(op.data)] = op.data
    return content


def _sectors(op: Op) -> Iterator[Op]:
    """The pieces of which a cut leaves each or not."""
    start, end = op.offset, op.offset + len(op.data)
    if op.kind != "write":
        yield op
        return
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        yield op._replace(offset=start, data=op.data[start - op.offset : stop - op.offset])
        start = stop


def _everything(_chance: random.Random) -> Callable[[Op], bool]:
    return lambda _op: True


def _nothing(_chance: random.Random) -> Callable[[Op], bool]:
    return lambda _op: False


def _some_writes(chance: random.Random) -> Callable[[Op], bool]:
    """By pages, which begin where one does that was written as a whole."""
    fate: dict[int, bool] = {}
    return lambda op: fate.setdefault(op.offset // 4096, chance.random() < 0.5)


def _some_sectors(chance: random.Random) -> Callable[[Op], bool]:
    share = chance.random()
    return lambda _op: chance.random() < share
