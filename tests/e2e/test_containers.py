"""Real containers in a real farm: Cube's tasks, graphs with images, and what is killed in the midst of it."""

import json
from pathlib import Path
from typing import Any

import trio

from clients import wire
from clients.distbuild import Container
from clients.graphs import artifact, output, source
from tests.e2e.farm import PATIENCE, Farm, open_farm
from tests.e2e.processes import SECONDS, Server, until
from tests.podman import IMAGE, Podman

T = "21b23589-5d2d-4731-b5c9-a97e9832d021"
WEB = "localhost/e2e-web:1"
SERVE = 'CMD ["httpd","-f","-p","7777","-h","/tmp"]'
BOX = Container(image=IMAGE, memory=64 << 20, cpu=0.5)
ENV = {"PATH": "/bin"}


async def _worker(farm: Farm, podman: Podman, name: str = "w") -> Server:
    return await farm.worker(name, slots=2, options=("--engine", podman.url))


async def _task(farm: Farm, *states: int) -> dict[str, Any]:
    """The one task, once it has one of the states."""

    async def look() -> dict[str, Any] | None:
        [task] = await farm.api("/tasks")
        return dict(task) if task["State"] in states else None

    return await until(f"the task being {states}", look)


async def _run(client: wire.Client, **fields: Any) -> None:
    body = json.dumps({"State": 2, "Task": {"ID": T, "Name": "web", **fields}}).encode()
    assert (await client.call("POST", "/tasks", body=body, timeout_seconds=SECONDS)).status == 201


async def _no_containers(podman: Podman) -> None:
    async def look() -> bool:
        return not await trio.to_thread.run_sync(podman.containers)

    await until("no container being left", look)


async def test_a_graph_with_images(podman: Podman, tmp_path: Path) -> None:
    """Its jobs read sources and each other's artifacts, and leave theirs, from within containers."""
    async with open_farm(tmp_path) as farm:
        await farm.coordinator()
        await _worker(farm, podman)
        (farm.sources / "name").write_text("world")
        graph = farm.graph()
        one = graph.job(
            "greet",
            cmd=["sh", "-c", f"echo hello $(cat {source('name')}) > {output('greeting')}"],
            inputs=["name"],
            env=ENV,
            container=BOX,
        )
        tell = ["sh", "-c", f"cat {artifact(one, 'greeting')} | tee {output('told')}"]
        graph.job("tell", cmd=tell, env=ENV, container=BOX)
        build = farm.build(graph, "--out", tmp_path / "out")
        assert await build.ended() == 0, build.tell()
        assert (tmp_path / "out" / "tell" / "told").read_text() == "hello world\n"
        assert await farm.output(await farm.only_build(), "tell") == b"hello world\n"
        await _no_containers(podman)


async def test_a_task_that_serves_is_looked_after_and_stopped(podman: Podman, tmp_path: Path) -> None:
    """Its port answers; when its health check fails it is begun anew, three times; a stop ends it."""
    podman.run("import", "--change", SERVE, "-", WEB, image=True)
    async with open_farm(tmp_path) as farm:
        await farm.coordinator("--health-seconds", "1")
        worker = await _worker(farm, podman)
        async with wire.Client(worker.url) as client:
            await _run(client, Image=WEB, ExposedPorts={"7777/tcp": {}}, HealthCheck="/lost")
            task = await _task(farm, 2)
            [place] = task["HostPorts"]["7777/tcp"]
            async with wire.Client(f"http://{place['HostIp']}:{place['HostPort']}") as web:
                assert (await web.call("GET", "/lost", timeout_seconds=SECONDS)).status == 404
            inspected = await client.call("GET", f"/tasks/{T}", timeout_seconds=SECONDS)
            assert json.loads(inspected.body)["Id"] == task["ContainerID"]
            failed = await _task(farm, 4)
            assert (failed["RestartCount"], failed["FinishTime"] > "2020") == (3, True)
        await _no_containers(podman)


async def test_a_stop_ends_the_container(podman: Podman, tmp_path: Path) -> None:
    """Wished for at the manager; the wish is answered at once."""
    podman.run("import", "--change", SERVE, "-", WEB, image=True)
    async with open_farm(tmp_path) as farm:
        await farm.coordinator()
        await _worker(farm, podman)
        await _run(farm.client, Image=WEB, Memory=64 << 20)
        assert (await _task(farm, 2))["RestartCount"] == 0
        assert (await farm.client.call("DELETE", f"/tasks/{T}", timeout_seconds=SECONDS)).status == 204
        assert (await _task(farm, 3))["ContainerID"]
        await _no_containers(podman)


async def test_a_worker_that_is_killed_and_an_engine_that_is(podman: Podman, tmp_path: Path) -> None:
    """The worker's next life takes away what the former left, and runs the task anew; so for engines."""
    podman.run("import", "--change", SERVE, "-", WEB, image=True)
    async with open_farm(tmp_path) as farm:
        await farm.coordinator(*PATIENCE)
        worker = await _worker(farm, podman)
        await _run(farm.client, Image=WEB)
        first = (await _task(farm, 2))["ContainerID"]
        worker.kill9()
        await worker.restart()

        async def is_another() -> str | None:
            task = await _task(farm, 2)
            return str(task["ContainerID"]) if task["ContainerID"] != first else None

        second = await until("another container", is_another)
        assert podman.run("ps", "--all", "--quiet", "--no-trunc").split() == [second]
        podman.kill()
        assert (await _task(farm, 0, 1))["RestartCount"] == 1
        podman.serve()
        assert (await _task(farm, 2))["ContainerID"] != second
        await farm.client.call("DELETE", f"/tasks/{T}", timeout_seconds=SECONDS)
        await _no_containers(podman)
        assert worker.exit_code is None
