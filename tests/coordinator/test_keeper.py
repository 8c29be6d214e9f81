"""Snapshots of a running coordinator: taken by another process, now and then, and good for a start."""

import os
from collections.abc import Container, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio
from attrs import Factory, define
from trio.testing import MockClock

from coordinator import keeping, snapshots
from coordinator.keeper import FileKeeper, Fresh, KeepingFailed, Sample
from coordinator.snapshots import take_snapshots_forever
from events import snapshot
from events.catalog import CoordinatorStarted
from events.codec import decode
from events.digest import digest
from events.fold import replay
from events.ids import BuildId, Position
from events.restore import DIRECTORY
from events.sqlite import SqliteLog
from events.state import State
from tests.coordinator.go import Worker, graph, outcome, working
from tests.coordinator.go import build as go_build
from tests.coordinator.go import job as go_job
from tests.coordinator.live import running as live
from tests.coordinator.memory import beat, build, running
from tests.coordinator.memory import job as new_job
from tests.events.story import in_order
from tests.golden.scenarios import HERE

HISTORY = [decode(line) for line in (HERE / "two_builds_share_and_reuse.jsonl").read_bytes().splitlines()]
RECORDS = 100


@define
class Notes:
    """A keeper that only notes when it is asked, and is as good or bad as told."""

    core_at: list[int]
    last: int = 0
    problem: str = ""
    error: Exception | None = None
    samples: list[Sample | None] = Factory(list)

    def restore(self) -> State:
        return State()

    def last_snapshot(self) -> Position:
        return Position(self.last)

    def state_at(self, position: Position) -> State:
        return State()

    def archived(self) -> Position:
        return Position(0)

    async def archive(self, fresh: Fresh, now: float) -> Position:
        return Position(0)

    def let_go(self, upto: Position, kept: Container[BuildId]) -> Iterator[object]:
        return iter(())

    async def take_snapshot(self, live: Sample | None) -> str:
        self.samples.append(live)
        self.core_at.append(int(trio.current_time()))
        if self.error is not None:
            raise self.error
        return self.problem


async def test_a_snapshot_is_taken_after_so_many_records(autojump_clock: MockClock) -> None:
    """Not before, and not again before as many have come."""
    notes = Notes([])
    async with running() as core, trio.open_nursery() as nursery:
        await nursery.start(take_snapshots_forever, core, notes, RECORDS)
        for number in range(3 * RECORDS):
            await core.submit(beat(slots_free=number % 2))
            await trio.sleep(10)
        times = [round(at / 1000) for at in notes.core_at]
        assert times == [1, 2, 3]
        nursery.cancel_scope.cancel()


async def test_it_waits_until_nothing_runs_but_not_for_ever(autojump_clock: MockClock) -> None:
    """The process that takes it wants a processor, too."""
    notes = Notes([])
    async with running() as core, trio.open_nursery() as nursery:
        await nursery.start(take_snapshots_forever, core, notes, RECORDS)
        await build(core, new_job("a"))
        await core.submit(beat())
        lease = next(iter(core.state.leases))
        while core.journal.durable < 2 * RECORDS - 5:
            await core.submit(beat(slots_free=0, running=(lease,)))
            await trio.sleep(10)
        assert notes.core_at == []
        for _ in range(10):
            await core.submit(beat(slots_free=0, running=(lease,)))
            await trio.sleep(10)
        assert len(notes.core_at) == 1
        nursery.cancel_scope.cancel()


async def test_a_start_remembers_the_last_one(autojump_clock: MockClock) -> None:
    """From its name; so many starts do not take many snapshots, nor none."""
    notes = Notes([], last=50)
    async with running() as core, trio.open_nursery() as nursery:
        await nursery.start(take_snapshots_forever, core, notes, RECORDS)
        for number in range(RECORDS + 60):
            await core.submit(beat(slots_free=number % 2))
            await trio.sleep(10)
        assert [round(at / 100) for at in notes.core_at] == [15]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("error", [KeepingFailed("no space"), OSError(12, "no memory")])
async def test_a_failure_is_told_and_tried_again_later(autojump_clock: MockClock, error: Exception) -> None:
    """It is but a cache."""
    notes = Notes([], error=error)
    async with running() as core, trio.open_nursery() as nursery:
        await nursery.start(take_snapshots_forever, core, notes, RECORDS)
        for number in range(2 * RECORDS + 5):
            await core.submit(beat(slots_free=number % 2))
            await trio.sleep(10)
        assert len(notes.core_at) == 2
        assert core.distrust == ""
        nursery.cancel_scope.cancel()


