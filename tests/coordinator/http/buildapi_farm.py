"""A coordinator as buildapi's own tests have it: four requests on two branches.

Request 1 is complete and 3 and 4 are pending on `b1`; request 2 runs on `branch2`.
"""

import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import trio

from clients import wire
from clients.build import BuildRun
from clients.graphs.builder import GraphBuilder
from tests.coordinator.live import HEARTBEAT, SECONDS, Live, running

ANN = {"X-Remote-User": "ann"}
REVISIONS = {
    1: ("b1", "123456789"),
    2: ("branch2", "abcdefghi"),
    3: ("b1", "987654321"),
    4: ("b1", "24681012"),
}
BUILDERS = """\
[branches.b1]
repo = "https://hg.example/b1"
repo_type = "hg"
graph_branches = ["b1"]

[branches.b1.builders]
"Linux build" = "linux.toml"
"Linux test" = "test.toml"
"Linux pgo" = {graph = "linux.toml", kind = "pgo"}

[branches.branch2]
"""
LINUX = """\
[jobs.compile]
run = 'echo "$BRANCH $REVISION $BUILDER $PROPERTY_flavour"'
"""


@asynccontextmanager
async def farm(directory: Path, **options: Any) -> AsyncIterator[Live]:
    """The four requests, and a worker that is at work on the second."""
    async with empty(directory, **options) as live:
        for number in REVISIONS:
            await hand_in(live, directory, number)
            if number == 1:
                lease = await _lease(live)
                done = {"ID": lease, "ExitCode": 0, "Error": None}
                await live.heartbeat(FinishedJob=[done], FreeSlots=0)
            elif number == 2:
                await _lease(live)
        yield live


@asynccontextmanager
async def empty(directory: Path, **options: Any) -> AsyncIterator[Live]:
    """A coordinator that knows branches and builders."""
    directory.joinpath("builders.toml").write_text(BUILDERS)
    directory.joinpath("linux.toml").write_text(LINUX)
    directory.joinpath("test.toml").write_text(LINUX.replace("compile", "test"))
    async with running(directory / "data", builders=directory / "builders.toml", **options) as live:
        yield live


async def hand_in(live: Live, directory: Path, number: int, **options: Any) -> None:
    branch, revision = REVISIONS[number]
    graph = GraphBuilder(directory)
    graph.job("job", cmd=["echo", str(number)])
    labels = {"branch": branch, "revision": revision, "builder": f"builder{number}", "user": "bob"}
    run = BuildRun(
        live.client,
        graph.graph(),
        directory,
        key=str(number),
        chance=random.Random(0),
        labels=labels,
        **options,
    )
    async with run:
        await run.submit()


async def _lease(live: Live) -> str:
    answer = await live.post("/heartbeat", {**HEARTBEAT, "RunningJobs": []})
    (job,) = answer["JobsToRun"]
    return str(job)


async def ask(
    live: Live,
    method: str,
    target: str,
    form: Mapping[str, object] | None = None,
    *,
    headers: Mapping[str, str] = ANN,
    form_type: bool = True,
) -> wire.Reply:
    body = urlencode(form or {}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if form_type else {}
    return await live.call(method, target, body, {**kind, **headers})


async def see(live: Live, target: str, status: int = 200) -> Any:
    """The JSON value of an answer with this status."""
    separator = "&" if "?" in target else "?"
    reply = await live.call("GET", f"{target}{separator}format=json")
    assert reply.status == status, (target, reply.body)
    return json.loads(reply.body)


async def completed(live: Live, number: int) -> Any:
    """The job request, once it was carried out."""
    with trio.fail_after(SECONDS):
        while True:
            job = await see(live, f"/self-serve/jobs/{number}")
            if job["completed_at"] is not None:
                return job
            await trio.sleep(0.01)
