"""The HTTP client: exchanges over real sockets, and time under virtual clocks."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable

import h11
import pytest
import structlog
import trio
import trio.testing

from clients.wire import BodyLengthChanged, Client, Origin, Refused, Reply, TooLarge, Unreachable
from tests.clients.peers import Network, Peer, serving

SECONDS = 10.0


async def echo(peer: Peer) -> None:
    while (request := await peer.request()) is not None:
        line, body = request
        await peer.answer(line.encode() + b" " + body)


def counting(talk: Callable[[Peer], Awaitable[None]]) -> tuple[list[int], Callable[[Peer], Awaitable[None]]]:
    """`talk`, and a list that gets an entry per connection."""
    connections: list[int] = []

    async def counted(peer: Peer) -> None:
        connections.append(1)
        await talk(peer)

    return connections, counted


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_an_exchange_reuses_its_connection() -> None:
    """Two requests, one after the other, share one connection; the prefix precedes every target."""
    connections, talk = counting(echo)
    async with serving(talk) as url:
        client = Client(url + "/coordinator/")
        first = await client.call("POST", "/build?x=1", body=b"one", timeout_seconds=SECONDS)
        second = await client.call("GET", "/file", timeout_seconds=SECONDS)
        await client.aclose()
    assert first.body == b"POST /coordinator/build?x=1 one"
    assert second.body == b"GET /coordinator/file "
    assert len(connections) == 1


async def test_the_headers_of_the_answer_and_the_request() -> None:
    """Names of answered headers are lower-case; the client's own headers go with every request."""
    seen: list[h11.Request] = []

    async def talk(peer: Peer) -> None:
        head = await peer.head()
        assert head is not None
        seen.append(head)
        await peer.body()
        await peer.answer(headers=(("Terzetto-Position", "7"),))

    async with serving(talk) as url:
        client = Client(url, headers=[("authorization", "Bearer x")])
        reply = await client.call("GET", "/", headers=[("a", "b")], timeout_seconds=SECONDS)
        await client.aclose()
    assert reply.headers["terzetto-position"] == "7"
    headers = dict(seen[0].headers)
    assert headers[b"authorization"] == b"Bearer x"
    assert headers[b"a"] == b"b"
    assert headers[b"host"] == url.removeprefix("http://").encode()


@pytest.mark.parametrize("size", [0, 1, 40_000, 3_000_000])
async def test_bytes_of_any_size_come_back(size: int) -> None:
    """Small bodies and large ones, which are sent and answered at the same time."""
    body = b"x" * size
    async with serving(echo) as url:
        client = Client(url)
        for _ in range(2):
            reply = await client.call("PUT", "/", body=body, timeout_seconds=SECONDS)
            assert reply.body == b"PUT / " + body
        await client.aclose()


@pytest.mark.parametrize("headers", [[], [("Content-Length", "6")]])
async def test_a_streamed_body(headers: list[tuple[str, str]]) -> None:
    """An async iterable is sent as it comes, chunked or with the length that the caller knows."""
    async with serving(echo) as url:
        client = Client(url)
        reply = await client.call(
            "PUT", "/", body=chunks(b"abc", b"", b"def"), headers=headers, timeout_seconds=SECONDS
        )
        await client.aclose()
    assert reply.body == b"PUT / abcdef"


@pytest.mark.parametrize("length", ["5", "7"])
async def test_a_streamed_body_of_another_length_is_an_error(length: str) -> None:
    """A file that shrank or grew while it was sent is told apart from trouble with the network."""
    async with serving(echo) as url:
        client = Client(url, connections_max=1)
        headers = [("content-length", length)]
        with pytest.raises(BodyLengthChanged):
            await client.call(
                "PUT", "/", body=chunks(b"abc", b"def"), headers=headers, timeout_seconds=SECONDS
            )
        assert (await client.call("GET", "/", timeout_seconds=SECONDS)).status == 200
        await client.aclose()


