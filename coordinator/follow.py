"""Following the log: one cursor for every carrier, and for every dialect that streams.

What is read at once is made of whole commands, so that whoever stops in between stops at a state there was;
only a command that is too large by itself is read in parts. Records of one command have the same time and no
others do, unless the clock stood still: then several commands are taken for one.
"""

import math
from collections.abc import Callable, Sequence

import trio

from coordinator.journal import Journal, Page
from events.catalog import BuildCancelled, BuildFailed, BuildSucceeded
from events.ids import BuildId, Position
from events.log import Entry, Subject

# Records that come within this time of each other travel together.
TICK_SECONDS = 0.02
BYTES_MAX = 256 << 10
TERMINAL = (BuildSucceeded, BuildFailed, BuildCancelled)


class Follower:
    """Reads on from a position; `cursor` is how far it has come: all up to there was returned.

    `is_amid`: the last record that was returned is not the last one of its command. `is_abreast`: when it was
    read, there was nothing beyond the cursor.
    """

    def __init__(
        self,
        journal: Journal,
        after: Position,
        build: BuildId | None = None,
        *,
        wanted: Callable[[Entry], bool] | None = None,
        bytes_max: int = BYTES_MAX,
        records_max: int | None = None,
    ) -> None:
        """With `build`, only its records, and the end with its last one; `wanted` filters further.

        At once, lines of `bytes_max` bytes are read at most, if a single one is no longer, and `records_max`
        records, if that is not left to the journal.
        """
        self.cursor = after
        self.has_ended = False
        self.is_amid = False
        self.is_abreast = False
        self._journal = journal
        self._build = build
        self._subject = None if build is None else Subject.build(build)
        self._wanted = wanted
        self._bytes_max = bytes_max
        self._records_max = records_max

    @property
    def has_news(self) -> bool:
        """Would `read` return at once, for all that is known?"""
        return self._journal.is_stopping or self._journal.may_have_news(self.cursor, self._subject)

    def again(self) -> "Follower":
        """Another one that goes on from here."""
        return Follower(
            self._journal,
            self.cursor,
            self._build,
            wanted=self._wanted,
            bytes_max=self._bytes_max,
            records_max=self._records_max,
        )

    async def read(self, seconds: float = math.inf) -> list[Entry]:
        """The next records; empty when there were none for `seconds`, or when `has_ended`."""
        deadline = trio.current_time() + seconds
        while not self.has_ended:
            entries = await self._next()
            if found := self._only_wanted(entries):
                return found
            if entries or self.has_ended:
                continue
            if self._journal.is_stopping or await self._is_over():
                self.has_ended = True
            elif not await self._wait(deadline):
                break
        return []

    async def read_upto(self, position: Position) -> list[Entry]:
        """The next records up to where somebody else has come; as `read`, but without waiting for any."""
        while not self.has_ended and self.cursor < position:
            if found := self._only_wanted(await self._next(position)):
                return found
        return []

    def _only_wanted(self, entries: Sequence[Entry]) -> list[Entry]:
        return [entry for entry in entries if self._wanted is None or self._wanted(entry)]

    async def _next(self, upto: Position | None = None) -> Sequence[Entry]:
        """Move on over whole commands, or over a part of one."""
        page = await self._journal.read(self.cursor, self._subject, self._records_max)
        if upto is not None and upto < page.upto:
            page = Page([entry for entry in page.entries if entry.record.position <= upto], upto)
        entries = self._upto_the_end(page.entries)
        count = _fitting(entries, self._bytes_max)
        self.is_amid = False
        self.is_abreast = not page.is_cut and count == len(entries)
        if not self.is_abreast:
            count, self.is_amid = _whole(entries, count)
            entries = entries[:count]
            self.cursor = entries[-1].record.position
        else:
            self.cursor = page.upto
        self.has_ended = bool(self._build and entries and _is_last(entries[-1]))
        return entries

    def _upto_the_end(self, entries: list[Entry]) -> list[Entry]:
        """Without what is recorded of a build after its end: that it was forgotten."""
        if self._build is None or self._build in self._journal.state.active:
            return entries
        end = next((count for count, entry in enumerate(entries, 1) if _is_last(entry)), None)
        return entries[:end]

    async def _wait(self, deadline: float) -> bool:
        with trio.move_on_at(deadline) as scope:
            await self._journal.grown(self.cursor, self._subject)
        return not scope.cancelled_caught

    async def _is_over(self) -> bool:
        """Has the build ended before the cursor? Its last record may still be on its way to the disk."""
        if self._build is None or self._build in self._journal.state.active:
            return False
        await self._journal.settled()
        page = await self._journal.read(self.cursor, self._subject, 1)
        return not page.entries and self._build not in self._journal.state.active


def _is_last(entry: Entry) -> bool:
    return isinstance(entry.record.event, TERMINAL)


def _fitting(entries: Sequence[Entry], bytes_max: int) -> int:
    """How many of the entries are no larger than that together; one at least."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.text)
        if size > bytes_max and count:
            return count
    return len(entries)


def _whole(entries: Sequence[Entry], count: int) -> tuple[int, bool]:
    """How many of the first `count` entries are whole commands, and False; or `count` and True if none is.

    What comes after the last entry is not known, so that one is never taken for the end of its command.
    """
    for place in range(min(count, len(entries) - 1), 0, -1):
        if entries[place - 1].record.at != entries[place].record.at:
            return place, False
    return count, True
