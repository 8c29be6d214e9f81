"""The past: the state as it was at a position, and why a job was as it was."""

import trio

from coordinator.builds import resolve
from coordinator.core import Coordinator
from coordinator.journal import Journal
from coordinator.keeper import Keeper
from events.errors import BUILD_FORGOTTEN, BUILD_UNKNOWN, HISTORY_ARCHIVED, MALFORMED, Rejected
from events.fold import replay
from events.hindsight.why import Explanation, why
from events.ids import BEGINNING, BuildId, JobId, Position, is_hex40
from events.log import Subject
from events.query import Query, saying
from events.state import State


async def state_at(journal: Journal, position: Position, keeper: Keeper | None = None) -> State:
    """The state after the record at `position`; raises `Rejected` if there is none yet, or no longer one."""
    _check(journal, position)
    check_floor(journal, position)
    if keeper is not None:
        return await journal.run_sync(keeper.state_at, position)
    state, after = State(), BEGINNING
    while after < position:
        page = await journal.read(after)
        replay((entry.record for entry in page.entries if entry.record.position <= position), state)
        after = page.upto
        await trio.lowlevel.checkpoint()  # a page may come from memory, and heartbeats must not wait
    return state


def check_floor(journal: Journal, position: Position) -> None:
    """Refuse what asks for records that are archived: they are read in another way."""
    if position < journal.floor:
        first = journal.floor + 1
        reason = f"records up to {journal.floor} are archived, the first one here is {first}"
        raise Rejected(HISTORY_ARCHIVED, reason, first_position=first)


async def find(core: Coordinator, name: str) -> BuildId:
    """The build of this id or unambiguous prefix; raises `Rejected`, also if it was forgotten."""
    try:
        return await core.view(lambda state: resolve(state, name))
    except Rejected as refusal:
        if refusal.code is BUILD_UNKNOWN and is_hex40(name):
            await _check_forgotten(core.journal, BuildId(name))
        raise


async def _check_forgotten(journal: Journal, build: BuildId) -> None:
    """As far as the table still says so; the archive is not searched for whoever makes up an id."""
    query = Query(upto=journal.durable, after=journal.floor, subject=Subject.build(build), limit=1)
    if await journal.look(lambda log: log.search(query)):
        raise Rejected(BUILD_FORGOTTEN, f"build {build} ended, and is no longer in the coordinator's memory")


async def started_as(journal: Journal, key: str) -> Position | None:
    """Where the build with this key began, also one that was forgotten; None if there was none.

    As far as the table still says so.
    """
    query = Query(
        upto=journal.durable,
        after=journal.floor,
        types=("BuildStarted",),
        text=saying("key", key),
        newest_first=True,
        limit=1,
    )
    found = await journal.look(lambda log: log.search(query))
    return found[0].position if found else None


async def explanation(journal: Journal, build: BuildId, job: JobId, position: Position) -> Explanation:
    """The job explained as of the record at `position`; raises `Rejected` if it was not there, or none is."""
    _check(journal, position)
    return await journal.look(lambda log: why(log, build, job, position))


def _check(journal: Journal, position: Position) -> None:
    if position > journal.durable:
        raise Rejected(MALFORMED, f"position {position} is beyond the last one, {journal.durable}")
