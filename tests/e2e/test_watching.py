"""Builds watched by who did not start them, over connections that break: nothing missing, nothing twice."""

import json
import random

import pytest

from tests.e2e.farm import Farm
from tests.e2e.processes import SECONDS
from tests.e2e.proxy import lossy
from tests.e2e.yard import shell

pytestmark = pytest.mark.e2e

JOBS, SLOTS = 16, 2


async def test_whoever_watches_misses_nothing(farm: Farm) -> None:
    """From the first record of a detached build to its last, though the coordinator is killed in between."""
    coordinator, chance = await farm.coordinator(), random.Random(1)
    await farm.worker("one", slots=SLOTS)
    graph = farm.graph()
    for number in range(JOBS):
        held = [farm.yard.gate("rest")] if number >= JOBS // 2 else []
        shell(graph, f"job-{number}", farm.yard.mark("began"), f": {number}", *held)
    detached = farm.build(graph, "--detach")
    assert await detached.ended() == 0
    build = json.loads(detached.stdout)["id"]
    async with lossy(farm.url, lambda _piece: chance.random() < 0.2) as url:
        people = farm.terzetto("watch", build, "--progress", "lines", coordinator=url)
        programs = farm.terzetto("watch", build, "--json", coordinator=url)
        await farm.passed("began", JOBS // 2 + SLOTS)
        coordinator.kill9()
        await coordinator.restart()
        farm.yard.open("rest")
        assert [await watcher.ended() for watcher in (people, programs)] == [0, 0]

    reply = await farm.client.call("GET", f"/api/builds/{build}/events?after=0", timeout_seconds=SECONDS)
    told = [json.loads(line) for line in reply.raise_for_status().body.splitlines()]
    assert [json.loads(line) for line in programs.stdout.splitlines()] == [
        {"schema_version": 1, **record} for record in told
    ]
    lines = people.stderr.splitlines()
    for number in range(JOBS):
        assert sum(line.startswith(f"[job-{number}] done in ") for line in lines) == 1
    assert any(line.startswith("[build] reconnecting (") for line in lines)
    assert lines[-1].startswith(f"[build]   {url}/")
