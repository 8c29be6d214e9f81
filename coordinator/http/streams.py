"""Live streams of records: chunked JSON lines, WebSocket and server-sent events over one cursor.

The lines are the log's own texts, encoded once when they were stored. Several that come within a tick
travel in one chunk. A stream of a build ends with the build's last record; an idle one says how far it
has come. Whoever reads slowly lags behind and harms nobody: nothing is queued for him.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import trio
from quart import Blueprint, Response, request, websocket
from quart.wrappers import Request as HttpRequest
from quart.wrappers import Websocket

from clients.codec import dumps
from coordinator.follow import TICK_SECONDS, Follower
from coordinator.history import check_floor, find
from coordinator.http.errors import answer_json
from coordinator.parts import Parts
from events import codec
from events.catalog import EVENTS
from events.errors import MALFORMED, Rejected
from events.ids import BuildId, Position
from events.log import Entry, Readable, subjects
from events.transfer import dump

LINES = "application/x-ndjson"
SSE = "text/event-stream"
# What a WebSocket is closed with when the coordinator stops (RFC 6455: service restart).
RESTARTING = 1012
MESSAGE_BYTES = 256 << 10


def blueprint(parts: Parts) -> Blueprint:
    """The live routes below /api."""
    live = Blueprint("live", __name__)

    @live.get("/builds/<name>/events")
    async def build_events(name: str) -> Response:
        return await _http(parts, name)

    @live.get("/events")
    async def events() -> Response:
        return await _http(parts, None)

    @live.get("/log")
    async def export() -> Response:
        try:
            after = Position(_position(request.args.get("after")))
        except Rejected as error:
            return answer_json(error)
        return Response(_export(parts, after, parts.journal.durable), content_type=LINES)

    @live.websocket("/builds/<name>/events")
    async def build_socket(name: str) -> Response | None:
        return await _socket(parts, name)

    @live.websocket("/events")
    async def socket() -> Response | None:
        return await _socket(parts, None)

    return live


async def _http(parts: Parts, name: str | None) -> Response:
    try:
        build, follower = await _follower(parts, request, name)
    except Rejected as error:
        return answer_json(error)
    as_events = SSE in request.headers.get("Accept", "")
    render = _as_events if as_events else _as_lines
    # A client that follows the lines is there for its build; a page that somebody has left open is not.
    attended = None if as_events else build
    answer = Response(_chunks(parts, attended, follower, render), content_type=SSE if as_events else LINES)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"
    answer.headers["terzetto-format"] = str(codec.FORMAT)
    return answer


async def _socket(parts: Parts, name: str | None) -> Response | None:
    if not _is_from_here(websocket):
        return answer_json(Rejected(MALFORMED, "pages of another origin may not open this socket"), 403)
    try:
        _, follower = await _follower(parts, websocket, name)
    except Rejected as error:
        return answer_json(error)
    await websocket.accept()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_ignore_commands)
        await _send_all(parts, follower, batched=websocket.args.get("batch") == "1")
        await websocket.close(RESTARTING if parts.journal.is_stopping else 1000)
        nursery.cancel_scope.cancel()
    return None


async def _ignore_commands() -> None:
    """These sockets only tell; reading them notices when the peer goes away."""
    while True:
        await websocket.receive()


async def _send_all(parts: Parts, follower: Follower, *, batched: bool) -> None:
    while not follower.has_ended:
        entries = await follower.read(parts.config.progress_seconds)
        lines = _as_lines(entries, follower).splitlines()
        for message in _joined(lines) if batched else lines:
            await websocket.send(message.decode())
            await trio.lowlevel.checkpoint()  # `send` on a closed socket returns at once
        await trio.sleep(TICK_SECONDS if batched else 0)


def _joined(lines: list[bytes]) -> Iterator[bytes]:
    """Messages of several lines, none much larger than a reader may care to take."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if size and size + len(line) > MESSAGE_BYTES:
            yield b"\n".join(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield b"\n".join(batch)


async def _chunks(
    parts: Parts, build: BuildId | None, follower: Follower, render: Callable[[list[Entry], Follower], bytes]
) -> AsyncIterator[bytes]:
    with _attendance(parts, build):
        while not follower.has_ended:
            entries = await follower.read(parts.config.progress_seconds)
            if chunk := render(entries, follower):
                yield chunk
            await trio.sleep(TICK_SECONDS)


async def _export(parts: Parts, after: Position, upto: Position) -> AsyncIterator[bytes]:
    """The log up to now as `terzetto log export` has it, the archive included."""
    while after < upto:
        page = await parts.journal.look(partial(_exported, after, upto))
        after = Position(after + len(page))
        yield b"".join(page)


def _exported(after: Position, upto: Position, log: Readable) -> list[bytes]:
    return [dump(entry) + b"\n" for entry in log.read(after) if entry.record.position <= upto]


def _attendance(parts: Parts, build: BuildId | None) -> AbstractContextManager[None]:
    return nullcontext() if build is None else parts.attendance.attend(build)


def _as_lines(entries: list[Entry], follower: Follower) -> bytes:
    if entries:
        return b"\n".join([entry.line for entry in entries]) + b"\n"
    return b"" if follower.has_ended else _progress(follower) + b"\n"


def _as_events(entries: list[Entry], follower: Follower) -> bytes:
    if entries:
        return b"".join(b"id: %d\ndata: %b\n\n" % (e.record.position, e.line) for e in entries)
    return b"" if follower.has_ended else b"data: " + _progress(follower) + b"\n\n"


def _progress(follower: Follower) -> bytes:
    return dumps({"type": "Progress", "position": follower.cursor})


async def _follower(
    parts: Parts, asked: HttpRequest | Websocket, name: str | None
) -> tuple[BuildId | None, Follower]:
    after = Position(_position(asked.args.get("after") or asked.headers.get("Last-Event-ID")))
    if after > parts.journal.durable:
        raise Rejected(MALFORMED, f"after={after} is beyond the last record, {parts.journal.durable}")
    build = None if name is None else await find(parts.core, name)
    if build is None:
        check_floor(parts.journal, after)
    return build, Follower(parts.journal, after, build, wanted=_filter(asked))


def _position(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise Rejected(MALFORMED, f"after must be a position, not {text[:40]!r}")
    return int(text)


def _filter(asked: HttpRequest | Websocket) -> Callable[[Entry], bool] | None:
    types, worker = set(asked.args.getlist("type")), asked.args.get("worker")
    if unknown := types - EVENTS.keys():
        raise Rejected(MALFORMED, f"there is no type of record {min(unknown)[:40]!r}")
    if not types and worker is None:
        return None

    def wanted(entry: Entry) -> bool:
        fits = not types or type(entry.record.event).__name__ in types
        return fits and (worker is None or subjects(entry.record)[1] == worker)

    return wanted


def _is_from_here(asked: Websocket) -> bool:
    """Pages of other sites must not look in: a browser names the page that opens the socket."""
    origin = asked.headers.get("Origin")
    return origin is None or origin.split("://", 1)[-1] == asked.headers.get("Host")
