"""distbuild's five verbs, spoken so that any implementation's coordinator understands.

Success is exactly status 200; whatever else comes is `Refused` with the body's words.
"""

import contextlib
import math
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self
from urllib.parse import urlencode

import trio

from clients import codec, wire
from clients.distbuild import (
    PATH_BUILD,
    PATH_FILE,
    PATH_HEARTBEAT,
    PATH_SIGNAL,
    BuildRequest,
    BuildStarted,
    HeartbeatRequest,
    HeartbeatResponse,
    SignalRequest,
    StatusUpdate,
)
from clients.json_values import Splitter, reason_of

ANSWER_SECONDS = 30.0
# A big graph is checked and written to disk before the first value of its stream.
START_SECONDS = 120.0
STALL_SECONDS = 60.0
# No link we care to support is slower; a small file sent as one piece gets its time from this.
BYTES_PER_SECOND_MIN = 32 << 10


class BuildStream:
    """The answer to a started build: `started`, the answer's `headers`, then `StatusUpdate`s by iteration.

    Iteration ends after the update that ends the build, or with the stream: whoever needs to know looks
    at the last update. It raises `Unreachable` or `Malformed`. How long to wait is the caller's deadline.
    """

    def __init__(self, response: wire.Response) -> None:
        self.headers = response.headers
        self.started: BuildStarted
        self._response = response
        self._splitter = Splitter()
        self._values: deque[bytes] = deque()
        self._has_ended = False

    async def read_started(self) -> None:
        """Read the first value. Raises `Refused` if it says that the build failed before it began."""
        value = codec.loads(await self._next_value() or b"{}")
        update = codec.structure(value, StatusUpdate, lenient=True)
        if update.build_failed is not None:
            raise wire.Refused(200, update.build_failed.error)
        self.started = codec.structure(value, BuildStarted, lenient=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StatusUpdate:
        value = None if self._has_ended else await self._next_value()
        if value is None:
            raise StopAsyncIteration
        update = codec.read(value, StatusUpdate, lenient=True)
        self._has_ended = update.build_failed is not None or update.build_finished is not None
        return update

    async def _next_value(self) -> bytes | None:
        while not self._values:
            try:
                chunk = await anext(self._response)
            except StopAsyncIteration:
                self._splitter.close()
                return None
            self._values.extend(self._splitter.feed(chunk))
        return self._values.popleft()


class DistbuildClient:
    """The verbs of one coordinator. All raise `Unreachable`, `Refused` and, where they parse, `Malformed`."""

    def __init__(self, client: wire.Client) -> None:
        self._client = client

    async def heartbeat(
        self, report: HeartbeatRequest, *, wait_seconds: float | None = None
    ) -> HeartbeatResponse:
        """Report, and learn what to do; `wait_seconds` lets our coordinator hold the answer for work."""
        query = {} if wait_seconds is None else {"wait": f"{wait_seconds:g}"}
        timeout_seconds = ANSWER_SECONDS + (wait_seconds or 0.0)
        body = await self._post(PATH_HEARTBEAT, query, report, timeout_seconds)
        return codec.read(body, HeartbeatResponse, lenient=True)

    @contextlib.asynccontextmanager
    async def start_build(
        self, build: BuildRequest, *, on_disconnect_continue: bool = False, key: str = ""
    ) -> AsyncIterator[BuildStream]:
        """Hand in a graph; yields the stream once the build has its id.

        Our coordinator takes a repeated `key` as the same build, so a lost answer can be asked for again.
        """
        query = {"on_disconnect": "continue"} if on_disconnect_continue else {}
        target = _target(PATH_BUILD, query | ({"key": key} if key else {}))
        async with self._client.request(
            "POST", target, body=codec.write(build), timeout_seconds=START_SECONDS
        ) as response:
            with _stalled_after(START_SECONDS, "the build's stream did not begin"):
                await _require_ok(response)
                stream = BuildStream(response)
                await stream.read_started()
            yield stream

    async def signal(self, build_id: str, signal: SignalRequest) -> None:
        """Tell a running build something; harmless when repeated."""
        await self._post(PATH_SIGNAL, {"build_id": build_id}, signal, ANSWER_SECONDS)

    async def upload_file(
        self,
        file_id: str,
        body: wire.Body,
        *,
        bytes_total: int | None = None,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        """Store a source file; harmless when repeated. `bytes_total` is a streamed body's length.

        It may take as long as it makes progress: `stall_seconds` is for each chunk, and for the answer.
        """
        headers = [] if bytes_total is None else [("content-length", str(bytes_total))]
        with _stalled_after(stall_seconds, "the upload made no progress") as scope:
            if isinstance(body, bytes):
                scope.deadline += len(body) / BYTES_PER_SECOND_MIN
            else:
                body = _prolonging(body, scope, stall_seconds)
            target = _target(PATH_FILE, {"id": file_id})
            async with self._client.request(
                "PUT", target, headers=headers, body=body, timeout_seconds=math.inf
            ) as response:
                await _require_ok(response)
                await response.read()

    @contextlib.asynccontextmanager
    async def download_file(self, file_id: str) -> AsyncIterator[wire.Response]:
        """A source file's bytes, to be iterated over under the caller's deadline."""
        target = _target(PATH_FILE, {"id": file_id})
        async with self._client.request("GET", target, timeout_seconds=ANSWER_SECONDS) as response:
            await _require_ok(response)
            yield response

    async def _post(self, path: str, query: dict[str, str], value: Any, timeout_seconds: float) -> bytes:
        reply = await self._client.call(
            "POST", _target(path, query), body=codec.write(value), timeout_seconds=timeout_seconds
        )
        if reply.status != 200:
            raise wire.Refused(reply.status, reason_of(reply.text()))
        return reply.body


@contextlib.contextmanager
def _stalled_after(seconds: float, message: str) -> Iterator[trio.CancelScope]:
    with trio.move_on_after(seconds) as scope:
        yield scope
    if scope.cancelled_caught:
        raise wire.Unreachable(f"{message} for {seconds:g} s")


async def _prolonging(body: Any, scope: trio.CancelScope, seconds: float) -> AsyncIterator[bytes]:
    """`body`, where each chunk that the connection takes gives the next one its time."""
    async with contextlib.aclosing(body) if hasattr(body, "aclose") else contextlib.nullcontext():
        async for chunk in body:
            scope.deadline = trio.current_time() + seconds
            yield chunk
        scope.deadline = trio.current_time() + seconds


async def _require_ok(response: wire.Response) -> None:
    try:
        await response.require(200)
    except wire.Refused as refusal:
        raise wire.Refused(refusal.status, reason_of(refusal.text)) from None


def _target(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
