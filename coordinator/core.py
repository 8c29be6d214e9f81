"""The core: a command goes in, facts are decided and folded in one breath, and are durable on return."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from coordinator.journal import Journal
from events.catalog import Record
from events.commands import Command
from events.decide import Context, execute
from events.errors import STORAGE_FULL, Rejected
from events.state import State

log = structlog.get_logger()
T = TypeVar("T")


class Coordinator:
    """The one way to change anything, and the one way to look."""

    def __init__(self, journal: Journal, *, now: Callable[[], float], new_id: Callable[[int], str]) -> None:
        """`now`: seconds since 1970, never falling; `new_id(n)`: n random bytes in hex."""
        self.journal = journal
        self.now = now
        self._new_id = new_id

    @property
    def state(self) -> State:
        """The state of this instant, which may not be durable yet: for decisions, never for answers."""
        return self.journal.state

    async def submit(self, command: Command) -> list[Record]:
        """Carry out a command; its records are on disk on return. Raises `Rejected`."""
        if self.journal.is_full:
            raise Rejected(STORAGE_FULL, "nothing was changed")
        records = execute(self.journal.state, command, Context(self.now(), self._new_id))
        await self.journal.append(records)
        return records

    async def view(self, look: Callable[[State], T]) -> T:
        """What `look` sees, once all that it saw is durable: no answer shows what a crash could undo."""
        while True:
            seen = look(self.journal.state)
            if await self.journal.settled():
                return seen
