"""Clients that die, leave, cancel or are told something: build and exit code are what was promised."""

import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients.distbuild import Graph, Job
from events.catalog import BuildCancelled
from tests.e2e import logs
from tests.e2e.farm import Farm
from tests.e2e.processes import Process, gone, is_alive, until
from tests.e2e.yard import shell

pytestmark = pytest.mark.e2e

PLAIN_CLIENT = Path(__file__).with_name("plain_client.py")
# The grace of a build whose client went away is ten seconds; a busy machine may add to that.
GRACE_SECONDS = 10.0
# Two seconds are promised from the coordinator's word on; one more is for a machine that is busy.
CANCEL_SECONDS = 3.0


async def test_who_dies_without_a_word(farm: Farm) -> None:
    """A plain distbuild client's build ends after a grace; those of our own clients go on without them."""
    await farm.coordinator()
    await farm.worker("worker", slots=3)
    graphs = {}
    for name in ("plain", "ours", "detached"):
        graphs[name] = farm.graph()
        shell(graphs[name], name, farm.yard.mark(name), farm.yard.gate("end"))
    ours = farm.build(graphs["ours"])
    detached = farm.build(graphs["detached"], "--detach")
    plain = farm.program("plain", [sys.executable, PLAIN_CLIENT, farm.url, farm.write(graphs["plain"])])
    [pid] = await farm.passed("plain")
    await farm.passed("ours")
    await farm.passed("detached")
    assert await detached.ended() == 0
    ours.kill9()
    plain.kill9()

    builds = {one["id"]: one for one in (await farm.api("/api/builds"))["builds"]}
    [lost] = [id_ for id_ in builds if id_ in plain.stdout]
    kept = set(builds) - {lost}
    assert json.loads(detached.stdout)["id"] in kept
    cancelled = await farm.state(lost, "cancelled", seconds=GRACE_SECONDS * 3)
    assert cancelled["error"] == "its client went away"
    assert cancelled["ended_at"] - cancelled["started_at"] >= GRACE_SECONDS
    await gone([pid], seconds=CANCEL_SECONDS)
    farm.yard.open("end")
    for build in kept:
        await farm.state(build, "succeeded")


async def _held(farm: Farm) -> tuple[Process, str, list[int]]:
    """A build with a job that never ends by itself; its client, its id, and all processes of the job."""
    yard, graph = farm.yard, farm.graph()
    child = f"sh -c '{yard.mark('child')}; sleep 1000' &"
    # It leaves its parent's session and process group, and its parent is gone before it is looked for.
    orphan = f"(setsid sh -c '{yard.mark('orphan')}; sleep 1000' &)"
    shell(graph, "held", child, orphan, yard.mark("held"), yard.gate("never"))
    client = farm.build(graph)
    pids = [pid for mark in ("child", "orphan", "held") for pid in await farm.passed(mark)]
    assert all(map(is_alive, pids))
    return client, await farm.only_build(), pids


async def test_cancelling_a_build_ends_all_that_it_runs(farm: Farm) -> None:
    """`terzetto cancel` takes children and grandchildren along, and the client exits with 4."""
    await farm.coordinator()
    await farm.worker("worker")
    client, build, pids = await _held(farm)
    assert await farm.terzetto("cancel", build[:12], "--reason", "enough").ended() == 0
    await gone(pids, seconds=CANCEL_SECONDS)
    assert await client.ended() == 4
    assert [event.reason for event in logs.events(farm.log(), BuildCancelled)] == ["enough"]


async def test_ctrl_c_cancels_and_stays_to_see_it(farm: Farm) -> None:
    """The build has ended when the client exits, with 130."""
    await farm.coordinator()
    await farm.worker("worker")
    client, build, pids = await _held(farm)
    client.signal(signal.SIGINT)
    assert await client.ended() == 130
    assert (await farm.api(f"/api/builds/{build}"))["build"]["state"] == "cancelled"
    assert json.loads(client.stdout)["exit_code"] == 130
    await gone(pids, seconds=CANCEL_SECONDS)


@contextmanager
def nobody() -> Iterator[str]:
    """An address that is taken, yet where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


async def test_exit_codes_of_a_build(farm: Farm) -> None:
    """What scripts rely on, and the same number in the JSON that goes with it."""
    await farm.coordinator()
    await farm.worker("worker", slots=4)
    good, failing, slow, endless = (farm.graph() for _ in range(4))
    shell(good, "good", "true")
    shell(failing, "failing", "echo no; exit 9")
    slow.job("slow", cmd=["/bin/sleep", "1000"], timeout_seconds=0.1)
    shell(endless, "endless", farm.yard.mark("endless"), farm.yard.gate("never"))
    circular = Graph(jobs=(Job(id="aa" * 20, deps=("bb" * 20,)), Job(id="bb" * 20, deps=("aa" * 20,))))
    with nobody() as address:
        clients = {
            0: farm.build(good),
            1: farm.build(failing),
            2: farm.build(circular),
            4: farm.build(endless),
            5: farm.build(slow),
            7: farm.build(good, coordinator=address),
        }
        await farm.passed("endless")
        assert await farm.terzetto("cancel", await _running(farm)).ended() == 0
        assert {code: await client.ended() for code, client in clients.items()} == {c: c for c in clients}
    assert {code: json.loads(client.stdout)["exit_code"] for code, client in clients.items()} == {
        code: code for code in clients
    }
    misspelt = farm.terzetto("build", "graph.json", "--progres", "none")
    assert await misspelt.ended() == 2


async def _running(farm: Farm) -> str:
    """The id of the one build that runs when all others have ended."""

    async def look() -> str | None:
        builds = (await farm.api("/api/builds"))["builds"]
        running = [str(build["id"]) for build in builds if build["state"] == "running"]
        return running[0] if len(builds) == 4 and len(running) == 1 else None

    return await until("one running build", look)
