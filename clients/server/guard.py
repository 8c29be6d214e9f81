"""One connection, from accept to close, so that nothing a peer does or omits harms any other.

* An exception that ends a connection ends only that connection.
* A peer that stops reading is dropped after `send_seconds`, at shutdown after the grace. One that is gone
  without a word is found out by the kernel, in less than a minute.
* HTTP/1.1 and WebSocket only: no h2c, no permessage-deflate (a 1 MB frame became 990 MB), no requests whose
  framing two servers could read differently.
* An answer given before the request's body was read reaches the peer: what still arrives is read away for a
  moment, because closing with unread bytes makes the kernel reset the connection.
"""

import math
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import attrs
import h11
import structlog
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Data, Request, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import FrameTooLargeError, WebsocketBuffer, WSStream
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import (
    AppWrapper,
    ASGIReceiveEvent,
    ASGISendEvent,
    ConnectionState,
    H11SendableEvent,
    Scope,
    WebsocketAcceptEvent,
)
from wsproto.events import Message

from clients.server.direct import CONNECTION, Direct
from clients.server.logs import shown_path

log = structlog.get_logger()

RECEIVE_BYTES = 1 << 16
SEND_BYTES = 1 << 17
HEADER_SECONDS = 10.0
LINGER_SECONDS = 2.0
# A peer whose machine has been silent for so long is asked by the kernel, and given up after as much again.
GONE_SECONDS = 20


class StrictConnection(h11.Connection):
    """h11, refusing what it lets pass but a proxy before us may understand otherwise."""

    def next_event(self) -> Any:
        event = super().next_event()
        if type(event) is h11.Request:
            names = {name for name, _ in event.headers}
            if b"content-length" in names and b"transfer-encoding" in names:  # RFC 9112 §6.3
                raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
            if not event.target.startswith((b"/", b"http://", b"https://")):
                raise h11.RemoteProtocolError("the target is neither a path nor a URL")
            if event.http_version not in (b"1.0", b"1.1"):
                raise h11.RemoteProtocolError("not a version we speak", error_status_hint=505)
        return event


class BoundedBuffer(WebsocketBuffer):
    """A message under construction; unlike hypercorn's, it stops growing at its limit."""

    overflowed = False

    def extend(self, event: Message[Any]) -> None:
        self.overflowed = self.overflowed or self.length + len(event.data) > self.max_length
        if self.overflowed:
            raise FrameTooLargeError
        super().extend(event)


