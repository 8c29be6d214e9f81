"""The worker's side of Cube: what it passes on, and what it says itself."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
from quart import Response, request

from clients import wire
from clients.server import App, receive_body, serve
from tests.podman import IMAGE, Podman
from workers import stats
from workers.containers import Containers
from workers.cube import Cube, routes
from workers.engine import Engine

ID = "21b23589-5d2d-4731-b5c9-a97e9832d021"
URL = "http://w:9101"


@asynccontextmanager
async def _serving(app: App) -> AsyncIterator[wire.Client]:
    stop = trio.Event()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            serving = partial(serve, app, bind="127.0.0.1:0", shutdown=stop.wait, grace_seconds=0.1)
            url = (await nursery.start(serving))[0]
            async with wire.Client(url) as client:
                yield client
            stop.set()


class Manager:
    """Says what it was asked, and answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.tasks: Any = None

    def application(self) -> App:
        app = App("manager")

        @app.route("/tasks", methods=["GET", "POST"])
        @app.route("/tasks/<name>", methods=["DELETE"])
        async def tasks(name: str = "") -> Response:
            target = request.full_path.rstrip("?")
            self.asked.append((request.method, target, await receive_body(1 << 20)))
            if request.method == "GET":
                return Response(json.dumps(self.tasks), content_type="application/json")
            status = 404 if name else 400
            return Response(b"as it came", status, content_type="text/plain; charset=utf-8")

        return app


def _worker(manager: wire.Client, tmp_path: Path, containers: Containers | None = None) -> App:
    app = App("worker")
    cube = Cube(coordinator=manager, data=tmp_path, run_sync=trio.to_thread.run_sync)
    cube.url, cube.containers = URL, containers
    app.register_blueprint(routes(cube))
    return app


async def test_wishes_are_passed_on_for_this_worker_alone(tmp_path: Path) -> None:
    """With what they say, and answered as they were answered there."""
    there = Manager()
    async with (
        _serving(there.application()) as manager,
        _serving(_worker(manager, tmp_path)) as client,
    ):
        posted = await client.call("POST", "/tasks", body=b"{}", timeout_seconds=5)
        assert (posted.status, posted.body) == (400, b"as it came")
        stopped = await client.call("DELETE", f"/tasks/{ID}", timeout_seconds=5)
        assert (stopped.status, stopped.body) == (404, b"as it came")
        listed = await client.call("GET", "/tasks", timeout_seconds=5)
        assert (listed.status, listed.body) == (200, b"null")
        here = "worker=http%3A%2F%2Fw%3A9101"
        assert there.asked == [
            ("POST", f"/tasks?{here}", b"{}"),
            ("DELETE", f"/tasks/{ID}", b""),
            ("GET", f"/tasks?{here}", b""),
        ]


async def test_without_its_coordinator_it_says_so_in_cube_s_shape(tmp_path: Path) -> None:
    """503, whatever was wished for; what it knows by itself it still says."""
    async with wire.Client("http://127.0.0.1:1") as manager, _serving(_worker(manager, tmp_path)) as client:
        for method, target in (("POST", "/tasks"), ("GET", "/tasks"), ("DELETE", f"/tasks/{ID}")):
            reply = await client.call(method, target, timeout_seconds=5)
            told = json.loads(reply.body)
            assert (reply.status, told["HTTPStatusCode"]) == (503, 503)
            assert "out of reach" in told["Message"]
        assert (await client.call("GET", "/stats", timeout_seconds=5)).status == 200


async def test_a_task_is_what_the_engine_says_of_its_container(podman: Podman, tmp_path: Path) -> None:
    """Docker's inspect; 404 for what has none, or is no task."""
    there, engine = Manager(), Engine(podman.url)
    await engine.version()
    id_ = await engine.create(
        "inspected", {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
    )
    there.tasks = [{"ID": ID, "ContainerID": id_}]
    async with (
        _serving(there.application()) as manager,
        _serving(_worker(manager, tmp_path, Containers(engine=engine, owner="o"))) as client,
    ):
        found = await client.call("GET", f"/tasks/{ID}", timeout_seconds=10)
        assert (found.status, json.loads(found.body)["Name"]) == (200, "/inspected")
        await engine.remove(id_)
        for name in (ID, "abc", ID.replace("2", "3")):
            assert (await client.call("GET", f"/tasks/{name}", timeout_seconds=10)).status == 404
    await engine.aclose()


def test_the_machine_in_goprocinfo_s_shape(tmp_path: Path) -> None:
    """From the files of a kernel that we know."""
    (tmp_path / "meminfo").write_text(
        "MemTotal:  24 kB\nMemFree: 4 kB\nActive(anon): 1 kB\nDirectMap2M: 7 kB\nSReclaimable: 2 kB\n"
    )
    (tmp_path / "stat").write_text("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3\n")
    (tmp_path / "loadavg").write_text("0.01 0.02 0.03 2/345 6789\n")
    found = stats.stats(tmp_path, 3, tmp_path)
    assert found.pop("DiskStats").keys() == {"all", "used", "free", "freeInodes"}
    assert found == {
        "MemStats": {
            "mem_total": 24,
            "mem_free": 4,
            "active_anon": 1,
            "direct_map_2m": 7,
            "s_reclaimable": 2,
        },
        "CpuStats": {
            "id": "cpu",
            "user": 1,
            "nice": 2,
            "system": 3,
            "idle": 4,
            "iowait": 5,
            "irq": 6,
            "softirq": 7,
            "steal": 8,
            "guest": 9,
            "guest_nice": 10,
        },
        "LoadStats": {
            "last1min": 0.01,
            "last5min": 0.02,
            "last15min": 0.03,
            "process_running": 2,
            "process_total": 345,
            "last_pid": 6789,
        },
        "TaskCount": 3,
    }


def test_the_real_machine_can_be_read(tmp_path: Path) -> None:
    """And says what placement goes by."""
    found = stats.stats(tmp_path, 0)
    assert found["MemStats"]["mem_available"] > 0
    assert int(stats.capacities(tmp_path, 2)["memory"]) == found["MemStats"]["mem_total"] * 1024
