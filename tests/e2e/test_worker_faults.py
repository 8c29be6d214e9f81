"""Workers that die, stop, come back or are told to go: no job is lost, none is counted twice."""

import pytest

from events.catalog import HeartbeatReceived, JobLeased, JobReleased, JobSucceeded, WorkerLost
from tests.e2e import logs
from tests.e2e.farm import Farm
from tests.e2e.processes import is_alive, until
from tests.e2e.yard import shell

pytestmark = pytest.mark.e2e


async def gone(pids: list[int], *, seconds: float) -> None:
    """Wait until none of the processes is alive."""

    async def look() -> bool:
        return not any(map(is_alive, pids))

    await until(f"the end of {pids}", look, seconds=seconds)


async def test_another_worker_finishes_what_a_killed_one_began(farm: Farm) -> None:
    """kill -9 of a worker takes the job's processes along, and costs the client nothing but time."""
    await farm.coordinator()
    workers = {worker.url: worker for worker in [await farm.worker("one"), await farm.worker("two")]}
    graph = farm.graph()
    shell(graph, "held", farm.yard.mark("began"), farm.yard.gate("go on"))
    client = farm.build(graph)
    build = await farm.only_build()
    job = await farm.job(build, "held", "running")
    began = await farm.passed("began")
    workers[job["worker"]].kill9()
    await gone(began, seconds=5.0)
    farm.yard.open("go on")
    assert await client.ended() == 0
    assert len(farm.yard.marks("began")) == 2
    log = farm.log()
    first, second = logs.events(log, JobLeased)
    assert (first.worker, second.worker) == (job["worker"], (set(workers) - {job["worker"]}).pop())
    assert [event.lease for event in logs.events(log, JobReleased)] == [first.lease]
    assert [event.lease for event in logs.events(log, JobSucceeded)] == [second.lease]


async def test_an_idle_worker_is_not_taken_for_lost(farm: Farm) -> None:
    """Its heartbeat is held while there is no work, but never for so long that it seems silent."""
    await farm.coordinator()
    await farm.worker("one")
    await farm.workers("alive", number=1)

    async def look() -> bool:
        return len(logs.events(farm.log(), HeartbeatReceived)) >= 5

    await until("some heartbeats of an idle worker", look)
    assert not logs.events(farm.log(), WorkerLost)
