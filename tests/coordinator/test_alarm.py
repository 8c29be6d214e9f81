"""The alarm in virtual time: silence has consequences, our own sleep has none."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from coordinator.alarm import STALL_SECONDS, Alarm, ring_forever
from coordinator.core import Coordinator
from coordinator.quiet import Quiet
from events.catalog import CoordinatorStalled
from events.commands import Settings
from events.log import LogFull, MemoryLog
from tests.coordinator.memory import Disk, beat, build, job, running

SETTINGS = Settings(lease_seconds=30, worker_silence_seconds=60)


def told(log: MemoryLog) -> list[str]:
    return [type(entry.record.event).__name__ for entry in log.read()]


def refuses_writes(core: Coordinator) -> bool:
    return core.journal.is_full


async def test_a_silent_worker_loses_its_lease_and_then_its_place(autojump_clock: MockClock) -> None:
    """One tick for each consequence, soon after it is due, and none while nothing is."""
    log = MemoryLog()
    async with running(log, settings=SETTINGS) as core, trio.open_nursery() as nursery:
        await nursery.start(ring_forever, core, Quiet(core))
        await build(core, job("a"))
        await core.submit(beat())
        began, head = trio.current_time(), log.head()
        await trio.sleep(29)
        assert log.head() == head
        await trio.sleep(1.5)
        assert told(log)[head:] == ["TimePassed", "JobReleased"]
        assert trio.current_time() - began < 31
        await trio.sleep(30)
        assert told(log)[head:] == ["TimePassed", "JobReleased", "TimePassed", "WorkerLost"]
        await trio.sleep(1000)
        assert told(log)[head:].count("TimePassed") == 2
        nursery.cancel_scope.cancel()


async def test_a_worker_that_reports_keeps_its_lease(autojump_clock: MockClock) -> None:
    """Each report renews it."""
    async with running(settings=SETTINGS) as core, trio.open_nursery() as nursery:
        await nursery.start(ring_forever, core, Quiet(core))
        await build(core, job("a"))
        await core.submit(beat())
        lease = next(iter(core.state.leases))
        for _ in range(20):
            await trio.sleep(20)
            await core.submit(beat(slots_free=0, running=(lease,)))
        assert list(core.state.leases) == [lease]
        nursery.cancel_scope.cancel()


async def test_our_own_sleep_is_nobodys_silence(autojump_clock: MockClock) -> None:
    """A look that comes much too late renews every lease instead of ending them."""
    log = MemoryLog()
    async with running(log, settings=SETTINGS) as core:
        await build(core, job("a"))
        await core.submit(beat())
        alarm = Alarm(core, Quiet(core))
        await trio.sleep(100)
        await alarm.look(99.75)
        assert told(log)[-1] == "CoordinatorStalled"
        await alarm.look(0.0)
        assert core.state.leases
        await trio.sleep(31)
        await alarm.look(0.0)
        assert not core.state.leases


async def test_a_little_late_is_no_stall(autojump_clock: MockClock) -> None:
    """A busy event loop is late all the time."""
    log = MemoryLog()
    async with running(log) as core:
        await Alarm(core, Quiet(core)).look(STALL_SECONDS)
        assert told(log) == ["CoordinatorStarted"]


async def test_a_slow_disk_is_nobodys_silence(autojump_clock: MockClock) -> None:
    """While a commit hangs, reports cannot be answered; the time it took is made good."""
    disk, log = Disk(), MemoryLog()
    disk.is_open.set()
    async with running(log, disk=disk, settings=SETTINGS) as core, trio.open_nursery() as nursery:
        await nursery.start(ring_forever, core, Quiet(core))
        await build(core, job("a"))
        await core.submit(beat())
        lease = next(iter(core.state.leases))
        disk.close()
        nursery.start_soon(core.submit, beat(slots_free=0, running=(lease,)))
        await trio.sleep(100)
        disk.is_open.set()
        await trio.sleep(1)
        stalls = [e.record.event for e in log.read() if isinstance(e.record.event, CoordinatorStalled)]
        assert [stall.seconds for stall in stalls] == [pytest.approx(100, abs=1)]
        assert list(core.state.leases) == [lease]
        nursery.cancel_scope.cancel()


async def test_a_full_disk_is_nobodys_silence(autojump_clock: MockClock) -> None:
    """Reports were refused while it was full; when there is room again, the workers begin anew."""
    is_full = [False]

    def fail() -> None:
        if is_full[0]:
            raise LogFull("no space")

    log = MemoryLog(fail)
    full = running(log, settings=SETTINGS, has_room=lambda: not is_full[0])
    async with full as core, trio.open_nursery() as nursery:
        await nursery.start(ring_forever, core, Quiet(core))
        await build(core, job("a"))
        await core.submit(beat())
        is_full[0] = True
        await trio.sleep(100)  # the alarm itself runs into it
        assert refuses_writes(core)
        is_full[0] = False
        await trio.sleep(3)
        assert not refuses_writes(core)
        assert core.state.leases
        assert "CoordinatorStalled" in told(log)
        assert "TimePassed" not in told(log)
        nursery.cancel_scope.cancel()


async def test_the_alarm_survives_a_refusal(autojump_clock: MockClock) -> None:
    """It comes again."""
    is_full = [True]

    def fail() -> None:
        if is_full[0] and log.head():
            raise LogFull("no space")

    log = MemoryLog(fail)
    async with running(log, has_room=lambda: not is_full[0]) as core, trio.open_nursery() as nursery:
        is_full[0] = False
        await core.submit(beat())
        await nursery.start(ring_forever, core, Quiet(core))
        is_full[0] = True
        await trio.sleep(40)
        is_full[0] = False
        await trio.sleep(60)
        await wait_all_tasks_blocked()
        assert told(log)[-1] == "WorkerLost"
        nursery.cancel_scope.cancel()
