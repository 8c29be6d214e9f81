"""The core: a command goes in, facts are decided and folded in one breath, and are durable on return."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from coordinator.journal import Journal
from events.catalog import Record
from events.commands import Command, StartBuild
from events.decide import Context, execute
from events.errors import STORAGE_FULL, UNSOUND, Rejected
from events.state import State

log = structlog.get_logger()
T = TypeVar("T")


class Coordinator:
    """The one way to change anything, and the one way to look."""

    def __init__(self, journal: Journal, *, now: Callable[[], float], new_id: Callable[[int], str]) -> None:
        """`now`: seconds since 1970, never falling; `new_id(n)`: n random bytes in hex."""
        self.journal = journal
        self.now = now
        # Why `state` cannot be trusted any more, as an inspection found; empty while it can.
        self.distrust = ""
        self.new_id = new_id

    @property
    def state(self) -> State:
        """The state of this instant, which may not be durable yet: for decisions, never for answers."""
        return self.journal.state

    async def submit(self, command: Command) -> list[Record]:
        """Carry out a command; its records are on disk on return. Raises `Rejected`."""
        return await self.ask(command, lambda _state, records: records)

    async def ask(self, command: Command, look: Callable[[State, list[Record]], T]) -> T:
        """Carry out a command and give what `look` sees right after it: one visit to the disk for both.

        What changed nothing, and what is refused, may rest on facts that are still on their way to the
        disk: that too is said only when they are there, and decided anew if they never get there.
        """
        while True:
            try:
                records, seen = self._carry_out(command, look)
            except Rejected:
                if await self.journal.settled():
                    raise
                continue
            if records:
                await self.journal.append(records)
                return seen
            if await self.journal.settled():
                return seen

    def tell(self, command: Command) -> None:
        """Carry out a command on which no answer depends: its records are stored with the next commit.

        It happens in the breath of the caller. Raises `Rejected`.
        """
        records, _ = self._carry_out(command, lambda _state, _records: None)
        self.journal.stage(records)

    async def view(self, look: Callable[[State], T]) -> T:
        """What `look` sees, once all that it saw is durable: no answer shows what a crash could undo."""
        while True:
            seen = look(self.journal.state)
            if await self.journal.settled():
                return seen

    def _carry_out(
        self, command: Command, look: Callable[[State, list[Record]], T]
    ) -> tuple[list[Record], T]:
        if self.journal.is_full:
            raise Rejected(STORAGE_FULL, "nothing was changed")
        if self.distrust and isinstance(command, StartBuild):
            raise Rejected(UNSOUND, self.distrust)
        try:
            records = execute(self.journal.state, command, Context(self.now(), self.new_id))
            return records, look(self.journal.state, records)
        except Rejected:
            raise
        except Exception as bug:
            self.journal.give_up(bug)  # facts may be folded that will never be in the log
            raise
