"""Somebody who remembers all that a coordinator ever said or acknowledged, over any number of its lives."""

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from clients import wire
from clients.distbuild import BuildRequest, SignalRequest, UploadDone
from clients.distbuild_client import DistbuildClient
from clients.graphs import GraphBuilder, output
from tests.e2e.farm import Farm
from tests.e2e.yard import shell

T = TypeVar("T")

RETRY_SECONDS = 0.1
PATIENCE_SECONDS = 60.0


class Witness:
    """Reads the live stream of the whole log. `lines` holds the very bytes of each record by position."""

    def __init__(self, client: wire.Client) -> None:
        self.lines: dict[int, bytes] = {}
        self.types: list[str] = []
        self.connections = 0
        self._client = client

    async def watch_forever(self) -> None:
        """Follow; when the connection breaks, go on after the last record that was seen whole."""
        while True:
            try:
                await self._watch()
            except wire.Unreachable:
                await trio.sleep(RETRY_SECONDS)

    async def _watch(self) -> None:
        target = f"/api/events?after={len(self.lines)}"
        async with self._client.request("GET", target, timeout_seconds=PATIENCE_SECONDS) as response:
            await response.require(200)
            self.connections += 1
            async for line in response.lines():
                self._take(bytes(line))

    def _take(self, line: bytes) -> None:
        record = json.loads(line)
        if record["type"] == "Progress":
            assert record["position"] == len(self.lines), "it says that it has told what it has not"
            return
        assert record["position"] == len(self.lines) + 1, "neither a gap nor a repeat"
        self.lines[record["position"]] = line
        self.types.append(record["type"])


class Client:
    """Starts small builds one after the other, and remembers which step of each was acknowledged."""

    def __init__(self, farm: Farm, name: str) -> None:
        self.builds: dict[str, str] = {}
        self.uploads: dict[str, bytes] = {}
        self.signals: list[str] = []
        self._farm = farm
        self._client = DistbuildClient(farm.client)
        self._name = name
        self._stopping = False

    def stop(self) -> None:
        """Finish the build at hand and start no other."""
        self._stopping = True

    async def build_on(self) -> None:
        """Build after build; each step is repeated until it is acknowledged."""
        while not self._stopping:
            await self._build(f"{self._name}-{len(self.builds)}")

    async def _build(self, key: str) -> None:
        content = f"{key}\n".encode()
        graph = GraphBuilder(self._farm.sources, read=lambda _path: content)
        shell(graph, key, f"cp source {output('copy')}", inputs=["source"])
        request = BuildRequest(graph=graph.graph(), name=key)
        [source] = request.graph.source_files

        async def start() -> str:
            async with self._client.start_build(request, on_disconnect_continue=True, key=key) as stream:
                return stream.started.id

        build = await self._persist(start)
        self.builds[key] = build
        await self._persist(lambda: self._client.upload_file(source, content))
        self.uploads[source] = content
        done = SignalRequest(upload_done=UploadDone())
        await self._persist(lambda: self._client.signal(build, done))
        self.signals.append(build)

    async def _persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Again and again, and soon: whoever backs off is no load."""
        with trio.fail_after(PATIENCE_SECONDS):
            while True:
                try:
                    return await attempt()
                except wire.Unreachable:
                    await trio.sleep(RETRY_SECONDS)
