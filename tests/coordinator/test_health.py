"""What serves is asked whether it is well; what does not say so is begun anew, and fails in the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio

from clients import wire
from coordinator.core import Coordinator
from coordinator.health import Check, Health, checks
from events.catalog import Container
from events.commands import NewJob, ReportContainer
from events.ids import BuildId, LeaseId
from events.transitions import JobStatus
from tests.clients.peers import Network, Peer
from tests.coordinator.memory import WORKER, beat, build, job_id, running

WEB = Container(image="web:1", ports=("80/tcp",), health="/health", restarts=1)
ENGINE = {"engine": "docker"}


async def _serves(core: Coordinator, container: Container = WEB) -> tuple[BuildId, LeaseId]:
    """A job whose container runs."""
    await core.submit(beat(labels=ENGINE))
    id_ = await build(core, NewJob(id=job_id("web"), container=container))
    return id_, await _runs(core)


async def _runs(core: Coordinator) -> LeaseId:
    await core.submit(beat(labels=ENGINE))
    lease = core.state.leases_of[WORKER][job_id("web")]
    await core.submit(ReportContainer(lease=lease, container="c", ports={"80/tcp": "127.0.0.1:8080"}))
    return lease


@asynccontextmanager
async def _health(core: Coordinator, statuses: list[int], asked: list[str]) -> AsyncIterator[Health]:
    """Each question is answered with the next status; with none left, not at all."""

    async def answer(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            asked.append(request[0])
            if not statuses:
                return
            await peer.answer(b"", status=statuses.pop(0))

    async with trio.open_nursery() as nursery:
        network = Network(nursery, answer)
        yield Health(core, partial(wire.Client, open_stream=network.open_stream), 60.0)
        nursery.cancel_scope.cancel()


async def test_what_is_well_is_left_alone(autojump_clock: trio.testing.MockClock) -> None:
    """It is asked at its first port, on its worker's machine; not before it has run for a while."""
    async with running() as core:
        id_, lease = await _serves(core)
        asked = list[str]()
        async with _health(core, [200, 200], asked) as health:
            await health.look()
            assert asked == []
            await trio.sleep(60)
            await health.look()
        assert asked == ["GET /health"]
        assert list(checks(core.state, core.now())) == [Check(lease, "http://w.invalid:8080", "/health")]
        assert core.state.graphs[id_].restarts == {}


async def test_what_is_not_well_is_begun_anew_and_then_fails(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It answers something else, or nothing."""
    async with running() as core:
        id_, _ = await _serves(core)
        async with _health(core, [500], list[str]()) as health:
            await trio.sleep(60)
            await health.look()
            assert core.state.graphs[id_].restarts == {job_id("web"): 1}
            await _runs(core)
            await trio.sleep(60)
            await health.look()
        job = core.state.graphs[id_].jobs[job_id("web")]
        assert job.status is JobStatus.FAILED
        assert job.note.startswith("unhealthy: http://w.invalid:8080")


async def test_nobody_asks_what_has_no_port_or_says_nothing_of_health(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """There is nothing to ask."""
    for container in (Container(image="web:1", ports=("80/tcp",)), Container(image="web:1", health="/")):
        async with running() as core:
            await _serves(core, container)
            assert list(checks(core.state, core.now() + 100)) == []
