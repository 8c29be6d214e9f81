"""The power is cut at every operation of the log on its disk, or that fails: nothing durable is lost."""

import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import apsw
import pytest
from attrs import define, field

from events import sqlite
from events.catalog import Record, SourceDropped
from events.codec import encode
from events.ids import Position, SourceId
from events.log import LogError, LogFull, read_all, verified
from events.sqlite import SqliteLog
from tests.crash.disk import Disk, Image, Op

CHECKPOINT_PAGES = 8
APPENDS = 40
CUTS, CUTS_SOAK = 6, 300
CUTS_AFTER_ERROR, CUTS_AFTER_ERROR_SOAK = 2, 50
NAME = "log.sqlite3"


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.unregister()


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In memory where that can be had: what is synced here is what `Disk` says, not what the machine does."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", CHECKPOINT_PAGES)
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as name:
        yield Path(name)


@define
class Life:
    """Appends to a log; `texts` are those of all batches so far, `ends` the positions at which one ended.

    `acknowledged` has, for each batch, after how many operations of the disk it was acknowledged.
    """

    path: Path
    disk: Disk
    texts: list[bytes] = field(factory=list)
    ends: list[int] = field(factory=lambda: [0])
    acknowledged: list[int] = field(factory=lambda: [0])

    def live(self, batches: Sequence[int], sizes: random.Random) -> None:
        """One opening, an append for each of `batches`, an orderly end; raises what the log does."""
        log = SqliteLog(self.path)
        try:
            for count in batches:
                head = log.head()
                records = [_record(head + n, sizes.choice((0, 40, 300, 3000))) for n in range(1, count + 1)]
                texts = [encode(record) for record in records]
                self.texts[head:] = texts
                self.ends.append(head + count)
                self._append(log, records)
                self.acknowledged.append(len(self.disk.ops))
        finally:
            with suppress(apsw.Error):  # the real file system's errors do not come this far
                log.close()
            log.close()

    def _append(self, log: SqliteLog, records: Sequence[Record]) -> None:
        try:
            log.append(records)
        except LogFull:  # for an instant
            log.append(records)

    def check(self, path: Path, after: int) -> None:
        """A log found on a disk that did `after` operations: whole batches, all that were acknowledged."""
        log = SqliteLog(path)
        try:
            found = [entry.text for entry in verified(read_all(log))]
            assert len(found) == log.head()
            assert found == self.texts[: len(found)]
            assert len(found) in self.ends
            known = [end for end, at in zip(self.ends, self.acknowledged, strict=False) if at <= after]
            assert len(found) >= known[-1]
            log.append([_record(len(found) + 1, 10)])
        finally:
            log.close()


def _record(place: int, size: int) -> Record:
    return Record(
        Position(place), float(place), SourceDropped(source=SourceId(f"{place:040x}"), reason="x" * size)
    )


def _write(files: dict[str, bytes], directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory / NAME


def test_the_power_is_cut_at_every_operation(disk: Disk, directory: Path, soak: bool) -> None:
    """From the first start on, over checkpoints and a restart: each time whole batches, and none too few."""
    chance = random.Random(3)
    life = Life(directory / NAME, disk)
    for _ in range(2):
        life.live([chance.choice((1, 1, 2, 5, 9)) for _ in range(APPENDS // 2)], chance)
    ops, image, images = list(disk.ops), Image(), 0
    disk.unregister()
    kinds = {(op.kind, op.name) for op in ops}
    assert {("write", NAME), ("sync", NAME), ("sync", f"{NAME}-wal"), ("delete", f"{NAME}-wal")} <= kinds
    for number, op in enumerate(ops, start=1):
        image.do(op)
        for seed in range(CUTS_SOAK if soak else CUTS):
            cut = random.Random(f"{number}/{seed}")
            path = _write(image.after_power_cut(cut), directory / "cut")
            try:
                life.check(path, number)
            except (AssertionError, LogError) as error:
                raise AssertionError(f"after operation {number} ({op[:3]}), cut {seed}") from error
            images += 1
    assert images >= 2000


@define
class FailsOnce:
    """What makes the disk fail: `left` operations of these kinds later."""

    kinds: Sequence[str]
    error: type[apsw.Error]
    left: int

    def __call__(self, op: Op) -> None:
        if op.kind in self.kinds:
            self.left -= 1
            if self.left == 0:
                raise self.error("injected")


@pytest.mark.parametrize(
    ("error", "kinds"),
    [(apsw.IOError, ("write", "truncate", "sync", "delete")), (apsw.FullError, ("write", "truncate"))],
)
def test_each_operation_fails(
    disk: Disk, directory: Path, soak: bool, error: type[apsw.Error], kinds: Sequence[str]
) -> None:
    """Once, and the power is cut when the process has ended of it: nothing that was acknowledged is lost."""
    number, fault = 0, FailsOnce(kinds, error, 0)
    while fault.left <= 0:
        number += 1
        life = Life(_write({}, directory / f"{number}"), disk)
        disk.ops.clear()
        disk.fault = fault = FailsOnce(kinds, error, number)
        with suppress(LogError):
            life.live([1, 5, 1, 2, 9, 1, 1, 3], random.Random(5))
        disk.fault = lambda _op: None
        ops, image = list(disk.ops), Image()
        for op in ops:
            image.do(op)
        for seed in range(CUTS_AFTER_ERROR_SOAK if soak else CUTS_AFTER_ERROR):
            cut = random.Random(f"{number}/{seed}")
            life.check(_write(image.after_power_cut(cut), directory / "cut"), len(ops))
        life.check(life.path, len(ops))
    assert number > 50
