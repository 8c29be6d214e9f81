"""Reports that say nothing new: who is answered without the disk, and what the log has of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock, wait_all_tasks_blocked

from coordinator.alarm import ring_forever
from coordinator.core import Coordinator
from coordinator.dispatch import Dispatch
from coordinator.heartbeats import Answer, Heartbeats
from coordinator.quiet import Quiet
from events.catalog import WorkersHeard
from events.commands import Settings
from events.ids import WorkerId
from events.log import MemoryLog
from tests.coordinator.memory import WORKER, Disk, FullLog, beat, build, job, replayed, running

OTHER = WorkerId("http://other.invalid")


@frozen
class Room:
    core: Coordinator
    quiet: Quiet
    heartbeats: Heartbeats
    log: MemoryLog
    disk: Disk

    @property
    def heard(self) -> list[tuple[str, ...]]:
        """The workers of each `WorkersHeard`."""
        events = [entry.record.event for entry in self.log.read()]
        return [event.workers for event in events if isinstance(event, WorkersHeard)]


@asynccontextmanager
async def room(log: MemoryLog | None = None, settings: Settings | None = None) -> AsyncIterator[Room]:
    log, disk = log or MemoryLog(), Disk()
    disk.is_open.set()
    full = running(log, disk=disk, settings=settings, has_room=lambda: not getattr(log, "is_full", False))
    async with full as core, trio.open_nursery() as nursery:
        dispatch, quiet = Dispatch(core), Quiet(core)
        await nursery.start(dispatch.call_forever)
        await nursery.start(quiet.record_forever)
        await nursery.start(ring_forever, core, quiet)
        yield Room(core, quiet, Heartbeats(core, dispatch, quiet), log, disk)
        nursery.cancel_scope.cancel()


async def test_a_quiet_report_does_not_wait_for_the_disk(autojump_clock: MockClock) -> None:
    """The first one does; what the second one says is in the log a moment later."""
    async with room() as at:
        await at.heartbeats.take(beat(), 0.0)
        writes, began = at.disk.writes, trio.current_time()
        assert await at.heartbeats.take(beat(), 0.0) == Answer()
        assert (at.disk.writes, trio.current_time()) == (writes, began)
        await trio.sleep(1.5)
        assert at.heard == [(WORKER,)]
        assert replayed(at.log) == at.core.state


async def test_a_thousand_reports_a_second_are_one_record(autojump_clock: MockClock) -> None:
    """In the order of the last one of each."""
    async with room() as at:
        workers = [WorkerId(f"http://w{number}.invalid") for number in range(10)]
        for worker in workers:
            await at.heartbeats.take(beat(worker), 0.0)
        await trio.sleep(1.1)
        head = at.log.head()
        for _ in range(100):
            for worker in workers:
                await at.heartbeats.take(beat(worker), 0.0)
        await trio.sleep(1.1)
        assert at.log.head() == head + 1
        assert at.heard == [tuple(workers)]


async def test_an_idle_farm_leaves_a_record_a_second_at_most(autojump_clock: MockClock) -> None:
    """Workers are held as long as our patience with silent ones allows; nobody is lost."""
    async with room() as at, trio.open_nursery() as nursery:

        async def idle(number: int) -> None:
            await trio.sleep(number * 0.37)
            while True:
                await at.heartbeats.take(beat(WorkerId(f"http://w{number}.invalid")), 15.0)

        for number in range(100):
            nursery.start_soon(idle, number)
        await trio.sleep(60)
        head = at.log.head()
        await trio.sleep(600)
        assert at.log.head() - head <= 600
        assert sum(map(len, at.heard)) == pytest.approx(100 * 660 / 15, rel=0.1)
        assert len(at.core.state.silence) == 100
        nursery.cancel_scope.cancel()


async def test_nobody_is_lost_who_is_only_noted(autojump_clock: MockClock) -> None:
    """Before the alarm rings, it hears of those who reported; the one who did not is lost."""
    settings = Settings(lease_seconds=0.5, worker_silence_seconds=0.5)
    async with room(settings=settings) as at:
        await at.core.submit(beat())
        await at.core.submit(beat(OTHER))
        for _ in range(40):
            await trio.sleep(0.2)
            assert at.quiet.note(beat())
        assert list(at.core.state.silence) == [WORKER]
        told = [type(entry.record.event).__name__ for entry in at.log.read()]
        assert told.count("WorkerLost") == 1


async def test_a_quiet_worker_is_woken_by_work(autojump_clock: MockClock) -> None:
    """At that very moment."""
    async with room() as at, trio.open_nursery() as nursery:
        await at.heartbeats.take(beat(), 0.0)
        answers: list[Answer] = []

        async def ask() -> None:
            answers.append(await at.heartbeats.take(beat(), 15.0))

        nursery.start_soon(ask)
        await trio.sleep(10)
        assert not answers
        await build(at.core, job("a"))
        came = trio.current_time()
        await wait_all_tasks_blocked()
        assert [each.spec.name for each in answers[0].assignments] == ["a"]
        assert trio.current_time() == came


async def test_while_the_disk_is_full_nothing_is_quiet(autojump_clock: MockClock) -> None:
    """Such a report waits for room like any other, and who was noted before is recorded then."""
    log = FullLog()
    async with room(log) as at, trio.open_nursery() as nursery:
        await at.core.submit(beat())
        await at.core.submit(beat(OTHER))
        log.is_full = True
        nursery.start_soon(at.heartbeats.take, beat(OTHER, slots_free=0), 0.0)
        assert at.quiet.note(beat())
        await wait_all_tasks_blocked()
        assert at.core.journal.is_full
        assert not at.quiet.note(beat(OTHER))
        await trio.sleep(1.5)
        assert at.heard == []
        log.is_full = False
        await trio.sleep(2)
        assert at.heard == [(WORKER,)]
