"""A server on a free port for one test, and raw sockets to be rude to it."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio

from clients.server import App, serve

HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)


def get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]
    return "\r\n".join(lines).encode("latin1")


def frame(opcode: int, payload: bytes = b"") -> bytes:
    """A final, masked WebSocket frame of up to 125 bytes (the mask is zero)."""
    return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload


@attrs.frozen(kw_only=True)
class Live:
    """A serving application."""

    port: int
    stop: trio.Event

    async def connect(self, sent: bytes = b"") -> trio.SocketStream:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        await stream.send_all(sent)
        return stream

    async def ask(self, sent: bytes) -> bytes:
        """Everything the server answers until it ends the connection."""
        async with await self.connect(sent) as stream:
            return await read_all(stream)

    async def websocket(self, path: bytes = b"/ws", extra: bytes = b"") -> trio.SocketStream:
        stream = await self.connect(HANDSHAKE % (path, extra))
        head = await read_until(stream, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return stream


async def read_until(stream: trio.SocketStream, end: bytes) -> bytes:
    got = b""
    while end not in got:
        data = await stream.receive_some(65536)
        assert data, f"the server ended the connection after {got!r}"
        got += data
    return got


async def read_all(stream: trio.SocketStream) -> bytes:
    got = b""
    try:
        while data := await stream.receive_some(65536):
            got += data
    except trio.BrokenResourceError:
        pass
    return got


async def read_answer(stream: trio.SocketStream) -> bytes:
    """One answer with a Content-Length, off a connection that stays open."""
    got = await read_until(stream, b"\r\n\r\n")
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length is not None, head
    while len(body) < int(length[1]):
        body += await stream.receive_some(65536)
    return head + b"\r\n\r\n" + body


@asynccontextmanager
async def serving(
    app: App, *, grace_seconds: float = 0.5, send_seconds: float = 30.0, keep_alive_seconds: float = 75.0
) -> AsyncIterator[Live]:
    """Serve for the length of the block; then demand that the server is alive and stops within its grace."""
    stop = trio.Event()
    start: Callable[..., Awaitable[None]] = partial(
        serve,
        app,
        bind="127.0.0.1:0",
        shutdown=stop.wait,
        grace_seconds=grace_seconds,
        send_seconds=send_seconds,
        keep_alive_seconds=keep_alive_seconds,
    )
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            urls = await nursery.start(start)
            live = Live(port=int(urls[0].rpartition(":")[2]), stop=stop)
            yield live
            if not stop.is_set():
                answer = await live.ask(get("/", "Connection: close"))
                assert answer.startswith(b"HTTP/1.1 200"), answer
            stop.set()
            stopped_at = trio.current_time()
        assert trio.current_time() - stopped_at < grace_seconds + 1
