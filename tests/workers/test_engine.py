"""The Engine API against a real Podman, and against servers that are none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.clients.peers import Network, Peer
from tests.podman import IMAGE, Podman
from workers.engine import STDERR, STDOUT, Engine, EngineLost, EngineRefused, socket_path

SILENT: dict[str, Any] = {"Image": IMAGE, "HostConfig": {"NetworkMode": "none"}}


@asynccontextmanager
async def _engine(podman: Podman) -> AsyncIterator[Engine]:
    engine = Engine(podman.url)
    try:
        with trio.fail_after(60):
            await engine.version()
            yield engine
    finally:
        await engine.aclose()


async def test_a_container_from_its_making_to_its_end(podman: Podman) -> None:
    """What it prints comes apart as it was printed; it is found by its label, and is gone when removed."""
    async with _engine(podman) as engine:
        script = "echo out; echo err >&2; exit 7"
        id_ = await engine.create(
            "whole-life", {**SILENT, "Entrypoint": ["sh"], "Cmd": ["-c", script], "Labels": {"for": "test"}}
        )
        await engine.start(id_)
        assert await engine.wait(id_) == 7
        assert [piece async for piece in engine.logs(id_)] == [(STDOUT, b"out\n"), (STDERR, b"err\n")]
        assert (await engine.inspect(id_))["State"]["ExitCode"] == 7
        assert [found["Id"] for found in await engine.labelled("for", "test")] == [id_]
        await engine.remove("whole-life")
        await engine.remove("whole-life")  # again, which is no error
        assert await engine.labelled("for", "test") == []


async def test_output_comes_while_it_runs(podman: Podman) -> None:
    """And asking it to stop ends it."""
    async with _engine(podman) as engine:
        id_ = await engine.create(
            "slow", {**SILENT, "Entrypoint": ["sh"], "Cmd": ["-c", "echo here; sleep 600"]}
        )
        await engine.start(id_)
        async for piece in engine.logs(id_):
            assert piece == (STDOUT, b"here\n")
            await engine.stop(id_, 0)
        assert (await engine.inspect(id_))["State"]["Running"] is False
        await engine.remove(id_)


async def test_the_engine_says_why_not(podman: Podman) -> None:
    """An image that is not there, a program that is not in it, a container that never was."""
    async with _engine(podman) as engine:
        with pytest.raises(EngineRefused, match="localhost/none:1") as refused:
            await engine.create("none", {"Image": "localhost/none:1"})
        assert refused.value.status == 404
        await engine.create("lacks", {**SILENT, "Entrypoint": ["nowhere"]})
        with pytest.raises(EngineRefused, match="nowhere"):
            await engine.start("lacks")
        await engine.remove("lacks")
        with pytest.raises(EngineRefused):
            await engine.inspect("lacks")


async def test_where_there_is_no_engine(tmp_path: Path) -> None:
    """Nothing serves the socket, or what does is something else."""
    with pytest.raises(EngineLost):
        await Engine(f"unix://{tmp_path}/no.sock").version()
    async with trio.open_nursery() as nursery:
        network = Network(nursery, lambda peer: _say(peer, b'{"hello":"world"}'))
        with pytest.raises(EngineLost, match="no engine"):
            await Engine("unix:///any", network.open_stream).version()
        nursery.cancel_scope.cancel()


async def _say(peer: Peer, body: bytes) -> None:
    while await peer.request() is not None:
        await peer.answer(body)


def test_only_a_socket_s_path_names_an_engine() -> None:
    """Neither another machine nor a path that is none."""
    assert socket_path("unix:///run/docker.sock") == "/run/docker.sock"
    for wrong in ("/run/docker.sock", "tcp://h:2375", "unix://", "unix:///", "unix://host/path"):
        with pytest.raises(ValueError, match="unix:///path"):
            socket_path(wrong)