class GuardedWebsocket(WSStream):
    """No compression, no message over the limit, no data before the handshake is answered."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.buffer: BoundedBuffer = BoundedBuffer(self.config.websocket_max_message_size)

    async def handle(self, event: StreamEvent) -> None:
        if isinstance(event, Data) and not self.closed and not self.handshake.accepted:
            self.closed = True  # first, or the handler accepts while we refuse
            await self._send_error_response(400)
        await super().handle(event)
        if isinstance(event, Request | Data) and (self.closed or self.buffer.overflowed):
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def app_send(self, message: ASGISendEvent | None) -> None:
        if self.closed:
            await trio.lowlevel.checkpoint()  # else a handler that only sends would stop the event loop
        await super().app_send(message)

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        self.handshake.extensions = None
        await super()._accept(message)


class GuardedProtocol(H11Protocol):
    """hypercorn's HTTP/1.1, with the strict parser, without h2c, and one send for a whole small answer."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connection: Any = StrictConnection(
            h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size
        )
        self._head = b""

    @property
    def has_partial_request(self) -> bool:
        """Has the peer begun, but not ended, the head of a request?"""
        return bool(self.connection.trailing_data[0])

    async def _check_protocol(self, event: h11.Request) -> None:
        """Where hypercorn would switch to HTTP/2."""

    async def _create_stream(self, request: h11.Request) -> None:
        upgrade = {name: value.lower() for name, value in request.headers}
        tokens = [token.strip() for token in upgrade.get(b"connection", b"").split(b",")]
        kind: type[HTTPStream | WSStream] = HTTPStream
        if b"upgrade" in tokens and upgrade.get(b"upgrade") == b"websocket" and request.method == b"GET":
            kind = GuardedWebsocket
            self.connection = H11WSConnection(self.connection)
        self.stream = kind(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        try:
            data = self._head + (self.connection.send(event) or b"")
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        # The head of an answer of known length waits for its body, which comes at once. A stream's does not.
        waits = type(event) is h11.Response and any(name == b"content-length" for name, _ in event.headers)
        self._head = data if waits else b""
        if data and not waits:
            await self.send(RawData(data=data))

    async def _send_error_response(self, status_code: int) -> None:
        peer = self.client[0] if self.client else None
        log.info("request refused", status=status_code, peer=peer)
        await super()._send_error_response(status_code)


@attrs.define
class Tasks:
    """hypercorn's idea of a task group: starts the application for each stream of a connection."""

    _nursery: trio.Nursery

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        to_app, inbox = trio.open_memory_channel[ASGIReceiveEvent](config.max_app_queue_size)

        async def put(message: ASGIReceiveEvent) -> None:
            try:
                to_app.send_nowait(message)
            except trio.WouldBlock:
                # back-pressure: until the application reads, or ends
                with suppress(trio.BrokenResourceError):
                    await to_app.send(message)
            except trio.BrokenResourceError:
                pass  # the application has ended; nobody is left to be told

        self._nursery.start_soon(_run_app, app, scope, inbox, send)
        return put

    def spawn(self, function: Callable[..., Awaitable[Any]], *args: Any) -> None:
        self._nursery.start_soon(function, *args)


async def _run_app(
    app: AppWrapper,
    scope: Scope,
    inbox: trio.MemoryReceiveChannel[ASGIReceiveEvent],
    send: Callable[[ASGISendEvent | None], Awaitable[None]],
) -> None:
    try:
        with inbox:
            await app(scope, inbox.receive, send, trio.to_thread.run_sync, trio.from_thread.run)
    except BaseExceptionGroup as error:
        failure = error.split(trio.Cancelled)[1]
        if failure is None:
            raise
        log.error("handler failed", path=_path(scope), exc_info=failure)
    except Exception as error:
        log.error("handler failed", path=_path(scope), exc_info=error)
    await send(None)


def _path(scope: Scope) -> str:
    return shown_path(scope["path"]) if scope["type"] != "lifespan" else ""


class Connection(Direct):
    """Moves bytes between one peer and the protocol, and decides how long it waits for what."""

    def __init__(
        self,
        stream: trio.SocketStream,
        app: AppWrapper,
        config: Config,
        *,
        send_seconds: float,
    ) -> None:
        self._stream = stream
        self._app = app
        self._config = config
        self._send_seconds = send_seconds
        self._send_lock = trio.Lock()
        self._send_scope: trio.CancelScope | None = None
        self._last_send_at = math.inf
        self._read_scope = trio.CancelScope(deadline=trio.current_time() + config.keep_alive_timeout)
        self._is_idle = True
        self._is_closing = False
        self._rest = b""  # of what was written past the protocol: before anything else is sent
        self._is_socket = isinstance(stream, trio.SocketStream)
        if self._is_socket:
            _find_out_who_is_gone(stream)
        self.heard_at = trio.current_time()
        self._peer = stream.socket.getpeername()[:2]

    async def run(self) -> None:
        """Serve the peer until either side ends the connection; raises nothing but cancellation."""
        try:
            async with trio.open_nursery() as nursery:
                self._protocol = self._open_protocol(nursery)
                await self._read()
                nursery.cancel_scope.cancel()  # whatever still runs has nobody to run for
                await self._protocol.handle(Closed())
        except BaseExceptionGroup as error:
            broken, rest = error.split(Exception)
            if broken is not None:
                log.warning("connection broken", peer=self._peer[0], exc_info=broken)
            if rest is not None:
                raise rest from None

    def drain(self, hard_stop_at: float) -> None:
        """The server stops: close if idle, else after this answer; no send lasts beyond `hard_stop_at`."""
        self._last_send_at = hard_stop_at
        if self._send_scope is not None:
            self._send_scope.deadline = min(self._send_scope.deadline, hard_stop_at)
        if self._is_idle:
            self._read_scope.cancel()

    def write_now(self, framed: bytes) -> bool:
        if self._rest or self._is_closing or self._send_lock.locked():
            return False
        try:
            count = os.write(self._stream.socket.fileno(), framed)
        except OSError:
            return False  # it is full, or broken, which whoever reads from it will find out
        self._rest = framed[count:]
        return True

    async def flush(self) -> None:
        await self._send(b"")

    def drop(self) -> None:
        log.warning("peer gave no sign of life", peer=self._peer[0])
        self._is_closing = True
        self._read_scope.cancel()

    def _open_protocol(self, nursery: trio.Nursery) -> GuardedProtocol:
        return GuardedProtocol(
            self._app,
            self._config,
            WorkerContext(None),
            Tasks(nursery),
            ConnectionState({CONNECTION: self} if self._is_socket else {}),
            False,
            self._peer,
            self._stream.socket.getsockname()[:2],
            self._on_protocol_event,
        )

    async def _read(self) -> None:
        with self._read_scope:
            while data := await self._receive():
                if self._is_closing:
                    continue  # the lingering described above
                await self._protocol.handle(RawData(data))
                if self._is_idle and self._protocol.has_partial_request:
                    in_time = trio.current_time() + HEADER_SECONDS
                    self._read_scope.deadline = min(self._read_scope.deadline, in_time)

    async def _receive(self) -> bytes:
        try:
            data = bytes(await self._stream.receive_some(RECEIVE_BYTES))
            self.heard_at = trio.current_time()
            return data
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    async def _on_protocol_event(self, event: Event) -> None:
        if isinstance(event, RawData):
            await self._send(event.data)
        elif isinstance(event, Updated):
            self._is_idle = event.idle
            patience = self._config.keep_alive_timeout if event.idle else math.inf
            self._read_scope.deadline = trio.current_time() + patience
            if event.idle and self._last_send_at < math.inf:
                self._read_scope.cancel()
        elif isinstance(event, Closed):
            self._finish()

    def _finish(self) -> None:
        self._is_closing = True
        self._read_scope.deadline = trio.current_time() + LINGER_SECONDS
        with suppress(OSError):  # the peer was faster
            self._stream.socket.shutdown(socket.SHUT_WR)

    async def _send(self, data: bytes) -> None:
        if self._is_closing:
            await trio.lowlevel.checkpoint()
            return
        sent = False
        async with self._send_lock:
            # Shielded, for half an answer is worse than none: the next one would be read as its rest.
            with trio.CancelScope(shield=True) as self._send_scope:
                data, self._rest = self._rest + data, b""
                sent = await self._send_slices(memoryview(data), self._send_scope)
            stalled, self._send_scope = self._send_scope.cancelled_caught, None
        if stalled:
            log.warning("peer stopped reading", peer=self._peer[0])
        if not sent:
            self._is_closing = True
            self._read_scope.cancel()

    async def _send_slices(self, data: memoryview, scope: trio.CancelScope) -> bool:
        for start in range(0, len(data), SEND_BYTES):
            scope.deadline = min(trio.current_time() + self._send_seconds, self._last_send_at)
            try:
                await self._stream.send_all(data[start : start + SEND_BYTES])
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return False
        return True


def _find_out_who_is_gone(stream: trio.SocketStream) -> None:
    """Have the kernel end the connection of a peer that acknowledges nothing, even if it is sent nothing."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, GONE_SECONDS)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, GONE_SECONDS // 4)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * GONE_SECONDS * 3 // 2)
