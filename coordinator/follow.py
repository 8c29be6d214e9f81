"""Following the log: one cursor for every carrier, and for every dialect that streams."""

import math
from collections.abc import Callable

import trio

from coordinator.journal import Journal
from events.catalog import BuildCancelled, BuildFailed, BuildSucceeded
from events.ids import BuildId, Position
from events.log import Entry, Subject

# Records that come within this time of each other travel together.
TICK_SECONDS = 0.02
TERMINAL = (BuildSucceeded, BuildFailed, BuildCancelled)


class Follower:
    """Reads on from a position; `cursor` is how far it has come: all up to there was returned."""

    def __init__(
        self,
        journal: Journal,
        after: Position,
        build: BuildId | None = None,
        *,
        wanted: Callable[[Entry], bool] | None = None,
    ) -> None:
        """With `build`, only its records, and the end with its last one; `wanted` filters further."""
        self.cursor = after
        self.has_ended = False
        self._journal = journal
        self._build = build
        self._subject = None if build is None else Subject.build(build)
        self._wanted = wanted

    async def read(self, seconds: float = math.inf) -> list[Entry]:
        """The next records; empty when there were none for `seconds`, or when `has_ended`."""
        deadline = trio.current_time() + seconds
        while not self.has_ended:
            page = await self._journal.read(self.cursor, self._subject)
            self.cursor = page.upto
            self._note_end(page.entries)
            found = [entry for entry in page.entries if self._wanted is None or self._wanted(entry)]
            if found or self.has_ended:
                return found
            if self._journal.is_stopping or await self._is_over():
                self.has_ended = True
            elif not await self._wait(deadline):
                break
        return []

    async def _wait(self, deadline: float) -> bool:
        with trio.move_on_at(deadline) as scope:
            await self._journal.grown(self.cursor, self._subject)
        return not scope.cancelled_caught

    def _note_end(self, entries: list[Entry]) -> None:
        if self._build is not None and entries:
            self.has_ended = isinstance(entries[-1].record.event, TERMINAL)

    async def _is_over(self) -> bool:
        """Has the build ended before the cursor? Its last record may still be on its way to the disk."""
        if self._build is None or self._build in self._journal.state.active:
            return False
        await self._journal.settled()
        page = await self._journal.read(self.cursor, self._subject, 1)
        return not page.entries and self._build not in self._journal.state.active
