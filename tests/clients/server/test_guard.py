"""Hazards: what peers do to a server. After each, it serves others and stops within its grace."""

import inspect
import struct
from importlib.metadata import version
from typing import Any

import h11
import hypercorn.protocol.h11 as upstream_h11
import hypercorn.protocol.http_stream as upstream_http
import hypercorn.protocol.ws_stream as upstream_ws
import pytest
import quart.asgi
import quart_trio.asgi
import quart_trio.wrappers.request as upstream_request
import trio
from hypercorn.config import Config
from structlog.testing import capture_logs

from clients.server import App, guard
from clients.server.logs import StructuredLogger
from tests.clients.server.conftest import Seen
from tests.clients.server.live import HANDSHAKE, Live, frame, get, read_all, read_answer, read_until, serving

CHUNKED_AND_SIZED = (
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"
)

GARBAGE = {
    b"\x16\x03\x01\x02\x00\r\n\r\n": 400,
    b"GET / HTTP/9.9\r\n\r\n": 505,
    b"GET \xff HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n": 400,
    b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n": 501,
    b"GET * HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"GET ? HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"GET x HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    get("http://evil/nowhere", "Connection: close"): 404,
    get("/%00%ff%2e%2e/", "Connection: close"): 404,
    get("/", "Upgrade: websocket", "Connection: Upgrade, close"): 400,
    get("/", "Range: bytes=a-b", "Cookie: \xff=\xff", "Connection: close"): 200,
    b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * (80 << 10): 431,
    # HTTP/2, by upgrade (well and badly formed) and by prior knowledge: not spoken, not fallen over.
    get("/", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings, close", "HTTP2-Settings: !!!!"): 200,
    get("/", "Upgrade: h2c", "Connection: Upgrade, close", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"): 200,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100: 400,
}


@pytest.mark.parametrize(("sent", "status"), GARBAGE.items(), ids=[repr(sent[:40]) for sent in GARBAGE])
async def test_garbage_is_answered_and_forgotten(app: App, sent: bytes, status: int) -> None:
    """Whatever the first bytes are, the answer is an HTTP status and nobody else notices."""
    async with serving(app) as live:
        answer = await live.ask(sent)
        assert answer.split(b"\r\n")[0].split(b" ")[:2] == [b"HTTP/1.1", b"%d" % status]


async def test_a_body_framed_twice_is_refused_and_its_rest_is_not_a_request(app: App) -> None:
    """Content-Length beside Transfer-Encoding: 400 and close, or one request becomes two behind a proxy."""
    async with serving(app) as live:
        answer = await live.ask(CHUNKED_AND_SIZED)
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.count(b"HTTP/1.1") == 1


async def test_http2_frames_after_an_early_answer_end_only_their_connection(app: App) -> None:
    """One-packet kill: prior-knowledge h2c, a non-ASCII path in HPACK and DATA for an ended stream."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
    block = b"\x82\x86\x04\x04/\xff\xfe/\x01\x01x"  # GET, http, :path /\xff\xfe/, :authority x
    headers = struct.pack(">I", len(block))[1:] + b"\x01\x05\0\0\0\x01" + block
    data = b"\0\0\x04\0\x01\0\0\0\x01late"
    async with serving(app) as live:
        assert (await live.ask(preface + headers + data)).startswith(b"HTTP/1.1 400")


async def test_data_sent_with_the_upgrade_request_is_refused(app: App, seen: Seen) -> None:
    """One-packet kill: a frame before the handshake was answered; 400, and nothing is delivered."""
    with capture_logs() as lines:
        async with serving(app) as live:
            for _ in range(10):  # the handler must never win the race
                answer = await live.ask(HANDSHAKE % (b"/ws", b"") + frame(1, b"a"))
                assert answer.startswith(b"HTTP/1.1 400")
    assert seen.messages == []
    assert {line["log_level"] for line in lines} == {"info"}


@pytest.mark.parametrize("after", [frame(1, b"a"), frame(2, b"b"), b"\xff" * 10])
async def test_a_message_over_the_limit_is_refused_without_being_kept(
    app: App, seen: Seen, after: bytes
) -> None:
    """One-packet kill: too big a message and then another kind of frame. Close code 1009, memory stays."""
    before = resident_bytes()
    async with serving(app) as live, await live.websocket() as stream:
        await stream.send_all(bytes([0x82, 0xFF]) + (64 << 20).to_bytes(8, "big") + bytes(4))
        try:
            for _ in range(1024):
                await stream.send_all(bytes(1 << 16))
            await stream.send_all(after)
        except trio.BrokenResourceError:
            pass  # it need not read all this
        else:
            assert (await read_all(stream)).startswith(b"\x88\x02\x03\xf1")
        await seen.ended.wait()
        assert resident_bytes() - before < 24 << 20
    assert seen.messages == []


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:  # noqa: PTH123  (not a disk)
        return int(statm.read().split()[1]) * 4096


@pytest.mark.parametrize("apart", [True, False])
async def test_frames_after_a_close_frame_change_nothing(app: App, apart: bool) -> None:
    """A peer that goes on talking after saying goodbye gets its goodbye and no more."""
    async with serving(app) as live, await live.websocket() as stream:
        pieces = [frame(8, b"\x03\xe8"), frame(1, b"a"), frame(1, b"a")]
        for piece in pieces if apart else [b"".join(pieces)]:
            await stream.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        assert await read_all(stream) == b"\x88\x02\x03\xe8"


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xff\xff\xff",
        b"\x81\x01a",  # not masked
        frame(1, b"\xff"),  # not UTF-8
        frame(8, b"\x03"),  # half a close code
        b"\x89\xfe\x00\xc8\0\0\0\0" + bytes(200),  # too long a ping
        frame(0),  # continues nothing
    ],
)
async def test_broken_frames_end_only_their_conversation(app: App, bad: bytes) -> None:
    """A frame that breaks RFC 6455 ends the conversation; a second one finds nobody."""
    async with serving(app) as live, await live.websocket() as stream:
        await stream.send_all(bad)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(guard, "LINGER_SECONDS", 0.1)
            await read_all(stream)


async def test_an_empty_binary_message_arrives_as_one(app: App, seen: Seen) -> None:
    """Quart alone would hand over None."""
    async with serving(app) as live, await live.websocket() as stream:
        await stream.send_all(frame(2) + frame(1) + frame(1, b"text"))
        assert await read_until(stream, b"text") == b"\x82\x00\x81\x00\x81\x04text"
    assert seen.messages == [b"", "", "text"]


async def test_compression_is_never_negotiated(app: App) -> None:
    """permessage-deflate turns a 1 MB frame into a gigabyte of memory, so it is not accepted."""
    async with serving(app) as live:
        offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        stream = await live.connect(HANDSHAKE % (b"/ws", offer))
        async with stream:
            head = await read_until(stream, b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101")
    assert b"sec-websocket-extensions" not in head.lower()


async def stalled_peer(live: Live, seen: Seen, sent: bytes) -> trio.SocketStream:
    """A peer that asks for a lot and takes nothing: returns once the server's sends are stuck."""
    stream = await live.connect(sent)
    await seen.began.wait()
    last = -1
    while last != seen.sent:
        last = seen.sent
        await trio.sleep(0.15)
    return stream


STALLS = [get("/firehose"), HANDSHAKE % (b"/wspush", b"")]


@pytest.mark.parametrize("sent", STALLS)
async def test_a_peer_that_stops_reading_delays_shutdown_by_the_grace_at_most(
    app: App, seen: Seen, sent: bytes
) -> None:
    """The send is shielded from cancellation, but not from the server's end."""
    async with serving(app) as live:
        stream = await stalled_peer(live, seen, sent)
        assert seen.sent < 32 << 20
    await stream.aclose()  # it was there to the end


@pytest.mark.parametrize("sent", STALLS)
async def test_a_peer_that_stops_reading_does_not_outlive_a_cancelled_server(
    app: App, seen: Seen, sent: bytes
) -> None:
    """When whoever serves is cancelled, there is no grace."""
    with trio.CancelScope() as scope:
        async with serving(app, grace_seconds=60) as live, await stalled_peer(live, seen, sent):
            cancelled_at = trio.current_time()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() - cancelled_at < 1


async def test_a_peer_that_stops_reading_is_dropped(app: App, seen: Seen) -> None:
    """Nothing taken for `send_seconds`: the handler is cancelled, the connection closed, and it is told."""
    with capture_logs() as lines:
        async with serving(app, send_seconds=0.3) as live, await stalled_peer(live, seen, STALLS[0]):
            await seen.ended.wait()
    assert {"event": "peer stopped reading", "peer": "127.0.0.1", "log_level": "warning"} in lines


@pytest.mark.parametrize("path", [b"/longpoll", b"/firehose"])
async def test_a_peer_that_leaves_cancels_its_handler(app: App, seen: Seen, path: bytes) -> None:
    """Nobody waits for the answer any more, and the access line says so."""
    with capture_logs() as lines:
        async with serving(app) as live:
            stream = await live.connect(get(path.decode()))
            await seen.began.wait()
            await stream.aclose()
            await seen.ended.wait()
    (line,) = [line for line in lines if line.get("path") == path.decode()]
    assert line["left_early"]


async def test_a_peer_that_leaves_with_the_last_bytes_is_not_told_of_twice() -> None:
    """hypercorn reports it as gone although the answer was complete, and then reports the answer."""
    logger = StructuredLogger(Config())
    scope: Any = {"method": "GET", "path": "/", "client": None, "state": {"status": 200, "is_ending": True}}
    with capture_logs() as lines:
        await logger.access(scope, None, 0.1)
        await logger.access(scope, {"status": 200, "headers": []}, 0.1)
    assert [line["status"] for line in lines] == [200]


async def test_a_peer_that_leaves_cancels_its_conversation(app: App, seen: Seen) -> None:
    """The same for a WebSocket."""
    async with serving(app) as live:
        stream = await live.websocket()
        await seen.began.wait()
        await stream.aclose()
        await seen.ended.wait()
    assert seen.cancelled


async def test_a_peer_that_leaves_with_a_request_in_the_queue_is_let_go(app: App, seen: Seen) -> None:
    """While a pipelined request waits, nobody reads the socket; the grace ends what is left."""
    async with serving(app) as live:
        stream = await live.connect(get("/longpoll") + get("/"))
        await seen.began.wait()
        await stream.aclose()
    assert seen.cancelled


async def test_half_an_end_of_file_counts_as_leaving(app: App, seen: Seen) -> None:
    """A peer that shuts its sending side gets no answer to a long poll, but its handler goes at once."""
    async with serving(app) as live, await live.connect(get("/longpoll")) as stream:
        await seen.began.wait()
        await stream.send_eof()
        await seen.ended.wait()
        assert seen.cancelled


async def test_slow_heads_are_cut_off(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who begins a request must finish its head in time, however he trickles."""
    monkeypatch.setattr(guard, "HEADER_SECONDS", 0.3)
    async with serving(app) as live, await live.connect(b"GET / HTTP/1.1\r\n") as stream:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle, stream)
            assert await read_all(stream) == b""
            nursery.cancel_scope.cancel()
        assert 0.2 < trio.current_time() - began < 2


async def trickle(stream: trio.SocketStream) -> None:
    try:
        while True:
            await stream.send_all(b"A: b\r\n")
            await trio.sleep(0.05)
    except trio.BrokenResourceError:
        pass


async def test_a_connection_serves_many_requests(app: App) -> None:
    """Keep-alive, also for a request that came along with the one before."""
    async with serving(app) as live, await live.connect() as stream:
        for _ in range(3):
            await stream.send_all(get("/"))
            assert (await read_answer(stream)).endswith(b"\r\n\r\nok")
        await stream.send_all(get("/") + get("/"))
        assert (await read_until(stream, b"\r\n\r\nokHTTP/1.1 200")).startswith(b"HTTP/1.1 200")


async def test_idle_connections_close(app: App) -> None:
    """After the keep-alive time, whether they never asked anything or got their answer."""
    async with serving(app, keep_alive_seconds=0.3) as live:
        fresh = [await live.connect() for _ in range(5)]
        used = [await live.connect(get("/")) for _ in range(5)]
        for stream in used:
            await read_answer(stream)
        for stream in fresh + used:
            async with stream:
                assert await read_all(stream) == b""


async def stuff(stream: trio.SocketStream) -> None:
    """Send zeros until the other side takes no more."""
    sent, last = [0], -1

    async def send() -> None:
        while True:
            sent[0] += await stream.socket.send(bytes(1 << 16))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        while last != sent[0]:
            last = sent[0]
            await trio.sleep(0.15)
        nursery.cancel_scope.cancel()


async def test_an_early_answer_reaches_a_peer_that_is_still_sending(app: App, seen: Seen) -> None:
    """What it still sends is read away for a moment, instead of resetting it; the connection then ends."""
    head = b"PUT /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (64 << 20)
    async with serving(app, grace_seconds=5) as live, await live.connect(head) as stream:
        await stuff(stream)
        seen.may_answer.set()
        for _ in range(64):
            await stream.send_all(bytes(1 << 16))
        answer = await read_all(stream)
        assert answer.startswith(b"HTTP/1.1 403")
        assert answer.endswith(b"no, thank you")


async def test_a_peer_that_only_sends_and_never_reads_is_dropped(app: App, seen: Seen) -> None:
    """Even when its unread body fills every queue on the way to the handler."""
    head = b"PUT /firehose HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (64 << 20)
    async with serving(app, send_seconds=1) as live, await live.connect(head) as stream:
        await stuff(stream)
        await seen.ended.wait()


async def test_a_bug_in_one_connection_stays_in_it(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else goes wrong below the handlers ends one connection and is one log line."""

    async def fail(self: guard.GuardedProtocol, event: h11.Request) -> None:
        if event.target == b"/bug":
            raise KeyError("nobody thought of this")

    monkeypatch.setattr(guard.GuardedProtocol, "_check_protocol", fail)
    with capture_logs() as lines:
        async with serving(app) as live:
            assert await live.ask(get("/bug")) == b""
    (line,) = [line for line in lines if line["event"] == "connection broken"]
    assert line["peer"] == "127.0.0.1"
    assert line["exc_info"]


def parameters(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


def test_upstream_still_has_the_shape_we_override() -> None:
    """guard.py and app.py replace methods of others; when those change, this fails before a peer finds it."""
    stream = [
        "self",
        "app",
        "config",
        "context",
        "task_group",
        "ssl",
        "client",
        "server",
        "send",
        "stream_id",
    ]
    protocol = [*stream[:5], "connection_state", "ssl", "client", "server", "send"]
    assert version("hypercorn").startswith("0.18.")
    assert version("quart-trio").startswith("0.12.")
    h11_protocol, ws = upstream_h11.H11Protocol, upstream_ws.WSStream
    assert parameters(h11_protocol) == protocol[1:]
    assert parameters(upstream_http.HTTPStream) == parameters(ws) == stream[1:]
    assert parameters(h11_protocol._check_protocol) == ["self", "event"]
    assert parameters(h11_protocol._create_stream) == ["self", "request"]
    assert parameters(h11_protocol._send_h11_event) == ["self", "event"]
    assert parameters(h11_protocol._send_error_response) == ["self", "status_code"]
    assert parameters(ws._accept) == parameters(ws.app_send) == ["self", "message"]
    assert parameters(upstream_ws.WebsocketBuffer.extend) == ["self", "event"]
    assert vars(upstream_ws.WebsocketBuffer(7)) == {"value": None, "length": 0, "max_length": 7}
    assert upstream_ws.Handshake([], "1.1").extensions is None
    assert parameters(h11.Connection.next_event) == ["self"]
    http = quart_trio.asgi.TrioASGIHTTPConnection
    assert parameters(http.__call__) == ["self", "receive", "send"]
    assert parameters(quart.asgi.ASGIHTTPConnection._create_request_from_scope) == ["self", "send"]
    assert parameters(quart_trio.asgi.TrioASGIWebsocketConnection.handle_messages) == [
        "self",
        "nursery",
        "receive",
    ]
    assert parameters(upstream_request.TrioBody) == ["expected_content_length", "max_content_length"]
