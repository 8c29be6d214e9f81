"""Serving as a whole: answers, errors, log lines, shutdown."""

from collections.abc import AsyncIterator

import pytest
import trio
from quart import Response
from structlog.testing import capture_logs

from clients.server import App, serve
from tests.clients.server.conftest import Seen
from tests.clients.server.live import get, read_all, read_answer, read_until, serving


@pytest.mark.parametrize("path", ["/boom", "/boomgroup", "/interrupt", "/interrupt?exit"])
async def test_a_handlers_failure_is_a_500_and_one_log_line(app: App, path: str) -> None:
    """The peer learns nothing of it, the log everything, and only once."""
    with capture_logs() as lines:
        async with serving(app) as live:
            answer = await live.ask(get(path, "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"secret" not in answer
    assert b"Traceback" not in answer
    (line,) = [line for line in lines if line["log_level"] == "error"]
    assert line["event"] == "handler failed"
    assert line["path"] == path.partition("?")[0]
    assert line["exc_info"]


async def test_a_failure_in_a_conversation_is_one_log_line(app: App) -> None:
    """A WebSocket's failing handler ends it with code 1011."""
    with capture_logs() as lines:
        async with serving(app) as live, await live.websocket(b"/wsboom") as stream:
            assert (await read_all(stream)).startswith(b"\x88\x02\x03\xf3")
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["handler failed"]


async def test_an_answer_that_breaks_midway_does_not_look_complete(app: App) -> None:
    """Its status is out, so the connection ends before the last chunk."""
    with capture_logs() as lines:
        async with serving(app) as live:
            answer = await live.ask(get("/breaks-midway"))
    assert b"some" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["handler failed"]


async def test_every_request_is_one_line_without_its_secrets(app: App) -> None:
    """Method, path, status, seconds, bytes, peer; no query; of a lease's id just enough to recognise it."""
    lease = "0123456789abcdef" * 2
    with capture_logs() as lines:
        async with serving(app) as live:
            await live.ask(get(f"/api/leases/{lease}/output?token=hidden", "Connection: close"))
            await live.ask(b"nonsense\r\n\r\n")
    seconds = lines[0].pop("seconds")
    assert 0 <= seconds < 5
    assert lines[:2] == [
        {
            "event": "request",
            "log_level": "info",
            "method": "GET",
            "path": "/api/leases/012345…/output",
            "status": 200,
            "bytes": 5,
            "peer": "127.0.0.1",
        },
        {"event": "request refused", "log_level": "info", "status": 400, "peer": "127.0.0.1"},
    ]


async def test_answers_do_not_name_the_server_and_have_a_date(app: App) -> None:
    """The head of a small answer and its body come in one piece."""
    async with serving(app) as live, await live.connect(get("/")) as stream:
        first = bytes(await stream.receive_some(65536))
    head = first.lower()
    assert first.endswith(b"\r\n\r\nok")
    assert b"\r\ndate: " in head
    assert b"\r\nserver:" not in head
    assert b"set-cookie" not in head


async def test_head_answers_have_no_body(app: App, seen: Seen) -> None:
    """Not even a stream is begun for them."""
    async with serving(app) as live:
        head = get("/", "Connection: close").replace(b"GET", b"HEAD")
        answer = await live.ask(head)
        assert b"content-length: 2\r\n" in answer.lower()
        assert answer.endswith(b"\r\n\r\n")
        answer = await live.ask(get("/firehose", "Connection: close").replace(b"GET", b"HEAD"))
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"\r\n\r\n")
    assert not seen.began.is_set()


async def test_a_streams_head_does_not_wait_for_its_first_chunk(app: App) -> None:
    """A follower must know at once that it follows, even when there is nothing to tell yet."""

    async def never() -> AsyncIterator[bytes]:
        await trio.sleep(60)
        yield b"x"

    @app.get("/quiet")
    async def quiet() -> Response:
        return Response(never())

    async with serving(app) as live, await live.connect(get("/quiet")) as stream:
        assert (await read_until(stream, b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_no_timer_cuts_an_answer(app: App) -> None:
    """Quart would end a stream at RESPONSE_TIMEOUT, complete to the eye; here that setting does nothing."""
    app.config["RESPONSE_TIMEOUT"] = 0.1
    async with serving(app) as live:
        answer = await live.ask(get("/drip?count=3", "Connection: close"))
    assert answer.endswith(b"1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n0\r\n\r\n")


async def test_a_running_request_ends_in_the_grace(app: App, seen: Seen) -> None:
    """It is answered, with `connection: close`, while nobody new is let in."""
    sent = get("/longpoll?seconds=0.3")
    async with serving(app, grace_seconds=5) as live, await live.connect(sent) as stream:
        await seen.began.wait()
        live.stop.set()
        answer = await read_all(stream)
        with pytest.raises(OSError, match="connect"):
            await live.connect()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()


async def test_a_request_beyond_the_grace_is_cancelled(app: App, seen: Seen) -> None:
    """And its peer sees the connection end."""
    async with serving(app, grace_seconds=0.2) as live, await live.connect(get("/longpoll")) as stream:
        await seen.began.wait()
        live.stop.set()
        assert await read_all(stream) == b""
    assert seen.cancelled


async def test_idle_and_half_open_peers_do_not_use_up_the_grace(app: App) -> None:
    """Idle connections close at once, whether they asked something before or not."""
    async with (
        serving(app, grace_seconds=60) as live,
        await live.connect() as fresh,
        await live.connect(get("/")) as used,
    ):
        await read_answer(used)
        live.stop.set()
        assert await read_all(fresh) == b""
        assert await read_all(used) == b""
        stopped_at = trio.current_time()
    assert trio.current_time() - stopped_at < 1


async def test_a_half_open_upload_ends_with_the_grace(app: App, seen: Seen) -> None:
    """A peer that promised bytes and sends none cannot hold the server up."""
    head = b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
    async with serving(app, grace_seconds=0.3) as live, await live.connect(head):
        await seen.began.wait()
        live.stop.set()
        await seen.ended.wait()


async def test_urls_name_the_ports_that_were_found() -> None:
    """Port 0 is any; IPv6 addresses stand in brackets."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + 5
        for bind, prefix in (("127.0.0.1:0", "http://127.0.0.1:"), ("[::1]:0", "http://[::1]:")):

            async def start(task_status: trio.TaskStatus[list[str]], bind: str = bind) -> None:
                await serve(App("tests"), bind=bind, shutdown=stop.wait, task_status=task_status)

            (url,) = await nursery.start(start)
            assert url.startswith(prefix)
            assert int(url.rpartition(":")[2]) > 0
        stop.set()


@pytest.mark.parametrize("bind", ["8080", "localhost", "host:port", ":-1"])
async def test_an_address_that_is_none_is_refused(bind: str) -> None:
    """Said at start, not guessed at."""
    with trio.fail_after(5), pytest.raises(ValueError, match="HOST:PORT"):
        await serve(App("tests"), bind=bind, shutdown=trio.sleep_forever)


async def test_services_do_not_hide_in_the_application() -> None:
    """A before_serving function would never run here, so it is refused."""
    app = App("tests")
    app.before_serving(trio.lowlevel.checkpoint)
    with trio.fail_after(5), pytest.raises(ValueError, match="beside"):
        await serve(app, bind="127.0.0.1:0", shutdown=trio.sleep_forever)
