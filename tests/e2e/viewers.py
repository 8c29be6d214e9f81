"""Viewers of a build over every carrier, who remember what they were told, and by which connection."""

import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import trio
from attrs import Factory, define
from trio_websocket import ConnectionClosed, HandshakeError, wrap_client_stream

from clients import compact, wire
from tests.e2e.hostile import connect
from tests.e2e.processes import SECONDS

RETRY_SECONDS = 0.1
OPENING_SECONDS = 2.0

Record = dict[str, Any]


@define(eq=False)
class Viewer:
    """Follows a build from `start` on; `carrier` gives it what one connection says, and returns at its end.

    `units`: records that came together. `progress`: positions up to which it was told that it knows all, each
    with the number of records that it had then. `resumed`: the same, for each connection. `ends`: with which
    record the coordinator ended.
    """

    url: str
    target: str
    carrier: "Carrier"
    start: int
    units: list[list[Record]] = Factory(list)
    progress: list[tuple[int, int]] = Factory(list)
    resumed: list[tuple[int, int]] = Factory(list)
    ends: list[str] = Factory(list)

    @property
    def records(self) -> list[Record]:
        return [record for unit in self.units for record in unit]

    @property
    def position(self) -> int:
        return int(self.units[-1][-1]["position"]) if self.units else self.start

    async def watch(self) -> None:
        """To the end that the coordinator gives it, over as many connections as it takes."""
        while not self.ends:
            self.resumed.append((self.position, len(self.records)))
            try:
                await self.carrier(self, f"{self.target}after={self.position}")
                self.ends.append(self.records[-1]["type"] if self.units else "")
            except (wire.Unreachable, wire.Refused):
                await trio.sleep(RETRY_SECONDS)

    def take(self, unit: list[Record]) -> None:
        """Records that came together, or a sign of life."""
        if unit[0]["type"] == "Progress":
            self.progress.append((unit[0]["position"], len(self.records)))
        else:
            self.units.append(unit)


Carrier = Callable[[Viewer, str], Awaitable[None]]


async def lines(viewer: Viewer, target: str) -> None:
    """A chunked body, line by line."""
    async for line in _body(viewer, target):
        viewer.take([json.loads(line)])


async def packed(viewer: Viewer, target: str) -> None:
    """The same, gzipped."""
    async for line in _body(viewer, target, ("Accept-Encoding", "gzip")):
        viewer.take([json.loads(line)])


async def frames(viewer: Viewer, target: str) -> None:
    """A chunked body in the compact form."""
    async for line in _body(viewer, f"{target}&form=compact"):
        viewer.take(_unframed(line))


async def events(viewer: Viewer, target: str) -> None:
    """Server-sent events."""
    id_ = b""
    async for line in _body(viewer, target, ("Accept", "text/event-stream")):
        name, _, said = line.partition(b": ")
        if name == b"id":
            id_ = said
        elif name == b"data":
            record = json.loads(said)
            assert record["type"] == "Progress" or record["position"] == int(id_)
            viewer.take([record])


async def messages(viewer: Viewer, target: str) -> None:
    """A WebSocket, a record in each message."""
    await _socket(viewer, target, lambda message: [json.loads(message)])


async def batches(viewer: Viewer, target: str) -> None:
    """A WebSocket, several records in each message."""
    await _socket(
        viewer, f"{target}&batch=1", lambda message: [json.loads(line) for line in message.split("\n")]
    )


async def framed_messages(viewer: Viewer, target: str) -> None:
    """A WebSocket in the compact form."""
    await _socket(viewer, f"{target}&form=compact", lambda message: _unframed(message.encode()))


def _unframed(line: bytes) -> list[Record]:
    value = json.loads(line)
    assert "more" not in value, "no command is that large here"
    return [value] if "type" in value else compact.decode(line)


async def _body(viewer: Viewer, target: str, *headers: tuple[str, str]) -> AsyncIterator[bytes]:
    unpacker = zlib.decompressobj(31)
    async with (
        wire.Client(viewer.url) as client,
        client.request("GET", target, headers=headers, timeout_seconds=SECONDS) as response,
    ):
        await response.require(200)
        is_packed, text = response.headers.get("content-encoding") == "gzip", b""
        async for data in response:
            *whole, text = (text + (unpacker.decompress(data) if is_packed else data)).split(b"\n")
            for line in filter(None, whole):
                yield line
        assert not text, "it ends with a line"
        assert not is_packed or unpacker.eof, "it ends with a checksum"


async def _socket(viewer: Viewer, target: str, unit: Callable[[str], list[Record]]) -> None:
    """Raises `Unreachable` if it is not closed as one that has said all."""
    code = 0
    try:
        async with await connect(viewer.url) as stream, trio.open_nursery() as nursery:
            code = await _listen(nursery, stream, target, lambda message: viewer.take(unit(message)))
            nursery.cancel_scope.cancel()
    except OSError as error:
        raise wire.Unreachable(str(error)) from error
    if code != 1000:
        raise wire.Unreachable(f"closed with {code}")


async def _listen(
    nursery: trio.Nursery, stream: trio.SocketStream, target: str, take: Callable[[str], None]
) -> int:
    """The code with which the server closes; 0 if it did not even open."""
    connection = None
    try:
        with trio.move_on_after(
            OPENING_SECONDS
        ):  # the library waits for ever for a handshake that was cut off
            connection = await wrap_client_stream(nursery, stream, "terzetto", target)
        while connection is not None:
            message = await connection.get_message()
            assert isinstance(message, str)
            take(message)
    except ConnectionClosed as closed:
        return closed.reason.code if closed.reason else 0
    except HandshakeError:
        pass
    return 0
