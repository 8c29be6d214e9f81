"""One application with a handler for every way to be treated badly."""

from collections.abc import AsyncIterator

import attrs
import pytest
import trio
from quart import Response, request, websocket

from clients.server import App, receive_body, receive_chunks

UPLOAD_BYTES_MAX = 1 << 30


@attrs.define
class Seen:
    """What the handlers went through."""

    began: trio.Event = attrs.field(factory=trio.Event)
    ended: trio.Event = attrs.field(factory=trio.Event)
    may_answer: trio.Event = attrs.field(factory=trio.Event)
    cancelled: bool = False
    sent: int = 0
    messages: list[str | bytes] = attrs.field(factory=list)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def app(seen: Seen) -> App:
    app = App("tests")

    @app.get("/")
    async def index() -> str:
        return "ok"

    @app.get("/api/leases/<lease>/output")
    async def output(lease: str) -> str:
        return "bytes"

    @app.get("/longpoll")
    async def longpoll() -> str:
        seen.began.set()
        try:
            await trio.sleep(float(request.args.get("seconds", "inf")))
        except trio.Cancelled:
            seen.cancelled = True
            raise
        finally:
            seen.ended.set()
        return "late"

    @app.route("/firehose", methods=["GET", "PUT"])
    async def firehose() -> Response:
        return Response(pour(bytes(1 << 16), pause=0.0))

    @app.get("/drip")
    async def drip() -> Response:
        return Response(pour(b"x", pause=0.2, count=int(request.args["count"])))

    async def pour(chunk: bytes, *, pause: float, count: int = 1 << 30) -> AsyncIterator[bytes]:
        seen.began.set()
        try:
            for _ in range(count):
                yield chunk
                seen.sent += len(chunk)
                if pause:
                    await trio.sleep(pause)
        finally:
            seen.ended.set()

    @app.get("/boom")
    async def boom() -> str:
        raise ValueError("the secret of the failure")

    @app.get("/boomgroup")
    async def boomgroup() -> str:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(boom)
        return "unreachable"

    @app.get("/interrupt")
    async def interrupt() -> str:
        raise SystemExit(3) if "exit" in request.args else KeyboardInterrupt

    @app.get("/breaks-midway")
    async def breaks_midway() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"some"
            raise ValueError("midway")

        return Response(chunks())

    @app.put("/upload")
    async def upload() -> dict[str, int]:
        seen.began.set()
        total = peak = 0
        bytes_max = int(request.args.get("max", UPLOAD_BYTES_MAX))
        pause = float(request.args.get("pause", 0))
        try:
            async for chunk in receive_chunks(
                bytes_max=bytes_max, idle_seconds=float(request.args.get("idle", 30))
            ):
                total, peak = total + len(chunk), max(peak, len(chunk))
                await trio.sleep(pause)
        finally:
            seen.ended.set()
        return {"total": total, "peak": peak}

    @app.put("/ignore")
    async def ignore() -> tuple[str, int]:
        seen.began.set()
        await seen.may_answer.wait()
        return "no, thank you", 403

    @app.post("/echo")
    async def echo() -> bytes:
        return await receive_body(1000)

    @app.post("/quart")
    async def quart() -> bytes:
        data = await request.get_data()
        assert isinstance(data, bytes)
        return data

    @app.websocket("/ws")
    async def ws() -> None:
        seen.began.set()
        try:
            while True:
                message = await websocket.receive()
                seen.messages.append(message)
                await websocket.send(message)
        except trio.Cancelled:
            seen.cancelled = True
            raise
        finally:
            seen.ended.set()

    @app.websocket("/wspush")
    async def wspush() -> None:
        seen.began.set()
        while True:
            await websocket.send(bytes(1 << 16))
            seen.sent += 1 << 16

    @app.websocket("/wsboom")
    async def wsboom() -> None:
        await websocket.accept()
        raise ValueError("in a conversation")

    return app
