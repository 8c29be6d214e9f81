"""The real coordinator on a free port, for the length of a block."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
from attrs import define, frozen

from clients import wire
from coordinator.app import run
from coordinator.config import CoordinatorConfig

# A bound, not a measurement: the machine may be busy with other things.
SECONDS = 60.0


@frozen(eq=False)
class Live:
    """`url` includes the base path, if there is one."""

    url: str
    client: wire.Client
    stop: trio.Event
    stopped: trio.Event

    async def call(
        self, method: str, target: str, body: object = b"", headers: dict[str, str] | None = None
    ) -> wire.Reply:
        """One exchange; whatever is not bytes is sent as JSON, without a content type."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.call(
            method, target, body=data, headers=(headers or {}).items(), timeout_seconds=SECONDS
        )

    async def get(self, target: str) -> Any:
        """The JSON value of an answer that must be 200."""
        return json.loads((await self.call("GET", target)).raise_for_status().body)

    async def post(self, target: str, body: object = b"") -> Any:
        """The JSON value of an answer that must be 200."""
        reply = (await self.call("POST", target, body)).raise_for_status()
        assert reply.status == 200
        return json.loads(reply.body)

    async def position(self) -> int:
        """Of the last record in the log."""
        position = (await self.get("/readyz"))["position"]
        assert isinstance(position, int)
        return position

    async def heartbeat(self, query: str = "", **fields: object) -> Any:
        """A report as a Go worker sends it: every key, null where there is nothing."""
        return await self.post("/heartbeat" + query, {**HEARTBEAT, **fields})

    async def connect(self) -> "Raw":
        host, _, port = self.url.removeprefix("http://").partition("/")[0].partition(":")
        return Raw(await trio.open_tcp_stream(host, int(port)))


HEARTBEAT: dict[str, object] = {
    "WorkerID": "http://127.0.0.1:9101/worker/0",
    "RunningJobs": None,
    "FreeSlots": 1,
    "FinishedJob": None,
    "AddedArtifacts": None,
}


@define(eq=False)
class Raw:
    """A plain connection, to see the very bytes."""

    stream: trio.SocketStream
    _rest: bytes = b""

    async def send(self, method: str, target: str, body: bytes = b"", *headers: str) -> None:
        lines = [f"{method} {target} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
        await self.stream.send_all("\r\n".join(lines).encode() + body)

    async def head(self) -> str:
        """Status line and headers, in lower case."""
        return (await self._until(b"\r\n\r\n")).decode().lower()

    async def chunk(self) -> bytes:
        """The next chunk of a chunked body, as it was framed; nothing at the end."""
        size = int((await self._until(b"\r\n")).strip(), 16)
        return (await self._exactly(size + 2))[:-2]

    async def body(self, head: str) -> bytes:
        """The body of an answer of known length."""
        length = next(line for line in head.splitlines() if line.startswith("content-length:"))
        return await self._exactly(int(length.partition(":")[2]))

    async def has_ended(self) -> bool:
        return not self._rest and not await self.stream.receive_some(1)

    async def aclose(self) -> None:
        await self.stream.aclose()

    async def _until(self, end: bytes) -> bytes:
        while end not in self._rest:
            await self._more()
        got, _, self._rest = self._rest.partition(end)
        return got

    async def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            await self._more()
        got, self._rest = self._rest[:size], self._rest[size:]
        return got

    async def _more(self) -> None:
        data = await self.stream.receive_some(65536)
        assert data, f"the server ended the connection after {self._rest!r}"
        self._rest += data


@asynccontextmanager
async def running(data: Path, **options: Any) -> AsyncIterator[Live]:
    """Run a coordinator on `data`; it has to stop within its grace, whatever the test has left open."""
    options = {"drain_seconds": 0.02, "grace_seconds": 2.0, **options}
    config = CoordinatorConfig(bind="127.0.0.1:0", data=data, **options)
    stop, stopped = trio.Event(), trio.Event()

    async def serve(task_status: trio.TaskStatus[str]) -> None:
        await run(config, stop=stop, task_status=task_status)
        stopped.set()

    with trio.fail_after(SECONDS * 2):
        async with trio.open_nursery() as nursery:
            url: str = await nursery.start(partial(serve))
            async with wire.Client(url) as client:
                yield Live(url, client, stop, stopped)
            stop.set()
            with trio.fail_after(config.drain_seconds + config.grace_seconds + 3):
                await stopped.wait()