async def test_a_failing_body_raises_its_own_error() -> None:
    """What the caller's iterator raises comes back as it is, and the pool has its slot again."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"abc"
        raise PermissionError("no")

    async with serving(echo) as url:
        client = Client(url, connections_max=1)
        with pytest.raises(PermissionError):
            await client.call("PUT", "/", body=failing(), timeout_seconds=SECONDS)
        assert (await client.call("GET", "/", timeout_seconds=SECONDS)).status == 200
        await client.aclose()


async def test_a_generator_that_is_cut_off_is_closed_at_once() -> None:
    """The body's generator does its clean-up before the request returns, not when collected."""
    closed: list[bool] = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.append(True)

    async def talk(peer: Peer) -> None:
        await peer.head()
        await peer.answer(b"full", status=507)

    async with serving(talk) as url:
        client = Client(url)
        await client.call("PUT", "/", body=endless(), timeout_seconds=SECONDS)
        assert closed == [True]
        await client.aclose()


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_refusal_in_the_middle_of_an_upload_is_read(is_streamed: bool, resets: bool) -> None:
    """413 arrives though the server reads no further, and even though it then resets the connection."""
    size = 50 << 20

    async def talk(peer: Peer) -> None:
        await peer.head()
        await peer.answer(b"too large", status=413)
        if not resets:
            await trio.sleep_forever()  # until the test's end: a server that simply stops reading

    async with serving(talk) as url:
        client = Client(url)
        body = chunks(*[b"x" * (1 << 20)] * 50) if is_streamed else b"x" * size
        reply = await client.call("PUT", "/", body=body, timeout_seconds=SECONDS)
        await client.aclose()
    assert (reply.status, reply.body) == (413, b"too large")


class Refusing(trio.abc.Stream):
    """Takes the head of a request and nothing more; its answer comes a while after that."""

    def __init__(self) -> None:
        self._sent = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self._sent += 1
        if self._sent > 1:
            raise trio.BrokenResourceError

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.sleep(1)
        return b"HTTP/1.1 507 Full\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfull"

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_refusal_that_comes_after_the_reset(
    is_streamed: bool, autojump_clock: trio.testing.MockClock
) -> None:
    """That nothing more can be sent does not hide the answer that says why."""

    async def open_stream(host: str, port: int) -> trio.abc.Stream:
        return Refusing()

    client = Client("http://h", open_stream=open_stream)
    body = chunks(b"x", b"y") if is_streamed else b"x" * 100_000
    reply = await client.call("PUT", "/", body=body, timeout_seconds=SECONDS)
    assert (reply.status, reply.body) == (507, b"full")


async def test_a_stale_connection_is_replaced() -> None:
    """A kept connection that the server has closed costs nothing: the request goes out again."""

    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"ok")

    connections, talk = counting(once)
    async with serving(talk) as url:
        client = Client(url)
        for _ in range(3):
            assert (await client.call("POST", "/", body=b"x", timeout_seconds=SECONDS)).body == b"ok"
        await client.aclose()
    assert len(connections) == 3


