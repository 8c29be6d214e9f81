"""The request body as a small buffer between socket and handler: when it is full, the peer has to wait."""

from collections import deque
from collections.abc import AsyncIterator, Generator

import attrs
import trio
from quart import request
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

BUFFER_BYTES = 1 << 20
IDLE_SECONDS = 30.0
# A peer we had to wait for longer than this in total must have sent at least so much per second since.
PATIENCE_SECONDS = 10.0
PROGRESS_BYTES_PER_SECOND = 1024


class Body(TrioBody):
    """What Quart calls `request.body`: one task puts, the handler takes, neither gets far ahead.

    Handlers use `receive_chunks` or `receive_body`. Quart's own ways (`await request.get_data()`, `async for
    chunk in request.body`) work too, bounded by the app's MAX_CONTENT_LENGTH and by `IDLE_SECONDS`.
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        self._expected = expected_content_length
        self._bytes_max = max_content_length
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._unwanted = False
        self._changed = trio.lowlevel.ParkingLot()
        self._reader: Chunks | None = None

    async def put(self, data: bytes) -> None:
        """Add what arrived; returns once there is room for more."""
        if self._unwanted or not data:
            return
        self._chunks.append(data)
        self._size += len(data)
        self._changed.unpark_all()
        while self._size >= BUFFER_BYTES:
            await self._changed.park()  # until the handler takes or the exchange ends; both are bounded

    def end(self) -> None:
        """The peer has sent everything."""
        self._ended = True
        self._changed.unpark_all()

    def discard(self) -> None:
        """The answer is out: what else the peer sends has no reader, and must not block its connection."""
        self._unwanted = True
        self._chunks.clear()
        self._size = 0
        self._changed.unpark_all()

    async def take(self) -> bytes:
        """All that is there, at least one byte; nothing (`b""`) after the last byte."""
        while not self._chunks:
            if self._ended:
                return b""
            await self._changed.park()  # the caller sets the deadline
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._changed.unpark_all()
        return data

    def chunks(self, bytes_max: int | None, idle_seconds: float) -> "Chunks":
        """Pieces as they come."""
        if bytes_max is not None and (self._expected or 0) > bytes_max:
            raise RequestEntityTooLarge
        return Chunks(body=self, bytes_max=bytes_max, idle_seconds=idle_seconds)

    async def read(self, bytes_max: int | None, idle_seconds: float) -> bytes:
        """The whole body, under the limits of `chunks`."""
        return b"".join([data async for data in self.chunks(bytes_max, idle_seconds)])

    def __aiter__(self) -> "Body":
        self._reader = self.chunks(self._bytes_max, IDLE_SECONDS)
        return self

    async def __anext__(self) -> bytes:
        assert self._reader is not None, "iterate with `async for`"
        return await self._reader.__anext__()

    def __await__(self) -> Generator[object, object, bytes]:
        return self.read(self._bytes_max, IDLE_SECONDS).__await__()

    def append(self, data: bytes) -> None:
        """Only for Quart's `set_result`, which its in-memory test client uses."""
        self._chunks.append(data)
        self._size += len(data)

    def set_complete(self) -> None:
        self.end()

    def clear(self) -> None:
        self.discard()


@attrs.define(kw_only=True)
class Chunks(AsyncIterator[bytes]):
    """A body's pieces, for a handler that knows its limits. (No generator: it may be dropped half-read.)"""

    _body: Body
    _bytes_max: int | None
    _idle_seconds: float
    _total: int = 0
    _waited: float = 0.0

    async def __anext__(self) -> bytes:
        began = trio.current_time()
        with trio.move_on_after(self._idle_seconds) as scope:
            data = await self._body.take()
        if scope.cancelled_caught:
            raise RequestTimeout
        if not data:
            raise StopAsyncIteration
        self._total += len(data)
        self._waited += trio.current_time() - began
        if self._bytes_max is not None and self._total > self._bytes_max:
            raise RequestEntityTooLarge
        if self._total < (self._waited - PATIENCE_SECONDS) * PROGRESS_BYTES_PER_SECOND:
            raise RequestTimeout
        return data


class Request(TrioRequest):
    """A request whose body is back-pressured."""

    body_class = Body


def _body() -> Body:
    body = request.body
    assert isinstance(body, Body), "this handler does not run under clients.server.App"
    return body


def receive_chunks(*, bytes_max: int, idle_seconds: float = IDLE_SECONDS) -> AsyncIterator[bytes]:
    """In a handler: the request's body in pieces of 1 byte to about 1 MiB, as they come.

    Raises Quart's `RequestEntityTooLarge` (413) beyond `bytes_max` and `RequestTimeout` (408) when nothing
    comes for `idle_seconds` or far too little comes for long.
    """
    return _body().chunks(bytes_max, idle_seconds)


async def receive_body(bytes_max: int) -> bytes:
    """In a handler: the request's whole body; raises as `receive_chunks` does."""
    return await _body().read(bytes_max, IDLE_SECONDS)
