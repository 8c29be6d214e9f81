"""A log from elsewhere behind the page: all of it can be looked at, and nothing changes it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import open_websocket_url

from clients.cli.log.keeping import copied
from clients.wire import Client
from coordinator import viewing
from coordinator.config import CoordinatorConfig
from events.log import LogError

GOLDEN = Path(__file__).parents[1] / "golden" / "builds_fail_and_are_cancelled.jsonl"
SECONDS = 20.0


@asynccontextmanager
async def viewed(path: Path, data: Path) -> AsyncIterator[Client]:
    stop = trio.Event()
    config = CoordinatorConfig(
        bind="127.0.0.1:0", data=data, drain_seconds=0.01, grace_seconds=0.1, progress_seconds=0.1
    )
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            client = Client(await nursery.start(partial(viewing.run, path, config, stop=stop)))
            yield client
            await client.aclose()
            stop.set()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere.sqlite3"
    copied([str(GOLDEN)], path)
    return path


async def get(client: Client, target: str) -> Any:
    reply = (await client.call("GET", target, timeout_seconds=SECONDS)).raise_for_status()
    return json.loads(reply.body)


async def test_every_build_is_there_with_its_past(log: Path, tmp_path: Path) -> None:
    """Builds, their states at any position, their digests, why, and the page itself."""
    async with viewed(log, tmp_path / "data") as client:
        status = await get(client, "/api/status")
        assert (status["log"], status["read_only"]) == ("elsewhere.sqlite3", "the log elsewhere.sqlite3")
        builds = (await get(client, "/api/builds"))["builds"]
        assert {build["state"] for build in builds} >= {"failed", "cancelled"}
        for build in builds:
            then = await get(client, f"/api/builds/{build['id']}?at={build['position']}")
            assert then["build"]["state"] == "uploading"
            digest = await get(client, f"/api/builds/{build['id']}/digest?at={build['position']}")
            assert digest["position"] == build["position"]
            [job, *_] = (await get(client, f"/api/builds/{build['id']}"))["jobs"]
            assert (await get(client, f"/api/builds/{build['id']}/jobs/{job['id']}/why"))["answers"]
        page = await client.call("GET", "/", timeout_seconds=SECONDS)
        assert page.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_build_that_has_ended_streams_to_its_end(log: Path, tmp_path: Path) -> None:
    """As from its coordinator: all records, and then nothing more."""
    async with viewed(log, tmp_path / "data") as client:
        [build, *_] = (await get(client, "/api/builds?state=failed"))["builds"]
        reply = await client.call("GET", f"/api/builds/{build['id']}/events", timeout_seconds=SECONDS)
        types = [json.loads(line)["type"] for line in reply.raise_for_status().body.splitlines()]
        assert (types[0], types[-1]) == ("BuildStarted", "BuildFailed")


async def test_the_log_itself_is_followed_to_where_it_ends(log: Path, tmp_path: Path) -> None:
    """On a socket, as the page does: every record once, and then a sign of life now and then."""
    async with viewed(log, tmp_path / "data") as client:
        head = (await get(client, "/api/status"))["position"]
        url = client.base_url.replace("http", "ws", 1) + "/api/events?after=0"
        async with open_websocket_url(url) as socket:
            said = [json.loads(await socket.get_message()) for _ in range(head + 1)]
    assert [each["position"] for each in said] == [*range(1, head + 1), head]
    assert said[-1]["type"] == "Progress"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/build"),
        ("POST", "/heartbeat"),
        ("PUT", "/file?id=" + "7" * 40),
        ("POST", "/api/builds/{}/cancel"),
    ],
)
async def test_nothing_can_be_changed(log: Path, tmp_path: Path, method: str, target: str) -> None:
    """Whatever would write is refused, and the file stays as it was."""
    before = await trio.Path(log).read_bytes()
    async with viewed(log, tmp_path / "data") as client:
        [build, *_] = (await get(client, "/api/builds"))["builds"]
        reply = await client.call(method, target.format(build["id"]), body=b"{}", timeout_seconds=SECONDS)
        assert (reply.status, json.loads(reply.body)["code"]) == (409, "TZ-1022")
    assert await trio.Path(log).read_bytes() == before


async def test_a_coordinator_is_not_read_only(tmp_path: Path) -> None:
    """The same route tells the page so."""
    from tests.coordinator.live import running

    async with running(tmp_path) as live:
        status = await live.get("/api/status")
        assert (status["log"], status["read_only"]) == (None, "")


async def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    """Before anything is served."""
    with pytest.RaisesGroup(LogError, flatten_subgroups=True):
        async with viewed(tmp_path / "none.sqlite3", tmp_path):
            raise AssertionError("it serves what is not there")
