"""Coordinators that are killed while they archive: the log stays one, whole, and what it was."""

from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
import trio

from clients import wire
from clients.cli.exits import Exit
from coordinator.keeping import take_snapshot
from events import segments, snapshot
from events.hindsight.audit import audit_file
from events.sqlite import SqliteReader
from tests.crash.cradle import LOOK_SECONDS, Cradle, Life
from tests.crash.peers import short_run
from tests.crash.runs import LOG, Run
from tests.e2e.processes import SECONDS

pytestmark = pytest.mark.e2e

# Each life archives what the ones before it have left.
OPTIONS = ("--fresh-days", "1e-9")
ROUNDS = 2


def made(data: Path) -> int:
    """How many segments there are, or are about to be."""
    return len(list((data / segments.DIRECTORY).glob("*")))


def noted(data: Path) -> int:
    with closing(SqliteReader(data / LOG)) as reader:
        return reader.meta().archived


def let_go(data: Path) -> int:
    with closing(SqliteReader(data / LOG)) as reader:
        return reader.meta().pruned


async def press_on(life: Life, run: Run, name: str) -> None:
    """Builds, results and a cancelled build; as far as it comes."""
    with suppress(wire.Unreachable):
        async with wire.Client(life.url) as client:
            for step in short_run(client, run.ledger, name):
                await step()


async def grows(what: Callable[[Path], int], data: Path) -> None:
    """Wait until there is more of it."""
    before = what(data)
    with trio.fail_after(SECONDS):
        while what(data) <= before:
            await trio.sleep(LOOK_SECONDS)


async def live(cradle: Cradle, run: Run, name: str, until: Callable[[Path], int]) -> None:
    """A life that is killed as soon as it has got that far; what it started lives on."""
    life = cradle.coordinator(run.data, *OPTIONS)
    async with trio.open_nursery() as nursery:
        await life.ready()
        nursery.start_soon(press_on, life, run, name)
        await grows(until, run.data)
        await life.kill9()


async def test_killed_while_it_archives(cradle: Cradle, tmp_path: Path) -> None:
    """Before a segment is there, before the log knows of it, before its records are gone, and after."""
    run = Run(tmp_path / "data")
    life = await cradle.coordinator(run.data).ready()
    await press_on(life, run, "first")
    await life.kill9()
    for number in range(ROUNDS):
        for until in (made, noted, let_go):
            await live(cradle, run, f"{until.__name__}-{number}", until)
            run.check()
        life = await cradle.coordinator(run.data, *OPTIONS).ready()
        await life.kill9()
    log = run.check()
    with closing(SqliteReader(run.data / LOG)) as reader:
        assert audit_file(reader).records == len(log)
        assert reader.meta().archived > 0
        kept = reader.rows(log[0].record.position, log[-1].record.position)
        assert len(kept) < len(log)


async def test_an_archive_that_is_gone(cradle: Cradle, tmp_path: Path) -> None:
    """No start without it, unless a snapshot covers it: then a warning."""
    run = Run(tmp_path / "data")
    life = await cradle.coordinator(run.data).ready()
    await press_on(life, run, "first")
    await life.kill9()
    await live(cradle, run, "second", let_go)
    take_snapshot(run.data / LOG)
    archive = run.data / segments.DIRECTORY
    archive.rename(tmp_path / "elsewhere")
    life = await cradle.coordinator(run.data).ready()
    await life.kill9()
    assert "the archive is not whole: put its files back" in life.stderr.read_text()
    for path in snapshot.found(run.data / "snapshots"):
        path.unlink()
    life = cradle.coordinator(run.data)
    assert await life.ended() == Exit.CORRUPT_LOG
    assert "are archived, and" in life.stderr.read_text()
    assert "put its files back" in life.stderr.read_text()
    (tmp_path / "elsewhere").rename(archive)
    life = await cradle.coordinator(run.data).ready()
    await life.kill9()
    run.check()
