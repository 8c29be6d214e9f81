"""The past: the state as it was at a position, and why a job was as it was."""

import trio

from coordinator.journal import Journal
from events.errors import MALFORMED, Rejected
from events.fold import replay
from events.ids import BEGINNING, BuildId, JobId, Position
from events.state import State
from events.why import Explanation, why


async def state_at(journal: Journal, position: Position) -> State:
    """The state after the record at `position`; raises `Rejected` if there is none yet."""
    _check(journal, position)
    state, after = State(), BEGINNING
    while after < position:
        page = await journal.read(after)
        replay((entry.record for entry in page.entries if entry.record.position <= position), state)
        after = page.upto
        await trio.lowlevel.checkpoint()  # a page may come from memory, and heartbeats must not wait
    return state


async def explanation(journal: Journal, build: BuildId, job: JobId, position: Position) -> Explanation:
    """The job explained as of the record at `position`; raises `Rejected` if it was not there, or none is."""
    _check(journal, position)
    return await journal.look(lambda log: why(log, build, job, position))


def _check(journal: Journal, position: Position) -> None:
    if position > journal.durable:
        raise Rejected(MALFORMED, f"position {position} is beyond the last one, {journal.durable}")
