"""Workers that die, stop, come back or are told to go: no job is lost, none is counted twice."""

import signal

import pytest

from clients.graphs import artifact, output
from events.catalog import (
    HeartbeatReceived,
    JobLeased,
    JobReleased,
    JobReopened,
    JobSucceeded,
    WorkerLost,
    WorkersHeard,
)
from tests.e2e import logs
from tests.e2e.farm import PATIENCE, Farm
from tests.e2e.processes import gone, until
from tests.e2e.yard import shell

pytestmark = pytest.mark.e2e

# So long that whatever a test sees was not brought about by a lease that ran out.
LONG = ("--lease-seconds", "300", "--worker-silence-seconds", "300")


async def test_another_worker_finishes_what_a_killed_one_began(farm: Farm) -> None:
    """kill -9 of a worker takes the job's processes along, and costs the client nothing but time."""
    await farm.coordinator(*PATIENCE)
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
    await farm.coordinator(*PATIENCE)
    await farm.worker("one")
    await farm.workers("alive", number=1)

    async def look() -> bool:
        return len(logs.events(farm.log(), WorkersHeard)) >= 4

    await until("some quiet heartbeats of an idle worker", look)
    assert not logs.events(farm.log(), WorkerLost)


async def test_a_worker_that_comes_back_too_late_changes_nothing(farm: Farm) -> None:
    """Its lease has run out: its answer is ignored, its job stopped, and then it works as before."""
    await farm.coordinator(*PATIENCE)
    yard, graph = farm.yard, farm.graph()
    shell(graph, "stuck", yard.mark("stuck"), yard.once("stuck", yard.gate("never")), yard.gate("end"))
    failing = f"{yard.gate('wake')}; echo too late; exit 3"
    shell(graph, "slow", yard.mark("slow"), yard.once("slow", failing), yard.gate("end"), "echo in time")
    late = await farm.worker("late", slots=2)
    client = farm.build(graph)
    build = await farm.only_build()
    stuck, slow = await farm.passed("stuck"), await farm.passed("slow")

    late.signal(signal.SIGSTOP)
    other = await farm.worker("other", slots=2)
    await farm.passed("stuck", 2)
    await farm.passed("slow", 2)
    yard.open("wake")
    await gone(slow, seconds=10.0)
    late.signal(signal.SIGCONT)
    await gone(stuck, seconds=10.0)
    first = {event.lease for event in logs.events(farm.log(), JobLeased, worker=late.url)}
    strays = {lease for event in logs.events(farm.log(), HeartbeatReceived) for lease in event.strays}
    assert first == strays
    assert (await farm.api(f"/api/builds/{build}"))["build"]["state"] == "running"

    yard.open("end")
    assert await client.ended() == 0
    assert await farm.output(build, "slow") == b"in time\n"
    other.terminate()
    assert await other.ended() == 0
    graph = farm.graph()
    shell(graph, "afterwards", "true")
    assert await farm.build(graph).ended() == 0


async def test_the_only_holder_of_an_artifact_dies(farm: Farm) -> None:
    """It falls silent before the artifact was fetched: the job that made it runs again."""
    await farm.coordinator(*PATIENCE)
    yard, graph = farm.yard, farm.graph()
    made = shell(graph, "made", yard.mark("made"), f"echo made > {output('file')}")
    held = shell(graph, "held", yard.mark("held"), yard.gate("go"))
    shell(graph, "needy", f"cat {artifact(made, 'file')}", deps=[held])
    holder = await farm.worker("holder")
    client = farm.build(graph)
    build = await farm.only_build()
    await farm.job(build, "made", "succeeded")
    await farm.passed("held")
    await farm.worker("heir")
    holder.kill9()
    await farm.passed("held", 2)
    yard.open("go")
    assert await client.ended() == 0
    assert await farm.output(build, "needy") == b"made\n"
    assert [event.job for event in logs.events(farm.log(), JobReopened)] == [made.id]
    assert len(yard.marks("made")) == 2


async def test_an_artifact_that_cannot_be_fetched_is_made_again(farm: Farm) -> None:
    """Its holder died and nobody has noticed: whoever wants to fetch it says so, and does not fail for it."""
    await farm.coordinator(*LONG)
    yard, graph = farm.yard, farm.graph()
    made = shell(graph, "made", yard.mark("made"), yard.gate("make"), f"echo made > {output('file')}")
    held = shell(graph, "held", yard.mark("held"), yard.gate("go"))
    shell(graph, "needy", f"cat {artifact(made, 'file')}", deps=[held])
    holder = await farm.worker("holder")
    client = farm.build(graph)
    build = await farm.only_build()
    await farm.passed("made")
    await farm.worker("heir")
    await farm.passed("held")
    yard.open("make")
    await farm.job(build, "made", "succeeded")
    holder.kill9()
    yard.open("go")
    assert await client.ended() == 0
    assert await farm.output(build, "needy") == b"made\n"
    log = farm.log()
    assert [event.job for event in logs.events(log, JobReopened)] == [made.id]
    assert len(logs.events(log, JobLeased)) == 5
    assert not logs.events(log, WorkerLost)


async def test_a_worker_that_is_told_to_stop_leaves_nothing_behind(farm: Farm) -> None:
    """SIGTERM kills its jobs with all their descendants and hands them back, within ten seconds."""
    await farm.coordinator(*LONG)
    yard, graph = farm.yard, farm.graph()
    away = yard.once("away", f"setsid sh -ec '{yard.mark('away')}; exec sleep 1000' & {yard.gate('never')}")
    shell(graph, "held", yard.mark("held"), "sleep 1000 &", away)
    worker = await farm.worker("going")
    client = farm.build(graph)
    pids = await farm.passed("held") + await farm.passed("away")
    await farm.worker("staying")
    worker.terminate()
    assert await worker.ended(seconds=10.0) == 0
    assert "ended before everything was closed" not in worker.stderr
    await gone(pids, seconds=0.1)
    assert await client.ended() == 0
    assert len(logs.events(farm.log(), JobReleased)) == 1
