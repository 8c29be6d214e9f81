"""Request bodies: bounded memory, bounded waiting, bounded size."""

import pytest
import trio
import trio.testing

from clients.server import App, body
from clients.server.body import BUFFER_BYTES
from tests.clients.server.conftest import Seen
from tests.clients.server.live import get, read_all, read_answer, serving
from tests.clients.server.test_guard import resident_bytes

UPLOAD = b"PUT /upload%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


async def test_an_upload_is_no_faster_than_its_consumer(app: App) -> None:
    """200 MB to a slow handler: the peer waits, the server's memory does not grow."""
    size = 200 << 20
    async with serving(app) as live:
        head = UPLOAD % (b"?pause=0.002", b"Content-Length: %d\r\n" % size)
        async with await live.connect(head) as stream:
            piece, before, peak = bytes(1 << 20), resident_bytes(), 0
            for _ in range(200):
                await stream.send_all(piece)
                peak = max(peak, resident_bytes())
            answer = await read_all(stream)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"total":%d' % size in answer.replace(b" ", b"")
    assert peak - before < 24 << 20


async def test_the_buffer_holds_back_whoever_fills_it() -> None:
    """A full body lets nobody add until the handler takes, and then all that was there comes at once."""
    full = body.Body(None, None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(full.put, bytes(BUFFER_BYTES))
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        assert await full.take() == bytes(BUFFER_BYTES)
    full.end()
    assert await full.take() == b""


@pytest.mark.parametrize("framing", [CHUNKED, b"Content-Length: 200\r\n"])
async def test_a_body_over_the_limit_is_refused(app: App, framing: bytes) -> None:
    """413 as soon as it is known: by its announcement, or by the byte too many."""
    async with serving(app) as live:
        payload = b"64\r\n" + bytes(100) + b"\r\n"
        answer = await live.ask(UPLOAD % (b"?max=99", framing) + payload)
        assert answer.startswith(b"HTTP/1.1 413")


async def test_a_body_at_the_limit_is_accepted(app: App) -> None:
    """The limit itself is allowed, chunked or not."""
    async with serving(app) as live:
        payload = b"64\r\n" + bytes(100) + b"\r\n0\r\n\r\n"
        assert (await live.ask(UPLOAD % (b"?max=100", CHUNKED) + payload)).startswith(b"HTTP/1.1 200")
        sized = UPLOAD % (b"?max=100", b"Content-Length: 100\r\n") + bytes(100)
        assert (await live.ask(sized)).startswith(b"HTTP/1.1 200")


async def test_a_peer_that_falls_silent_in_its_body_is_given_up(app: App) -> None:
    """408 after the idle time."""
    async with serving(app) as live:
        answer = await live.ask(UPLOAD % (b"?idle=0.2", b"Content-Length: 100\r\n") + b"abc")
        assert answer.startswith(b"HTTP/1.1 408")


async def test_a_peer_that_trickles_is_given_up(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never idle, but far below the rate that anybody can reach: 408."""
    monkeypatch.setattr(body, "PATIENCE_SECONDS", 0.3)
    head = UPLOAD % (b"", b"Content-Length: 100000\r\n")
    async with serving(app) as live, await live.connect(head) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(trickle, stream)
        answer = await read_all(stream)
        nursery.cancel_scope.cancel()
    assert answer.startswith(b"HTTP/1.1 408")


async def trickle(stream: trio.SocketStream) -> None:
    try:
        while True:
            await stream.send_all(b"x")
            await trio.sleep(0.02)
    except trio.BrokenResourceError:
        pass


async def test_a_slow_handler_is_not_held_against_its_peer(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the time spent waiting for the peer counts."""
    monkeypatch.setattr(body, "PATIENCE_SECONDS", 0.2)
    async with serving(app) as live:
        payload = b"".join(b"1\r\nx\r\n" for _ in range(3)) + b"0\r\n\r\n"
        answer = await live.ask(UPLOAD % (b"?idle=0.1&pause=0.5", CHUNKED) + payload)
        assert answer.startswith(b"HTTP/1.1 200")


async def test_a_peer_that_leaves_in_its_body_cancels_the_handler(app: App, seen: Seen) -> None:
    """An upload that breaks off is no upload."""
    async with serving(app) as live:
        stream = await live.connect(UPLOAD % (b"", b"Content-Length: 100\r\n") + b"abc")
        await seen.began.wait()
        await stream.aclose()
        await seen.ended.wait()


async def test_whole_bodies(app: App) -> None:
    """`receive_body` and Quart's own `get_data` give the same bytes; an absent body is empty."""
    async with serving(app) as live, await live.connect() as stream:
        for path in (b"/echo", b"/quart"):
            for payload in (b"", b"x" * 1000):
                head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, len(payload))
                await stream.send_all(head + payload)
                answer = await read_answer(stream)
                assert answer.startswith(b"HTTP/1.1 200")
                assert answer.partition(b"\r\n\r\n")[2] == payload


async def test_quarts_own_reading_is_limited_too(app: App) -> None:
    """A handler that forgets to name a limit has the application's."""
    app.config["MAX_CONTENT_LENGTH"] = 10
    async with serving(app) as live:
        head = b"POST /quart HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 11\r\n\r\n"
        assert (await live.ask(head + bytes(11))).startswith(b"HTTP/1.1 413")


async def test_a_body_nobody_reads_does_no_harm_to_the_next_request(app: App, seen: Seen) -> None:
    """A short unread body is skipped, and the connection goes on."""
    seen.may_answer.set()
    async with serving(app) as live, await live.connect() as stream:
        await stream.send_all(b"PUT /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        assert (await read_answer(stream)).startswith(b"HTTP/1.1 403")
        await stream.send_all(get("/"))
        assert (await read_answer(stream)).startswith(b"HTTP/1.1 200")


async def test_the_in_memory_test_client_works(app: App) -> None:
    """Quart's test client feeds bodies through `set_result`."""
    answer = await app.test_client().post("/echo", data=b"hello")
    assert await answer.get_data() == b"hello"
