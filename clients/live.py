"""A build's records as they happen, without gap or repeat, however often the connection breaks.

The position of the last record is the whole memory: a new connection asks for what comes after it.
"""

import contextlib
import random
from collections.abc import AsyncIterator, Callable
from enum import Enum
from typing import Any, Self

import structlog
import trio
from attrs import frozen

from clients import codec, wire
from clients.backoff import TRANSIENT, Backoff
from clients.codec import Malformed
from events.codec import FORMAT
from events.ids import BuildId, Position
from events.log import LogFromTheFuture

TERMINAL = frozenset({"BuildSucceeded", "BuildFailed", "BuildCancelled"})
# An idle stream says `Progress` at least every 15 s; three of them missing is a dead connection.
SILENCE_SECONDS = 45.0
GIVE_UP_SECONDS = 300.0
CONNECT_SECONDS = 30.0
START = Position(0)

log = structlog.get_logger()


class OutcomeUnknown(Exception):
    """The stream of a build ended without its last record: how the build ended, nobody here can say."""


@frozen(kw_only=True)
class Line:
    """One record: `at` in seconds since 1970, `fields` all that its event says, the build's id included."""

    position: Position
    at: float
    type: str
    fields: dict[str, Any]

    @property
    def is_terminal(self) -> bool:
        """Is this the last record of its build's stream?"""
        return self.type in TERMINAL


class LinkState(Enum):
    """What became of the connection."""

    CONNECTED = "connected"
    LOST = "lost"
    RECONNECTED = "reconnected"


@frozen(kw_only=True)
class Link:
    """News of the connection; when it is lost, why and in how many seconds it is tried again."""

    state: LinkState
    error: str = ""
    retry_seconds: float = 0.0


class Follow:
    """The records of one build from `position` on, by `read` or iteration.

    A cancelled read loses nothing: the next one gives the record that it would have given.
    """

    def __init__(
        self,
        client: wire.Client,
        build: BuildId,
        *,
        after: Position,
        chance: random.Random,
        tell: Callable[[Link], None],
        silence_seconds: float,
        give_up_seconds: float,
    ) -> None:
        self.position = after
        self._client = client
        self._build = build
        self._tell = tell
        self._silence_seconds = silence_seconds
        self._backoff = Backoff(chance, seconds=give_up_seconds)
        self._connection = contextlib.AsyncExitStack()
        self._lines: wire.Lines | None = None
        self._was_connected = False
        self._has_ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Line:
        line = await self.read()
        if line is None:
            raise StopAsyncIteration
        return line

    async def read(self) -> Line | None:
        """The next record; None after the build's last one.

        Waits as long as the server gives signs of life. Raises `OutcomeUnknown` when it has given none
        for `give_up_seconds`, `Refused` when it knows no such build or no longer has these records (410),
        `LogFromTheFuture` if they are in a newer format.
        """
        while not self._has_ended:
            try:
                line = await self._next_line()
            except (wire.Unreachable, wire.TooLarge, Malformed) as error:
                await self._lost(error)
                continue
            if line is not None:
                self._has_ended = line.is_terminal
                return line
        await self.aclose()
        return None

    async def aclose(self) -> None:
        """End the connection."""
        self._lines = None
        await self._connection.aclose()

    async def _next_line(self) -> Line | None:
        """One line; None if it is no news."""
        with trio.move_on_after(self._silence_seconds) as scope:
            lines = self._lines or await self._connect()
            try:
                raw = await anext(lines)
            except StopAsyncIteration:
                raise wire.Unreachable("the stream ended before the build did") from None
        if scope.cancelled_caught:
            raise wire.Unreachable(f"no sign of life for {self._silence_seconds:g} s")
        line = _parse(raw)
        self._backoff.reset()
        if line is None or line.position <= self.position:
            return None
        self.position = line.position
        # A Progress line says only how far the stream has come; it is not shown.
        return line if line.type != "Progress" else None

    async def _connect(self) -> wire.Lines:
        await self._connection.aclose()  # what a cancelled attempt left
        target = f"/api/builds/{self._build}/events?after={self.position}"
        response = await self._connection.enter_async_context(
            self._client.request("GET", target, timeout_seconds=CONNECT_SECONDS)
        )
        try:
            await response.require(200)
        except wire.Refused as refusal:
            if refusal.status in TRANSIENT:
                raise wire.Unreachable(str(refusal)) from refusal
            raise
        _check_format(response.headers.get("terzetto-format", "1"))
        self._lines = response.lines()
        # Known by the head of the answer: with no news it may take 15 s until there is a line.
        self._tell(Link(state=LinkState.RECONNECTED if self._was_connected else LinkState.CONNECTED))
        self._was_connected = True
        return self._lines

    async def _lost(self, error: Exception) -> None:
        await self.aclose()
        delay = self._backoff.next_delay(trio.current_time())
        log.info("stream lost", build=self._build, position=self.position, error=str(error), retry=delay)
        if delay is None:
            raise OutcomeUnknown(f"lost the stream of build {self._build}: {error}") from error
        self._tell(Link(state=LinkState.LOST, error=str(error), retry_seconds=delay))
        await trio.sleep(delay)


@contextlib.asynccontextmanager
async def follow(
    client: wire.Client,
    build: BuildId,
    *,
    after: Position = START,
    chance: random.Random,
    tell: Callable[[Link], None] = lambda _: None,
    silence_seconds: float = SILENCE_SECONDS,
    give_up_seconds: float = GIVE_UP_SECONDS,
) -> AsyncIterator[Follow]:
    """Follow a build's records after a position; `tell` hears when the connection is lost and back."""
    records = Follow(
        client,
        build,
        after=after,
        chance=chance,
        tell=tell,
        silence_seconds=silence_seconds,
        give_up_seconds=give_up_seconds,
    )
    try:
        yield records
    finally:
        await records.aclose()


def _check_format(written_in: str) -> None:
    if not (written_in.isascii() and written_in.isdigit() and int(written_in) <= FORMAT):
        known = f"the newest known here is {FORMAT}: upgrade terzetto"
        raise LogFromTheFuture(f"the coordinator's records have format {written_in}, {known}")


def _parse(raw: bytes) -> Line | None:
    """A line as a record; None for an empty line. Raises `Malformed`."""
    if not raw.strip():
        return None
    value = codec.loads(raw)
    if not isinstance(value, dict):
        raise Malformed("a record must be an object")
    position, kind, at = value.pop("position", None), value.pop("type", None), value.pop("at", 0.0)
    if type(position) is not int or not isinstance(kind, str) or not isinstance(at, int | float):
        raise Malformed("a record needs position, type and at")
    return Line(position=Position(position), at=float(at), type=kind, fields=value)