async def test_a_state_that_contradicts_itself_is_not_trusted(autojump_clock: MockClock) -> None:
    """Whoever takes the snapshot looks at all of it, which the coordinator itself has no time for."""
    notes = Notes([], problem="worker w has room for 1\nand more")
    async with running() as core, trio.open_nursery() as nursery:
        await nursery.start(take_snapshots_forever, core, notes, 1)
        await core.submit(beat())
        await trio.sleep(10)
        assert core.distrust == "a snapshot was to be taken: worker w has room for 1"
        nursery.cancel_scope.cancel()


async def test_the_state_is_shown_to_whoever_replays(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as that is quick."""
    notes = Notes([])
    async with running() as core, trio.open_nursery() as nursery:
        await nursery.start(take_snapshots_forever, core, notes, 1)
        await core.submit(beat())
        await trio.sleep(10)
        assert notes.samples.pop() == Sample(core.state.position, digest(core.state))
        monkeypatch.setattr(snapshots, "SAMPLE_MAX", 0)
        await build(core, new_job("a"))
        await trio.sleep(10)
        assert notes.samples.pop() is None
        nursery.cancel_scope.cancel()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite3"


async def test_another_process_takes_it(path: Path) -> None:
    """The first of all records, the next on top of the first; a start takes the last one."""
    with closing(SqliteLog(path)) as log:
        keeper = FileKeeper(path, log)
        assert keeper.last_snapshot() == 0
        log.append(HISTORY[:-1])
        assert await keeper.take_snapshot(None) == ""
        assert keeper.last_snapshot() == len(HISTORY) - 1
        log.append(HISTORY[-1:])
        assert await keeper.take_snapshot(None) == ""
        assert keeper.last_snapshot() == len(HISTORY)
        assert in_order(keeper.restore()) == in_order(replay(HISTORY))
    head, _ = snapshot.read(snapshot.found(path.parent / DIRECTORY)[0])
    assert head.position == len(HISTORY)


async def test_it_looks_at_all_before_it_keeps_it(path: Path) -> None:
    """A log that ends within a command is one that makes no sense."""
    end = next(record.position for record in HISTORY if type(record.event).__name__ == "JobAdded")
    with closing(SqliteLog(path)) as log:
        log.append(HISTORY[:end])
        assert "jobs of build" in await FileKeeper(path, log).take_snapshot(None)
    assert snapshot.found(path.parent / DIRECTORY) == []


async def test_it_holds_the_state_against_the_log(path: Path) -> None:
    """At the state's own position, though the log has gone on since."""
    end = HISTORY[40].position
    right = Sample(end, digest(replay(HISTORY[:end])))
    with closing(SqliteLog(path)) as log:
        log.append(HISTORY)
        wrong = right._replace(digest="0" * 64)
        said = await FileKeeper(path, log).take_snapshot(wrong)
        assert said == f"up to {end} the log adds up to another state"
        assert snapshot.found(path.parent / DIRECTORY) == []
        keeper = FileKeeper(path, log)
        assert await keeper.take_snapshot(right) == ""
        assert keeper.last_snapshot() == end


async def test_its_last_words_are_passed_on(path: Path) -> None:
    """Here, that there is no log at all."""
    with closing(SqliteLog(path)) as log, pytest.raises(KeepingFailed, match="there is no log at"):
        await FileKeeper(path.with_name("other.sqlite3"), log).take_snapshot(None)


async def test_a_stop_does_not_wait_for_it(path: Path) -> None:
    """It is ended like everything else."""
    with closing(SqliteLog(path)) as log:
        log.append(HISTORY)
        with trio.fail_after(10):
            with trio.move_on_after(0.05):
                await FileKeeper(path, log).take_snapshot(None)


def test_it_makes_way_for_everybody_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it does anything else."""
    with closing(SqliteLog(path)) as log:
        log.append(HISTORY)
    asked: list[int] = []
    monkeypatch.setattr(os, "nice", asked.append)
    keeping.main("snapshot", str(path))
    assert asked == [19]
    assert f'"position": {len(HISTORY)}' in capsys.readouterr().out


async def test_a_coordinator_starts_from_its_snapshot(tmp_path: Path) -> None:
    """With all that it had; a spoilt one keeps it from nothing."""
    async with live(tmp_path, snapshot_records=1) as first:
        async with working(Worker(first)):
            assert outcome(await go_build(first, graph(go_job("a")))) == ""
        with trio.fail_after(20):
            while not snapshot.found(tmp_path / DIRECTORY):
                await trio.sleep(0.05)
        builds = await first.get("/api/builds")
    for spoilt in (False, True):
        if spoilt:
            for path in snapshot.found(tmp_path / DIRECTORY):
                path.write_bytes(path.read_bytes()[:-1])
        async with live(tmp_path) as again:
            assert (await again.get("/api/builds"))["builds"] == builds["builds"]
    with closing(SqliteLog(tmp_path / "log.sqlite3")) as log:
        started = [entry.record.event for entry in log.read()]
    assert sum(isinstance(event, CoordinatorStarted) for event in started) == 3
