"""Builds whose client goes away, in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from coordinator.attendance import LOOK_SECONDS, REASON, Attendance
from coordinator.core import Coordinator
from events.ids import BuildId
from events.log import LogFull, MemoryLog
from events.transitions import BuildStatus
from tests.coordinator.memory import build, job, running

GRACE = 10.0


@asynccontextmanager
async def watching(core: Coordinator) -> AsyncIterator[Attendance]:
    attendance = Attendance(core, GRACE)
    async with trio.open_nursery() as nursery:
        await nursery.start(attendance.watch_forever)
        yield attendance
        nursery.cancel_scope.cancel()


def status(core: Coordinator, build: BuildId) -> BuildStatus:
    return core.state.builds[build].status


async def test_a_build_that_is_left_alone_is_cancelled(autojump_clock: MockClock) -> None:
    """After the grace, and with the reason."""
    async with running() as core, watching(core) as attendance:
        id_ = await build(core, job("a"))
        with attendance.attend(id_):
            await trio.sleep(100)
            assert status(core, id_) is BuildStatus.RUNNING
        await trio.sleep(GRACE - 0.1)
        assert status(core, id_) is BuildStatus.RUNNING
        await trio.sleep(2 * LOOK_SECONDS + 0.1)
        assert status(core, id_) is BuildStatus.CANCELLED
        assert core.state.builds[id_].error == REASON


async def test_a_client_that_comes_back_in_time_keeps_its_build(autojump_clock: MockClock) -> None:
    """The grace begins anew each time; one of several is enough."""
    async with running() as core, watching(core) as attendance:
        id_ = await build(core, job("a"))
        for _ in range(5):
            await trio.sleep(GRACE - 1)
            with attendance.attend(id_), attendance.attend(id_):
                await trio.sleep(1)
        with attendance.attend(id_):
            with attendance.attend(id_):
                pass
            await trio.sleep(100)
        assert status(core, id_) is BuildStatus.RUNNING


async def test_a_detached_build_outlives_its_client(autojump_clock: MockClock) -> None:
    """It was started to do so."""
    async with running() as core, watching(core):
        id_ = await build(core, job("a"), detached=True)
        await trio.sleep(1000)
        assert status(core, id_) is BuildStatus.RUNNING


async def test_a_restart_begins_the_grace_anew(autojump_clock: MockClock) -> None:
    """While we were down nobody could come back."""
    log = MemoryLog()
    async with running(log) as core:
        id_ = await build(core, job("a"))
    await trio.sleep(1000)
    async with running(log) as core, watching(core):
        await trio.sleep(GRACE - 1)
        assert status(core, id_) is BuildStatus.RUNNING
        await trio.sleep(3)
        assert status(core, id_) is BuildStatus.CANCELLED


async def test_a_full_disk_does_not_end_the_watch(autojump_clock: MockClock) -> None:
    """The cancellation is refused, and comes when there is room."""
    is_full = [False]

    def fail() -> None:
        if is_full[0]:
            raise LogFull("no space")

    async with running(MemoryLog(fail), has_room=lambda: not is_full[0]) as core, watching(core):
        id_ = await build(core, job("a"))
        is_full[0] = True
        await trio.sleep(GRACE + 5)
        assert status(core, id_) is BuildStatus.RUNNING
        is_full[0] = False
        await trio.sleep(5)
        assert status(core, id_) is BuildStatus.CANCELLED
