"""What streams promise, held against the log: connections are cut, and the coordinator killed, meanwhile."""

import json
import random
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import trio

from events.catalog import BuildSucceeded
from events.hindsight.groups import groups
from events.log import Entry, subjects
from tests.bench.graphs import graph
from tests.e2e import logs, viewers
from tests.e2e.farm import Farm
from tests.e2e.processes import SECONDS, until
from tests.e2e.proxy import lossy
from tests.e2e.viewers import Viewer

pytestmark = pytest.mark.e2e

JOBS = 60
LIVES = 3
LOST = 0.05
CARRIERS = (
    viewers.lines,
    viewers.packed,
    viewers.frames,
    viewers.events,
    viewers.messages,
    viewers.batches,
    viewers.framed_messages,
)
# What comes together on these is made of whole commands.
WHOLE = (viewers.frames, viewers.batches, viewers.framed_messages)
WORKER = {"WorkerID": "http://worker.invalid", "Session": "1", "Slots": 2, "FreeSlots": 2}


async def test_streams_never_lie(farm: Farm) -> None:
    """Each viewer of a build, on whatever carrier, is told each record of it, once, in order, and the end."""
    coordinator = await farm.hasty_coordinator()
    build = await _started(farm)
    chance = random.Random(4)
    async with lossy(farm.url, lambda _piece: chance.random() < LOST) as url, trio.open_nursery() as nursery:
        target = f"/api/builds/{build}/events?"
        watching = [
            Viewer(url, target, carrier, start)
            for carrier in CARRIERS
            for start in (0, chance.randrange(JOBS))
        ]
        for viewer in watching:
            nursery.start_soon(viewer.watch)
        worker = Worker(farm)
        for _ in range(LIVES - 1):
            await worker.work(JOBS // LIVES)
            await until("a sign of life for each", partial(_all_know, watching))
            coordinator.kill9()
            await coordinator.restart()
        await worker.work(JOBS)
    log = farm.log()
    assert logs.events(log, BuildSucceeded, build=build)
    for viewer in watching:
        check(viewer, log, build)
    assert sum(len(viewer.resumed) for viewer in watching) > LIVES * len(watching)


async def _all_know(watching: Sequence[Viewer]) -> bool:
    """Has each been told that it knows all there is?"""
    last = max(viewer.position for viewer in watching)
    return all(viewer.progress and viewer.progress[-1][0] >= last for viewer in watching)


def check(viewer: Viewer, log: Sequence[Entry], build: str) -> None:
    """Ordered, unique, reliable, durable; with an end; atomic, resumable, bookmarkable."""
    own = [json.loads(entry.text) for entry in log if subjects(entry.record)[0] == build]
    expected = [record for record in own if record["position"] > viewer.start]
    assert viewer.records == expected, viewer.carrier
    assert viewer.ends == ["BuildSucceeded"]
    for position, count in (*viewer.resumed, *viewer.progress):
        assert all(record["position"] <= position for record in expected[:count])
        assert all(record["position"] > position for record in expected[count:])
    if viewer.carrier in WHOLE:
        _check_commands(viewer.units, log)


def _check_commands(units: Sequence[Sequence[dict[str, Any]]], log: Sequence[Entry]) -> None:
    """Where one unit ends and the next begins, so do commands."""
    commands = enumerate(groups(entry.record for entry in log))
    command_of = {record.position: number for number, records in commands for record in records}
    cuts = [(before[-1]["position"], after[0]["position"]) for before, after in pairwise(units)]
    assert all(command_of[before] != command_of[after] for before, after in cuts)


async def _started(farm: Farm) -> str:
    """A build whose sources are there."""
    body = json.dumps(graph("layered", JOBS)).encode()
    target = "/build?on_disconnect=continue"
    async with farm.client.request("POST", target, body=body, timeout_seconds=SECONDS) as response:
        build = str(json.loads(await anext(response.lines()))["ID"])
    await _post(farm, f"/signal?build_id={build}", {"UploadDone": {}})
    return build


class Worker:
    """Runs each job in no time, and says so with its next report."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._done: list[dict[str, Any]] = []

    async def work(self, jobs: int) -> None:
        """Until so many are done, or there are no more."""
        while jobs > 0:
            added = [done["ID"] for done in self._done]
            report = {**WORKER, "FinishedJob": self._done, "AddedArtifacts": added}
            answer = await _post(self._farm, "/heartbeat?wait=0", report)
            self._done = [
                {"ID": id_, "Lease": spec["Lease"], "ExitCode": 0, "Error": None}
                for id_, spec in (answer["JobsToRun"] or {}).items()
            ]
            if not self._done:
                break
            jobs -= len(self._done)


async def _post(farm: Farm, target: str, value: object) -> Any:
    body = json.dumps(value).encode()
    reply = await farm.client.call("POST", target, body=body, timeout_seconds=SECONDS)
    return json.loads(reply.raise_for_status().body)
