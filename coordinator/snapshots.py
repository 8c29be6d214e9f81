"""Takes a snapshot of State now and then, so that a start has little to replay.

The process that makes it also sees whether the log adds up to what State is, as long as that is small.
"""

import structlog
import trio

from coordinator.core import Coordinator
from coordinator.keeper import Keeper, KeepingFailed, Sample
from events.digest import digest
from events.ids import Position
from events.state import State

log = structlog.get_logger()

LOOK_SECONDS = 1.0
# Of so many things the digest takes some 20 ms, in which no heartbeat is answered.
SAMPLE_MAX = 5000


async def take_snapshots_forever(
    core: Coordinator,
    keeper: Keeper,
    records: int,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Take one after so many `records`, as soon as nothing runs, but not after more than twice as many."""
    task_status.started()
    taken = keeper.last_snapshot()
    while True:
        if _is_time(core, taken, records):
            taken = core.journal.durable  # also if it fails: the next try comes as late
            await _take(core, keeper)
        await trio.sleep(LOOK_SECONDS)


def _is_time(core: Coordinator, taken: Position, records: int) -> bool:
    grown = core.journal.durable - taken
    return grown >= 2 * records or (grown >= records and not core.state.leases)


def _size(state: State) -> int:
    jobs = sum(len(graph.jobs) for graph in state.graphs.values())
    return jobs + len(state.results) + len(state.holders) + len(state.sources)


def _sample(state: State) -> Sample:
    return Sample(state.position, digest(state))


async def _take(core: Coordinator, keeper: Keeper) -> None:
    try:
        live = await core.view(_sample) if _size(core.state) <= SAMPLE_MAX else None
        problem = await keeper.take_snapshot(live)
    except (KeepingFailed, OSError) as error:
        log.warning("no snapshot was taken", reason=str(error))
        return
    if problem:
        log.critical("the state contradicts itself", problem=problem[:2000])
        core.distrust = core.distrust or f"a snapshot was to be taken: {problem.splitlines()[0]}"
