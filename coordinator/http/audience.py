"""Those who watch the same thing and have seen all of it so far are told together.

One cursor, one reading, one piece of bytes for all of them, and for each no more than one write that does not
wait: a thousand viewers of one build are ordinary. Whoever's socket does not take a piece at once has fallen
behind; it reads on by itself, as those do who come to see the past, and comes back when it has caught up.
"""

from typing import Protocol

import trio
from attrs import Factory, define, field, frozen

from coordinator.disk import RunSync
from coordinator.follow import TICK_SECONDS, Follower
from coordinator.http.forms import Form, Piece, Pieces, progress
from events.ids import BuildId, Position

# Larger pieces are not offered to anybody: each viewer waits for its own socket to take them.
OFFERED_BYTES_MAX = 64 << 10
# After so many writes everybody else has a turn.
WRITES_AT_ONCE = 64


@frozen
class Topic:
    """What one looks at, and in which form; `types` and `worker` are those of the query."""

    build: BuildId | None
    types: frozenset[str]
    worker: str | None
    form: Form = field(eq=lambda form: form.name)


class Viewer(Protocol):
    """A connection that has seen all up to its follower's cursor."""

    follower: Follower

    def offer(self, piece: Piece) -> bool:
        """Send it now; False if that is not possible, and then nothing was sent."""
        ...

    async def flush(self) -> None:
        """Wait until what was offered is on its way."""
        ...


@define(eq=False)
class Audience:
    """The viewers of one topic."""

    _topic: Topic
    _follower: Follower
    _pieces: Pieces
    _viewers: dict[Viewer, trio.Event] = Factory(dict)
    _scope: trio.CancelScope = Factory(trio.CancelScope)

    @property
    def cursor(self) -> Position:
        """Up to here it has been read for them all."""
        return self._follower.cursor

    @property
    def is_over(self) -> bool:
        """Nobody can join any more."""
        return self._scope.cancel_called or self._follower.has_ended

    async def attend(self, viewer: Viewer) -> None:
        """Let it be told with the others, until it has to go on by itself, or all has ended."""
        gone = self._viewers[viewer] = trio.Event()
        try:
            await gone.wait()  # as long as it keeps up
        finally:
            self._viewers.pop(viewer, None)
            if not self._viewers:
                self._scope.cancel()
        await viewer.flush()

    async def tell_forever(self, seconds: float) -> None:
        """Until there are no viewers, or nothing more to tell; a sign of life at least every `seconds`."""
        with self._scope:
            while not self._follower.has_ended:
                await self._tell_next(seconds)
                await trio.sleep(TICK_SECONDS)
        for viewer in list(self._viewers):
            viewer.follower.has_ended = True
            self._dismiss(viewer)

    async def _tell_next(self, seconds: float) -> None:
        entries, form = await self._follower.read(seconds), self._topic.form
        upto = self._follower.cursor
        if entries:
            piece = await self._pieces.get(form, self._topic, entries, self._follower.is_amid)
            await self._tell(piece, entries[0].record.position, entries[-1].record.position, upto)
        elif not self._follower.has_ended:
            await self._tell(progress(form, upto), Position(upto + 1), Position(upto + 1), upto)

    async def _tell(self, piece: Piece, first: Position, last: Position, upto: Position) -> None:
        for count, viewer in enumerate(list(self._viewers), 1):
            if viewer in self._viewers:  # who may have left meanwhile
                self._tell_one(viewer, piece, first, last, upto)
            if count % WRITES_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()

    def _tell_one(
        self, viewer: Viewer, piece: Piece, first: Position, last: Position, upto: Position
    ) -> None:
        """One that joined a moment ago may have read some of it by itself, or all."""
        follower = viewer.follower
        has_none, has_all = follower.cursor < first, follower.cursor >= last
        if has_all or (has_none and len(piece.body) <= OFFERED_BYTES_MAX and viewer.offer(piece)):
            follower.cursor = max(follower.cursor, upto)
        else:
            self._dismiss(viewer)

    def _dismiss(self, viewer: Viewer) -> None:
        self._viewers.pop(viewer).set()


class Audiences:
    """All of them."""

    def __init__(self, run_sync: RunSync, seconds: float) -> None:
        """Each viewer gets a sign of life every `seconds` at least."""
        self.pieces = Pieces(run_sync)
        self._seconds = seconds
        self._of: dict[Topic, Audience] = {}
        self._nursery: trio.Nursery | None = None

    async def tell_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve whoever joins."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()

    def of(self, topic: Topic) -> Audience | None:
        """Those who look at this now."""
        found = self._of.get(topic)
        return None if found is None or found.is_over else found

    async def join(self, topic: Topic, viewer: Viewer) -> None:
        """As `Audience.attend`. Its follower must have come as far as they have, or as there is something."""
        assert self._nursery is not None, "there is nobody to tell them"
        found = self.of(topic)
        if found is None:
            found = self._of[topic] = Audience(topic, viewer.follower.again(), self.pieces)
            self._nursery.start_soon(self._tell, topic, found)
        await found.attend(viewer)

    async def _tell(self, topic: Topic, audience: Audience) -> None:
        await audience.tell_forever(self._seconds)
        if self._of.get(topic) is audience:
            del self._of[topic]
