"""The state as it was: the log replayed up to a position."""

import trio

from coordinator.journal import Journal
from events.errors import MALFORMED, Rejected
from events.fold import replay
from events.ids import BEGINNING, Position
from events.state import State


async def state_at(journal: Journal, position: Position) -> State:
    """The state after the record at `position`; raises `Rejected` if there is none yet."""
    if position > journal.durable:
        raise Rejected(MALFORMED, f"position {position} is beyond the last one, {journal.durable}")
    state, after = State(), BEGINNING
    while after < position:
        page = await journal.read(after)
        replay((entry.record for entry in page.entries if entry.record.position <= position), state)
        after = page.upto
        await trio.lowlevel.checkpoint()  # a page may come from memory, and heartbeats must not wait
    return state