async def test_a_request_is_not_sent_again_once_anything_came_back() -> None:
    """An answer that breaks off is no stale connection: the request was seen and is not repeated."""
    requests: list[str] = []

    async def talk(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            requests.append(request[0])
            if len(requests) == 2:
                await peer.stream.send_all(b"HTTP/1.1 200 OK\r\n")
                return
            await peer.answer()

    async with serving(talk) as url:
        client = Client(url)
        await client.call("GET", "/1", timeout_seconds=SECONDS)
        with pytest.raises(Unreachable):
            await client.call("GET", "/2", timeout_seconds=SECONDS)
        await client.aclose()
    assert requests == ["GET /1", "GET /2"]


async def test_a_fresh_connection_that_dies_is_not_tried_again() -> None:
    """Without an answer on a new connection the peer is unreachable; who wants to retry decides so."""

    async def mute(peer: Peer) -> None:
        await peer.request()

    connections, talk = counting(mute)
    async with serving(talk) as url:
        client = Client(url)
        with pytest.raises(Unreachable, match="without an answer"):
            await client.call("GET", "/", timeout_seconds=SECONDS)
        await client.aclose()
    assert len(connections) == 1


async def test_a_streamed_body_takes_a_new_connection() -> None:
    """It could not be sent twice, so it is not risked on a connection that may be stale."""
    connections, talk = counting(echo)
    async with serving(talk) as url:
        client = Client(url)
        await client.call("GET", "/", timeout_seconds=SECONDS)
        await client.call("PUT", "/", body=chunks(b"x"), timeout_seconds=SECONDS)
        await client.aclose()
    assert len(connections) == 2


async def test_nobody_listens() -> None:
    """A refused connection is Unreachable."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(Unreachable, match="takes no connection"):
        await Client(f"http://127.0.0.1:{port}").call("GET", "/", timeout_seconds=SECONDS)


async def test_an_answer_that_breaks_off() -> None:
    """A body that ends before its length is Unreachable, never a short body."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.start(headers=(("content-length", "10"),))
        await peer.say(b"half")

    async with serving(talk) as url:
        client = Client(url)
        async with client.request("GET", "/", timeout_seconds=SECONDS) as response:
            assert await anext(response) == b"half"
            with pytest.raises(Unreachable, match="broke off"):
                await anext(response)
        await client.aclose()


async def test_an_answer_that_ends_with_its_connection() -> None:
    """An HTTP/1.0 answer without a length is complete at the end of the stream."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.stream.send_all(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    async with serving(talk) as url:
        client = Client(url)
        assert (await client.call("GET", "/", timeout_seconds=SECONDS)).body == b"all of it"
        await client.aclose()


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000])
async def test_a_peer_that_does_not_speak_http(answer: bytes) -> None:
    """Garbage, and heads without end, are Unreachable."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.stream.send_all(answer)

    async with serving(talk) as url:
        client = Client(url)
        with pytest.raises(Unreachable):
            await client.call("GET", "/", timeout_seconds=SECONDS)
        await client.aclose()


async def test_an_announcement_is_no_answer() -> None:
    """1xx heads are passed over."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.stream.send_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await peer.answer(b"now")

    async with serving(talk) as url:
        client = Client(url)
        assert (await client.call("GET", "/", timeout_seconds=SECONDS)).body == b"now"
        await client.aclose()


async def test_bytes_after_the_answer_spoil_the_connection() -> None:
    """What nobody asked for must not become the next request's answer."""

    async def talkative(peer: Peer) -> None:
        await peer.request()
        await peer.stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n")
        await trio.sleep_forever()  # until the test's end

    connections, talk = counting(talkative)
    async with serving(talk) as url:
        client = Client(url)
        for _ in range(2):
            assert (await client.call("GET", "/", timeout_seconds=SECONDS)).body == b"ok"
        await client.aclose()
    assert len(connections) == 2


async def test_an_answer_too_large() -> None:
    """`read` stops at its bound, and the connection with the rest is not used again."""
    connections, talk = counting(echo)
    async with serving(talk) as url:
        client = Client(url)
        with pytest.raises(TooLarge):
            await client.call("PUT", "/", body=b"x" * 100, timeout_seconds=SECONDS, bytes_max=99)
        await client.call("PUT", "/", timeout_seconds=SECONDS)
        await client.aclose()
    assert len(connections) == 2


async def test_lines_in_any_chunking() -> None:
    """Lines are whole however they were cut; an unfinished last line is given too."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.start()
        for piece in (b"one\ntw", b"o\n\nthr", b"ee", b"\nrest"):
            await peer.say(piece)
        await peer.end()

    async with serving(talk) as url:
        client = Client(url)
        async with client.request("GET", "/", timeout_seconds=SECONDS) as response:
            assert [line async for line in response.lines()] == [b"one", b"two", b"", b"three", b"rest"]
        await client.aclose()


async def test_a_line_too_long() -> None:
    """A line beyond the bound is refused instead of filling memory."""
    async with serving(echo) as url:
        client = Client(url)
        async with client.request("PUT", "/", body=b"x" * 2000, timeout_seconds=SECONDS) as response:
            with pytest.raises(TooLarge):
                [line async for line in response.lines(bytes_max=1000)]
        await client.aclose()


async def test_require() -> None:
    """A response of another status is raised with the text of its body."""

    async def talk(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(b"no such build\n", status=404)

    async with serving(talk) as url:
        client = Client(url)
        async with client.request("GET", "/", timeout_seconds=SECONDS) as response:
            await response.require(404)
            with pytest.raises(Refused) as refusal:
                await response.require(200)
        await client.aclose()
    assert (refusal.value.status, refusal.value.text) == (404, "no such build")


def test_raise_for_status() -> None:
    """Any 2xx passes; anything else is Refused with the body's text."""
    assert Reply(status=204, headers={}, body=b"").raise_for_status().status == 204
    with pytest.raises(Refused, match="409: gone\ufffd"):
        Reply(status=409, headers={}, body=b"gone\xff").raise_for_status()


@pytest.mark.parametrize("url", ["ftp://h", "h:80", "http://", "http://u@h", "http://h?q", "http://h:x"])
def test_base_urls_that_are_none(url: str) -> None:
    """Only plain http and https URLs make a client."""
    with pytest.raises(ValueError):
        Origin.of(url)


def test_the_parts_of_a_base_url() -> None:
    """IPv6 hosts lose their brackets for connecting and keep them in the host header."""
    origin = Origin.of("http://[::1]:81/a/b/")
    assert (origin.host, origin.port, origin.authority, origin.prefix) == ("::1", 81, "[::1]:81", "/a/b")
    assert Origin.of("https://h").port == 443


async def test_cancelled_requests_leave_nothing_behind() -> None:
    """Whenever a request is cancelled, its connection is closed and its place in the pool is free."""
    opened: list[trio.SocketStream] = []

    async def open_stream(host: str, port: int) -> trio.SocketStream:
        opened.append(await trio.open_tcp_stream(host, port))
        return opened[-1]

    async def slow(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            await trio.sleep(0.002)
            await peer.answer(request[1])

    async with serving(slow) as url:
        client = Client(url, connections_max=4, open_stream=open_stream)
        async with trio.open_nursery() as nursery:

            async def cut_off(seconds: float) -> None:
                body = b"x" * 100_000
                with trio.move_on_after(seconds):
                    await client.call("PUT", "/", body=body, timeout_seconds=SECONDS)

            for number in range(200):
                nursery.start_soon(cut_off, number / 20_000)
        for _ in range(8):
            assert (await client.call("PUT", "/", body=b"ok", timeout_seconds=SECONDS)).body == b"ok"
        await client.aclose()
        assert [stream for stream in opened if stream.socket.fileno() != -1] == []


async def test_a_closed_client_keeps_nothing() -> None:
    """An exchange that ends after `aclose` closes its connection instead of keeping it."""
    opened: list[trio.SocketStream] = []

    async def open_stream(host: str, port: int) -> trio.SocketStream:
        opened.append(await trio.open_tcp_stream(host, port))
        return opened[-1]

    async with serving(echo) as url:
        client = Client(url, open_stream=open_stream)
        async with client.request("GET", "/", timeout_seconds=SECONDS) as response:
            await client.aclose()
            assert await response.read() == b"GET / "
    assert [stream.socket.fileno() for stream in opened] == [-1]


async def silent(peer: Peer) -> None:
    await peer.request()
    await trio.sleep_forever()  # until the test's nursery is cancelled


async def test_one_log_line_per_request() -> None:
    """It names the outcome, and shows too little of a lease's id to report in its name."""
    lease, artifact = "0123456789abcdef" * 2, "aa" * 20
    async with serving(echo) as url, Client(url) as client:
        with structlog.testing.capture_logs() as lines:
            await client.call("POST", f"/api/leases/{lease}/output?id={artifact}", timeout_seconds=SECONDS)
    [line] = lines
    assert (line["event"], line["log_level"], line["status"]) == ("request sent", "debug", 200)
    assert line["target"] == f"/api/leases/01234567…/output?id={artifact}"
    with structlog.testing.capture_logs() as lines, pytest.raises(Unreachable):
        await Client(url).call("GET", "/", timeout_seconds=SECONDS)
    [line] = lines
    assert line["log_level"] == "info"
    assert "takes no connection" in line["error"]


async def test_no_answer_in_time(autojump_clock: trio.testing.MockClock) -> None:
    """A silent server is Unreachable after exactly the time that was given."""
    async with trio.open_nursery() as nursery:
        client = Client("http://h", open_stream=Network(nursery, silent).open_stream)
        with pytest.raises(Unreachable, match="within 30 s"):
            await client.call("GET", "/", timeout_seconds=30)
        assert trio.current_time() == pytest.approx(30)
        nursery.cancel_scope.cancel()


async def test_no_connection_in_time(autojump_clock: trio.testing.MockClock) -> None:
    """Connecting has its own, shorter limit."""

    async def open_stream(host: str, port: int) -> trio.abc.Stream:
        await trio.sleep(math.inf)
        raise AssertionError

    with pytest.raises(Unreachable, match="no connection within 5 s"):
        await Client("http://h", open_stream=open_stream).call("GET", "/", timeout_seconds=30)
    assert trio.current_time() == pytest.approx(5)


async def test_the_pool_is_full(autojump_clock: trio.testing.MockClock) -> None:
    """Waiting for a connection counts as waiting for the answer."""
    async with trio.open_nursery() as nursery:
        network = Network(nursery, silent)
        client = Client("http://h", open_stream=network.open_stream, connections_max=1)

        async def ask(seconds: float) -> None:
            with pytest.raises(Unreachable):
                await client.call("GET", "/", timeout_seconds=seconds)

        async with trio.open_nursery() as both:
            both.start_soon(ask, 100)
            await trio.testing.wait_all_tasks_blocked()
            await ask(10)
            assert trio.current_time() == pytest.approx(10)
            both.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


async def test_a_body_that_stalls_is_the_callers_to_time(autojump_clock: trio.testing.MockClock) -> None:
    """`timeout_seconds` of a request ends with the head; `call` bounds the body as well."""

    async def stalling(peer: Peer) -> None:
        await peer.request()
        await peer.start()
        await trio.sleep(60)
        await peer.say(b"late")
        await peer.end()

    async with trio.open_nursery() as nursery:
        client = Client("http://h", open_stream=Network(nursery, stalling).open_stream)
        async with client.request("GET", "/", timeout_seconds=5) as response:
            assert await response.read() == b"late"
        with pytest.raises(Unreachable):
            await client.call("GET", "/", timeout_seconds=5)
        nursery.cancel_scope.cancel()
