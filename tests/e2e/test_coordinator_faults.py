"""Coordinators that are killed, doubled or told to stop: what was acknowledged stays, and nothing hangs."""

import pytest
import trio
from trio_websocket import ConnectionClosed, wrap_client_stream

from clients import codec
from clients.distbuild import BuildRequest, Cmd, Graph, HeartbeatRequest, Job
from clients.distbuild_client import DistbuildClient
from clients.graphs import GraphBuilder
from events.catalog import BuildStarted, JobAdded, JobLeased, SignalReceived, SourceStored
from events.log import Entry
from tests.e2e import logs
from tests.e2e.farm import Farm
from tests.e2e.hostile import besieged, connect
from tests.e2e.processes import SECONDS, TERZETTO, until
from tests.e2e.witness import Client, Witness
from tests.e2e.yard import shell

pytestmark = pytest.mark.e2e

BUILDS, JOBS = 4, 80
LARGE_JOBS, LARGE_BYTES = 200, 100_000


async def test_a_coordinator_is_killed_again_and_again_under_load(farm: Farm) -> None:
    """Nothing that it said or acknowledged is lost, no result counts twice, workers and clients go on."""
    coordinator = await farm.coordinator()
    witness = Witness(farm.client)
    clients = [Client(farm, f"client-{n}") for n in range(2)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(witness.watch_forever)
        builds = [farm.build(_many(farm, number)) for number in range(BUILDS)]
        await _begun(witness)
        for name in ("one", "two"):
            await farm.worker(name, slots=2)
        for client in clients:
            nursery.start_soon(client.build_on)
        for life, share in enumerate((0.1, 0.4, 0.7), start=1):
            await _under_load(witness, int(share * BUILDS * JOBS), clients, 2 * life)
            coordinator.kill9()
            await coordinator.restart()
        for build in builds:
            assert await build.ended() == 0, build.stderr
        for client in clients:
            client.stop()
        await _all_over(farm)
        before = await _everything(farm)
        coordinator.kill9()
        await coordinator.restart()
        assert await _everything(farm) == before
        nursery.cancel_scope.cancel()
    coordinator.terminate()
    assert await coordinator.ended(seconds=10.0) == 0
    _compare(farm, witness, clients)


def _many(farm: Farm, number: int) -> GraphBuilder:
    graph = farm.graph()
    jobs = [shell(graph, f"{number}-{n}", farm.yard.mark(f"{number}-{n}")) for n in range(JOBS - 1)]
    shell(graph, f"{number}-last", farm.yard.mark(f"{number}-last"), deps=jobs)
    return graph


async def _begun(witness: Witness) -> None:
    """Wait until each client has heard of its build: who finds nobody when it starts soon gives up."""

    async def look() -> bool:
        return witness.types.count("SignalReceived") == BUILDS

    await until(f"{BUILDS} clients having done their part", look)


async def _under_load(witness: Witness, jobs: int, clients: list[Client], builds: int) -> None:
    """Wait until so many jobs have ended and each client has started so many builds."""

    async def look() -> bool:
        is_busy = witness.types.count("JobSucceeded") >= jobs
        return is_busy and all(len(client.signals) >= builds for client in clients)

    await until(f"{jobs} jobs and {builds} builds of each client", look)


async def _all_over(farm: Farm) -> None:
    async def look() -> bool:
        builds = (await farm.api("/api/builds?limit=1000"))["builds"]
        return all(build["state"] == "succeeded" for build in builds)

    await until("all builds having succeeded", look)


async def _everything(farm: Farm) -> list[object]:
    """All that the interface tells of builds and their jobs."""
    builds = (await farm.api("/api/builds?limit=1000"))["builds"]
    told = []
    for build in builds:
        answer = await farm.api(f"/api/builds/{build['id']}")
        del answer["position"]
        told.append(answer)
    return told


def _compare(farm: Farm, witness: Witness, clients: list[Client]) -> None:
    """Set what was said and acknowledged against the log."""
    log = farm.log()
    assert witness.connections >= 4
    assert witness.lines.items() <= {entry.record.position: entry.text for entry in log}.items()
    for client in clients:
        for key, build in client.builds.items():
            assert [event.build for event in logs.events(log, BuildStarted, key=key)] == [build]
        for build in client.signals:
            assert logs.events(log, SignalReceived, build=build, signal="upload-done")
        for source, content in client.uploads.items():
            [stored] = logs.events(log, SourceStored, source=source)
            assert (farm.data / "blobs" / source[:2] / source).read_bytes() == content
            assert stored.size == len(content)
    for number in range(BUILDS):
        for n in [*range(JOBS - 1), "last"]:
            name = f"{number}-{n}"
            ran = len(farm.yard.marks(name))
            assert 1 <= ran <= len(_leases(log, name))


def _leases(log: list[Entry], name: str) -> list[JobLeased]:
    [added] = logs.events(log, JobAdded, name=name)
    return logs.events(log, JobLeased, job=added.job)


async def test_a_second_coordinator_is_told_who_holds_the_data(farm: Farm) -> None:
    """One directory, one writer: the other one says which process that is, and changes nothing."""
    first = await farm.coordinator()
    second = farm.program("second", [*TERZETTO, "coordinator", "--bind", "127.0.0.1:0", "--data", farm.data])
    assert await second.ended() == 3
    assert f"process {first.pid} on " in second.stderr
    assert second.stdout == ""
    assert (await farm.api("/healthz"))["status"] == "ok"


async def test_a_coordinator_stops_in_time_whatever_its_peers_do(farm: Farm) -> None:
    """SIGTERM: streams end as streams, held heartbeats are answered, and nobody can hold it longer."""
    coordinator = await farm.coordinator()
    await _start_large_build(farm)
    worker = await farm.worker("worker")
    async with besieged(farm.url, 5), trio.open_nursery() as nursery:
        lines = await nursery.start(_read_stream, farm)
        codes = await nursery.start(_read_socket, farm)
        held = await nursery.start(_be_held, farm)
        coordinator.terminate()
        # The promise is ten seconds, from the signal to the exit code.
        assert await coordinator.ended(seconds=10.0) == 0
    assert "ended before everything was closed" not in coordinator.stderr
    assert lines[-1] == b""
    assert codes == [1012]
    assert held == [200]
    assert worker.exit_code is None


async def _start_large_build(farm: Farm) -> None:
    """Nobody runs it; it is only there to make the log larger than all buffers on the way."""
    text = "x" * LARGE_BYTES
    jobs = tuple(
        Job(id=f"{n:040x}", cmds=(Cmd(cat_template=text, cat_output="f"),)) for n in range(LARGE_JOBS)
    )
    request = BuildRequest(graph=Graph(source_files={"00" * 20: "missing"}, jobs=jobs))
    async with DistbuildClient(farm.client).start_build(request, on_disconnect_continue=True):
        pass


async def _read_stream(farm: Farm, *, task_status: trio.TaskStatus[list[bytes]]) -> None:
    """Follow the log; note each line, and an empty one for an orderly end."""
    lines: list[bytes] = []
    async with farm.client.request("GET", "/api/events", timeout_seconds=SECONDS) as response:
        async for line in response.lines():
            lines.append(line)
            if len(lines) == LARGE_JOBS:
                task_status.started(lines)
    lines.append(b"")


async def _read_socket(farm: Farm, *, task_status: trio.TaskStatus[list[int]]) -> None:
    """Follow the log over a WebSocket; note the code with which it is closed."""
    codes: list[int] = []
    # The library leaves a stream of its own making open when the other side closes first.
    async with await connect(farm.url) as stream, trio.open_nursery() as nursery:
        target = f"/api/events?after={LARGE_JOBS}"
        connection = await wrap_client_stream(nursery, stream, "terzetto", target)
        try:
            await connection.get_message()
            task_status.started(codes)
            while True:
                await connection.get_message()
        except ConnectionClosed as closed:
            codes.append(closed.reason.code if closed.reason else 0)
        nursery.cancel_scope.cancel()


async def _be_held(farm: Farm, *, task_status: trio.TaskStatus[list[int]]) -> None:
    """Be a worker whose heartbeat is held; note the status of the answer."""
    statuses: list[int] = []
    body = codec.write(HeartbeatRequest(worker_id="http://idle.invalid", session="1", slots=1))

    async def look() -> bool:
        return len((await farm.api("/api/workers"))["workers"]) == 2

    async with trio.open_nursery() as nursery:

        async def beat() -> None:
            reply = await farm.client.call("POST", "/heartbeat?wait=60", body=body, timeout_seconds=SECONDS)
            statuses.append(reply.status)

        nursery.start_soon(beat)
        await until("a held heartbeat", look)
        task_status.started(statuses)
