"""Bytes that go past the protocol code arrive as part of the same answer, whole and in order."""

import socket
from collections.abc import AsyncIterator

import pytest
import trio
from quart import Response, request, websocket
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from clients.server import PING, App, Direct, as_chunk, as_text_message, direct
from tests.clients.server.live import frame, get, read_all, read_until, serving

LARGE = bytes(range(256)) * (64 << 10)


class Peers:
    """The connections that handlers were called on, and when they may go on."""

    def __init__(self) -> None:
        self.app = App("direct")
        self.all: list[Direct] = []
        self.began = trio.Event()
        self.may_end = trio.Event()

        @self.app.get("/")
        async def index() -> str:
            return "ok"

        @self.app.get("/stream")
        async def stream() -> Response:
            self.note(direct(request))
            return Response(self.chunks())

        @self.app.websocket("/ws")
        async def ws() -> None:
            await websocket.accept()
            self.note(direct(websocket))
            await self.may_end.wait()

    def note(self, peer: Direct | None) -> None:
        if peer is not None:
            self.all.append(peer)
        self.began.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"first,"
        await self.may_end.wait()
        yield b"last"


@pytest.fixture
def peers() -> Peers:
    return Peers()


async def test_a_chunk_in_the_midst_of_an_answer(peers: Peers) -> None:
    """The client cannot tell."""
    async with serving(peers.app) as live, await live.connect(get("/stream", "Connection: close")) as stream:
        await read_until(stream, b"first,\r\n")
        await wait_all_tasks_blocked()  # until then that is still being sent
        assert peers.all[0].write_now(as_chunk(b"direct,"))
        peers.may_end.set()
        assert await read_all(stream) == b"7\r\ndirect,\r\n4\r\nlast\r\n0\r\n\r\n"


async def test_what_the_kernel_does_not_take_goes_first(peers: Peers) -> None:
    """Of a large piece it takes a part. Until the rest is gone nothing more is taken; nothing gets lost."""
    async with serving(peers.app) as live, await live.connect(get("/stream", "Connection: close")) as stream:
        await read_until(stream, b"first,\r\n")
        await wait_all_tasks_blocked()  # until then that is still being sent
        peer = peers.all[0]
        assert peer.write_now(as_chunk(LARGE))
        assert not peer.write_now(as_chunk(b"no"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.flush)
            got = await read_until(stream, LARGE[-256:] + b"\r\n")
            while len(got) < len(as_chunk(LARGE)):
                got += await stream.receive_some(1 << 20)
        assert got == as_chunk(LARGE)
        peers.may_end.set()
        assert await read_all(stream) == b"4\r\nlast\r\n0\r\n\r\n"


async def test_messages_of_every_size(peers: Peers) -> None:
    """As RFC 6455 frames them."""
    async with serving(peers.app) as live, await live.websocket() as stream:
        await peers.began.wait()
        for size in (0, 125, 126, 65535, 65536):
            assert peers.all[0].write_now(as_text_message(bytes(size)))
            head = b"\x81" + {125: b"\x7d", 0: b"\x00"}.get(
                size, b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
            )
            got = b""
            while len(got) < len(head) + size:
                got += await stream.receive_some(1 << 17)
            assert got == head + bytes(size)


async def test_a_ping_is_answered_and_heard(peers: Peers) -> None:
    """A pong is a sign of life, and no message."""
    async with serving(peers.app) as live, await live.websocket() as stream:
        await peers.began.wait()
        peer = peers.all[0]
        heard_at = peer.heard_at
        assert peer.write_now(PING)
        assert await read_until(stream, PING) == PING
        await stream.send_all(frame(10))
        while peer.heard_at == heard_at:
            await trio.sleep(0.001)


async def test_a_peer_may_be_dropped(peers: Peers) -> None:
    """Its handler ends, and nothing can be written any more."""
    with capture_logs() as lines:
        async with serving(peers.app) as live, await live.websocket() as stream:
            await peers.began.wait()
            peers.all[0].drop()
            assert await read_all(stream) == b""
            assert not peers.all[0].write_now(PING)
    assert "peer gave no sign of life" in [line["event"] for line in lines]


async def test_a_client_of_http_1_0_has_no_chunks(peers: Peers) -> None:
    """So nothing goes past the protocol code, which knows."""
    peers.may_end.set()
    async with serving(peers.app) as live:
        answer = await live.ask(b"GET /stream HTTP/1.0\r\nHost: x\r\n\r\n")
        assert answer.endswith(b"first,last")
    assert peers.all == []


async def test_the_kernel_looks_after_every_connection(peers: Peers) -> None:
    """A machine that is silent for longer than three quarters of a minute has no connection any more."""
    async with serving(peers.app) as live, await live.websocket():
        await peers.began.wait()
        stream = vars(peers.all[0])["_stream"]
        idle, between, patience = (
            stream.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_USER_TIMEOUT)
        )
        assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        # Asked first after `idle`; given up at the first question after `patience`.
        assert max(idle, patience / 1000) + between < 45
