"""Quart as we use it: bounded bodies, no timer over responses, no sessions, its logging through structlog."""

from types import TracebackType
from typing import Any, NoReturn

import structlog
import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ConnectionState
from quart import request
from quart.sessions import NullSession, SecureCookieSessionInterface
from quart.typing import ResponseTypes
from quart.utils import encode_headers
from quart.wrappers.response import DataBody
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection
from werkzeug.wrappers import Response as WerkzeugResponse

from clients.server.body import Body, Request
from clients.server.logs import shown_path

log = structlog.get_logger()

BODY_BYTES_MAX = 64 << 20


class _NoSession(SecureCookieSessionInterface):
    """Our interfaces know no cookies; one empty session serves every request."""

    _none = NullSession()

    async def open_session(self, *_: object) -> NullSession:
        return self._none

    def is_null_session(self, obj: object) -> bool:  # noqa: ARG002  (it is never another)
        return True


class Exchange(TrioASGIHTTPConnection):
    """One request and its answer; a peer that goes away before the answer is out cancels the handler."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request = self._create_request_from_scope(send)
        assert isinstance(request.body, Body)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive, request.body, receive, nursery.cancel_scope)
            response = await self.app.handle_request(request)
            await self._answer(send, request.body, response)
            nursery.cancel_scope.cancel()

    async def _receive(self, body: Body, receive: ASGIReceiveCallable, scope: trio.CancelScope) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.request":
                await body.put(message.get("body", b""))
                if not message.get("more_body", False):
                    body.end()
            elif message["type"] == "http.disconnect":
                break
        scope.cancel()

    async def _answer(self, send: ASGISendCallable, body: Body, response: ResponseTypes) -> None:
        told = self.scope.setdefault("state", ConnectionState({}))  # for the access line
        told["status"] = response.status_code
        await send(
            {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": encode_headers(response.headers),
            }
        )
        last = b""
        if isinstance(response, WerkzeugResponse):  # Quart answers routing errors with these
            last = response.get_data()
        elif isinstance(response.response, DataBody):
            last = response.response.data[response.response.begin : response.response.end]
        elif self.scope["method"] != "HEAD":  # which has no body, so none is produced
            await self._stream(send, response.response)
        body.discard()  # before the end: hypercorn then says "disconnect", behind what nobody may be reading
        told["is_ending"] = True
        await self._send(send, last, more=False)

    async def _stream(self, send: ASGISendCallable, chunks: Any) -> None:
        async with chunks as stream:
            async for data in stream:
                await self._send(send, data.encode() if isinstance(data, str) else data, more=True)

    async def _send(self, send: ASGISendCallable, data: bytes, *, more: bool) -> None:
        told = self.scope["state"]
        told["bytes"] = told.get("bytes", 0) + len(data)
        await send({"type": "http.response.body", "body": data, "more_body": more})


class Conversation(TrioASGIWebsocketConnection):
    """One WebSocket; unlike Quart's, it hands an empty binary message over as what it is."""

    async def handle_messages(  # type: ignore[override]  # quart-trio overrides Quart in the same way
        self, nursery: trio.Nursery, receive: ASGIReceiveCallable
    ) -> None:
        while True:
            event = await receive()
            if event["type"] == "websocket.receive":
                data = event["text"] if event.get("bytes") is None else event["bytes"]
                assert data is not None, "hypercorn gives bytes or text"
                await self.send_channel.send(data)
            elif event["type"] == "websocket.disconnect":
                break
        nursery.cancel_scope.cancel()


class App(QuartTrio):
    """A Quart application for `serve`.

    No before/after_serving functions and no background tasks: services belong to the nursery of whoever
    calls `serve`, where a crash is noticed. `Response.timeout` and RESPONSE_TIMEOUT have no effect: an answer
    may take as long as its reader keeps reading.
    """

    asgi_http_class = Exchange
    asgi_websocket_class = Conversation
    request_class = Request
    session_interface = _NoSession()

    def __init__(self, import_name: str, **options: Any) -> None:
        super().__init__(import_name, **{"static_folder": None, **options})
        self.config.update(RESPONSE_TIMEOUT=None, BODY_TIMEOUT=None, MAX_CONTENT_LENGTH=BODY_BYTES_MAX)

    def log_exception(
        self,
        exception_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """A handler's bug, told once; the peer only sees a 500."""
        log.error(
            "handler failed",
            method=request.method,
            path=shown_path(request.path),
            exc_info=exception_info,
        )

    async def handle_websocket_exception(self, error: Exception) -> NoReturn:
        """Let it surface in guard.py, where it is told and ends the conversation with 1011, not with 1000."""
        raise error
