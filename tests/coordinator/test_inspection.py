"""A coordinator that contradicts itself says so, and takes no new builds, in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
import trio
from trio.testing import MockClock

from coordinator import inspection
from coordinator.builds import start
from coordinator.core import Coordinator
from coordinator.inspection import LOOK_SECONDS, inspect_forever
from events.commands import StartBuild
from events.errors import UNSOUND, Rejected
from events.ids import BuildId
from events.transitions import JobStatus
from tests.coordinator.memory import beat, build, job, running


@asynccontextmanager
async def inspecting(core: Coordinator) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(inspect_forever, core)
        yield
        nursery.cancel_scope.cancel()


def corrupt(core: Coordinator, build: BuildId) -> None:
    """One job more in the tally than there is."""
    core.state.graphs[build].tally[JobStatus.QUEUED] += 1


async def test_a_sound_state_is_trusted(autojump_clock: MockClock) -> None:
    """Whatever happens."""
    async with running() as core, inspecting(core):
        for _ in range(5):
            await build(core, job("a"), job("b", "a"))
            await core.submit(beat())
            await trio.sleep(LOOK_SECONDS)
        assert core.distrust == ""


async def test_a_contradiction_is_told_and_stops_new_builds(autojump_clock: MockClock) -> None:
    """Those that run go on: nobody's work is thrown away, and nothing is repaired."""
    with structlog.testing.capture_logs() as lines:
        async with running() as core, inspecting(core):
            id_ = await build(core, job("a"))
            corrupt(core, id_)
            await trio.sleep(2 * LOOK_SECONDS)
            assert f"tally of build {id_}" in core.distrust
            with pytest.raises(Rejected) as refusal:
                await start(core, StartBuild(jobs=(job("b"),)))
            assert refusal.value.code is UNSOUND
            await core.submit(beat())
            assert core.state.leases
    assert [line["log_level"] for line in lines if "contradicts" in line["event"]] == ["critical"]


async def test_a_large_state_is_looked_at_build_by_build(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in its turn, so that no look takes long; one that is too large by itself is passed over."""
    monkeypatch.setattr(inspection, "JOBS_MAX", 2)
    async with running() as core, inspecting(core):
        await build(core, job("a"), job("b"), job("c"))
        await build(core, job("d"), job("e"))
        last = await build(core, job("f"))
        corrupt(core, last)
        for _ in range(3):
            await core.submit(beat(slots=0))
            await trio.sleep(LOOK_SECONDS)
        assert f"tally of build {last}" in core.distrust


async def test_an_idle_coordinator_is_left_in_peace(autojump_clock: MockClock) -> None:
    """What has not changed is not looked at again."""
    async with running() as core, inspecting(core):
        id_ = await build(core, job("a"))
        await trio.sleep(2 * LOOK_SECONDS)
        corrupt(core, id_)
        await trio.sleep(100 * LOOK_SECONDS)
        assert core.distrust == ""
