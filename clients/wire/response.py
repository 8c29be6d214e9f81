"""Answers to requests: complete ones, and ones whose body is read as it comes."""

import contextlib
from collections import deque
from typing import Self

import h11
import trio
from attrs import frozen

from clients.wire.connection import Connection, Ended

ANSWER_BYTES_MAX = 64 << 20
LINE_BYTES_MAX = 16 << 20
REFUSAL_BYTES_MAX = 64 << 10
REFUSAL_SECONDS = 10.0


class Unreachable(Exception):
    """There is no complete answer: no connection, no answer in time, or it broke off on the way."""


class Refused(Exception):
    """The server answered, but not with the success that was needed."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}" if text else f"status {status}")
        self.status = status
        self.text = text


class TooLarge(Exception):
    """The answer, or a line of it, is larger than the caller takes."""


@frozen(kw_only=True)
class Reply:
    """A complete answer; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def raise_for_status(self) -> Self:
        """Itself, if it is a 2xx; raises `Refused` otherwise."""
        if not 200 <= self.status < 300:
            raise Refused(self.status, self.text())
        return self

    def text(self) -> str:
        """The body (its beginning, if it is long) as words for a human."""
        return self.body[:REFUSAL_BYTES_MAX].decode("utf-8", "replace").strip()


class Response:
    """An answer whose body is read as it comes, chunk by chunk, by iterating over it.

    Reading raises `Unreachable` when the connection breaks; how long to wait is the caller's deadline.
    """

    def __init__(self, peer: str, connection: Connection, head: h11.Response) -> None:
        self.status: int = head.status_code
        self.headers = {name.decode("ascii").lower(): value.decode("latin-1") for name, value in head.headers}
        self._peer = peer
        self._connection = connection
        self._has_ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._has_ended:
            raise StopAsyncIteration
        try:
            chunk = await self._connection.next_chunk()
        except Ended as error:
            raise Unreachable(f"{self._peer} broke off its answer: {error}") from error
        if chunk is None:
            self._has_ended = True
            raise StopAsyncIteration
        return chunk

    async def read(self, bytes_max: int = ANSWER_BYTES_MAX) -> bytes:
        """The rest of the body. Raises `TooLarge` beyond `bytes_max`."""
        body = bytearray()
        async for chunk in self:
            body += chunk
            if len(body) > bytes_max:
                raise TooLarge(f"the answer of {self._peer} exceeds {bytes_max} bytes")
        return bytes(body)

    def lines(self, bytes_max: int = LINE_BYTES_MAX) -> "Lines":
        """The body's lines without their ends, as they come; the last one may lack its newline."""
        return Lines(self, bytes_max)

    async def require(self, *statuses: int) -> None:
        """Raises `Refused`, with the body's text, unless the status is one of `statuses`."""
        if self.status not in statuses:
            raise Refused(self.status, (await self._beginning()).decode("utf-8", "replace").strip())

    async def _beginning(self) -> bytes:
        text = bytearray()
        # What has come of the reason is better than none.
        with contextlib.suppress(Unreachable), trio.move_on_after(REFUSAL_SECONDS):
            async for chunk in self:
                text += chunk
                if len(text) >= REFUSAL_BYTES_MAX:
                    break
        return bytes(text[:REFUSAL_BYTES_MAX])


class Lines:
    """The lines of an answer, by iteration; a cancelled read loses nothing and may be tried again."""

    def __init__(self, response: Response, bytes_max: int) -> None:
        self._response = response
        self._bytes_max = bytes_max
        self._complete: deque[bytes] = deque()
        self._rest = bytearray()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._complete:
            try:
                self._add(await anext(self._response))
            except StopAsyncIteration:
                if not self._rest:
                    raise
                last, self._rest = bytes(self._rest), bytearray()
                return last
        return self._complete.popleft()

    def _add(self, chunk: bytes) -> None:
        self._rest += chunk
        if b"\n" in chunk:
            *complete, rest = bytes(self._rest).split(b"\n")
            self._complete.extend(complete)
            self._rest = bytearray(rest)
        if len(self._rest) > self._bytes_max:
            raise TooLarge(f"a line exceeds {self._bytes_max} bytes")
