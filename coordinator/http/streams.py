"""Live streams of records: chunked JSON lines, WebSocket and server-sent events over one cursor.

The lines are the log's own texts, encoded once when they were stored. Several that come within a tick
travel together. A stream of a build ends with the build's last record; an idle one says how far it has come.
Whoever reads slowly lags behind and harms nobody: nothing is queued for him.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, aclosing, nullcontext
from functools import partial

import trio
from quart import Blueprint, Response, request, websocket

from clients.server import PING, Direct, direct
from coordinator.http.compression import MAY_DIFFER, PACKED, Packed, accepts_gzip
from coordinator.http.errors import answer_json
from coordinator.http.forms import EVENTS, LINES, Carrier
from coordinator.http.watchers import SSE, Watcher, asked_for, is_from_elsewhere, position, until
from coordinator.parts import Parts
from events import codec
from events.errors import MALFORMED, Rejected
from events.ids import BuildId, Position
from events.log import Readable
from events.transfer import dump

NDJSON = "application/x-ndjson"
# What a WebSocket is closed with when the coordinator stops (RFC 6455: service restart).
RESTARTING = 1012
ELSEWHERE = Rejected(MALFORMED, "pages of another origin may not open this stream")
# A socket that answers no ping is given up so much later than it should have answered.
MERCY_SECONDS = 1.0


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
            after = Position(position(request.args.get("after")))
        except Rejected as error:
            return answer_json(error)
        return Response(_export(parts, after, parts.journal.durable), content_type=NDJSON)

    @live.websocket("/builds/<name>/events")
    async def build_socket(name: str) -> Response | None:
        return await _socket(parts, name)

    @live.websocket("/events")
    async def socket() -> Response | None:
        return await _socket(parts, None)

    return live


async def _http(parts: Parts, name: str | None) -> Response:
    if is_from_elsewhere(request):
        return answer_json(ELSEWHERE, 403)
    try:
        topic, follower = await asked_for(parts, request, name)
        upto = until(parts, request)
    except Rejected as error:
        return answer_json(error)
    is_packed = topic.form is not EVENTS and accepts_gzip(request.accept_encodings)
    watcher = Watcher(
        topic=topic,
        follower=follower,
        carrier=Carrier.PACKED if is_packed else Carrier.CHUNKED,
        direct=direct(request),
        upto=upto,
        told=request.scope["state"],
    )
    # A client that follows the lines is there for its build; a page that somebody has left open is not.
    attended = topic.build if topic.form is LINES else None
    type_ = SSE if topic.form is EVENTS else NDJSON
    answer = Response(_body(parts, attended, watcher), content_type=type_, headers=MAY_DIFFER)
    if is_packed:
        answer.headers.update(PACKED)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"
    answer.headers["terzetto-format"] = str(codec.FORMAT)
    return answer


async def _body(parts: Parts, attended: BuildId | None, watcher: Watcher) -> AsyncIterator[bytes]:
    is_packed = watcher.carrier is Carrier.PACKED
    with _attendance(parts, attended):
        if is_packed:
            yield Packed.head
        async with aclosing(watcher.pieces(parts.audiences, parts.config.progress_seconds)) as pieces:
            async for piece in pieces:
                yield piece.packed if is_packed else piece.body
        if is_packed:
            yield watcher.packed.end()


async def _socket(parts: Parts, name: str | None) -> Response | None:
    if is_from_elsewhere(websocket):
        return answer_json(ELSEWHERE, 403)
    try:
        topic, follower = await asked_for(parts, websocket, name)
    except Rejected as error:
        return answer_json(error)
    await websocket.accept()
    peer = direct(websocket)
    watcher = Watcher(topic=topic, follower=follower, carrier=Carrier.SOCKET, direct=peer)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_ignore_commands)
        if peer is not None:
            nursery.start_soon(_look_after, peer, parts.config.progress_seconds)
        await _send_all(parts, watcher)
        await websocket.close(RESTARTING if parts.journal.is_stopping else 1000)
        nursery.cancel_scope.cancel()
    return None


async def _ignore_commands() -> None:
    """These sockets only tell; reading them notices when the peer goes away."""
    while True:
        await websocket.receive()


async def _look_after(peer: Direct, seconds: float) -> None:
    """Ask the peer for a sign of life now and then, and end the connection when it gives none.

    It may have died just after the last one: then that takes three times `seconds`, and a little.
    """
    while True:
        await trio.sleep(seconds)
        asked_at = trio.current_time()
        peer.write_now(PING)  # one that takes nothing now has other things to confirm
        await trio.sleep(seconds)
        if peer.heard_at < asked_at:
            await trio.sleep(MERCY_SECONDS)  # if it was us who slept, the answer is there
            if peer.heard_at < asked_at:
                return peer.drop()


async def _send_all(parts: Parts, watcher: Watcher) -> None:
    async with aclosing(watcher.pieces(parts.audiences, parts.config.progress_seconds)) as pieces:
        async for piece in pieces:
            for message in piece.messages:
                await websocket.send(message.decode())
                await trio.lowlevel.checkpoint()  # `send` on a closed socket returns at once


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
