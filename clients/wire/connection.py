"""One HTTP/1.1 connection to a server: h11 says what the bytes mean, any trio stream carries them.

It runs one exchange after another and knows after each whether it may run a further one. The request's
body is sent while the answer is already awaited, because a server that refuses an upload (413, 507)
answers in the middle of it; a client that only sends would wait for ever, or see nothing but a reset.
"""

import contextlib
from collections.abc import AsyncIterable
from typing import Any

import h11
import trio

RECEIVE_BYTES = 256 << 10
HEAD_BYTES_MAX = 64 << 10
# A body this small fits the kernel's buffers: send it first, then listen, and spare a task.
SEND_FIRST_BYTES = 32 << 10

Headers = list[tuple[str, str]]
Body = bytes | AsyncIterable[bytes]


class Ended(Exception):
    """The connection is of no more use, and the answer is not complete."""


class BodyLengthChanged(Exception):
    """A streamed body is longer or shorter than its content-length: the file changed meanwhile."""


class _PeerGone(Exception):
    """Nothing can be sent any more; the peer may still have said why."""


class Connection:
    """One stream and the state of HTTP on it; owned by one exchange at a time."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
        # Did anything come back in this exchange? If not, the peer may never have seen the request.
        self.was_answered = False
        self._is_sent = False
        self._body_error: Exception | None = None

    async def exchange(self, method: str, target: str, headers: Headers, body: Body) -> h11.Response:
        """Send a request; return the head of the answer. Raises `Ended`, or what `body` raised.

        An answer that comes before the body is out ends the sending, and so the connection's use.
        """
        self.was_answered = self._is_sent = False
        request = h11.Request(method=method, target=target, headers=headers)
        if isinstance(body, bytes) and len(body) <= SEND_FIRST_BYTES:
            with contextlib.suppress(_PeerGone):
                await self._send(request, h11.Data(data=body), h11.EndOfMessage())
                self._is_sent = True
            return await self._head()
        return await self._exchange_both_ways(request, body)

    async def _exchange_both_ways(self, request: h11.Request, body: Body) -> h11.Response:
        self._body_error = None
        head: h11.Response | Ended | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._upload, request, body, nursery.cancel_scope)
            try:
                head = await self._head()
            except Ended as error:
                head = error
            nursery.cancel_scope.cancel()
        if self._body_error is not None:
            raise self._body_error
        assert head is not None
        if isinstance(head, Ended):
            raise head
        return head

    async def _upload(self, request: h11.Request, body: Body, both: trio.CancelScope) -> None:
        try:
            await self._send(request)
            if isinstance(body, bytes):
                await self._send(h11.Data(data=body))
            else:
                await self._send_each(body)
            await self._send(h11.EndOfMessage())
            self._is_sent = True
        except _PeerGone:
            pass  # whoever waits for the answer finds the peer's reason, or its silence
        except Exception as error:
            self._body_error = error
            both.cancel()

    async def _send_each(self, body: AsyncIterable[bytes]) -> None:
        chunks: Any = aiter(body)
        # An abandoned generator is closed here and now, under our cancellation, not by the collector.
        async with contextlib.aclosing(chunks) if hasattr(chunks, "aclose") else contextlib.nullcontext():
            async for chunk in chunks:
                if chunk:
                    await self._send(h11.Data(data=chunk))

    async def _send(self, *events: h11.Event) -> None:
        try:
            data = b"".join(self._h11.send(event) or b"" for event in events)
        except h11.LocalProtocolError as error:
            raise BodyLengthChanged(str(error)) from error
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise _PeerGone from error

    async def _head(self) -> h11.Response:
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event
            # else a 1xx, which announces that the answer is still to come

    async def next_chunk(self) -> bytes | None:
        """Bytes of the answer's body, never empty; None at its end. Raises `Ended`."""
        event = await self._next()
        while isinstance(event, h11.Data):
            if event.data:
                return bytes(event.data)
            event = await self._next()
        return None

    async def _next(self) -> Any:
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                raise Ended(str(error)) from error
            if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                raise Ended("the connection was closed")
            if event is not h11.NEED_DATA:
                return event
            await self._receive()

    async def _receive(self) -> None:
        try:
            data = await self._stream.receive_some(RECEIVE_BYTES)
        except trio.BrokenResourceError as error:
            raise Ended("the connection was reset") from error
        if not data and not self.was_answered:
            raise Ended("the connection was closed without an answer")
        self.was_answered = True
        self._h11.receive_data(bytes(data))

    def renew(self) -> bool:
        """Make ready for the next exchange; False if there can be none on this connection."""
        states = (self._h11.our_state, self._h11.their_state)
        if not self._is_sent or states != (h11.DONE, h11.DONE) or self._h11.trailing_data[0]:
            return False
        self._h11.start_next_cycle()
        return True

    async def aclose(self) -> None:
        """Close at once, whatever is under way; safe while cancelled."""
        with trio.CancelScope(shield=True):  # bounded: a forced close waits for nobody
            await trio.aclose_forcefully(self._stream)
