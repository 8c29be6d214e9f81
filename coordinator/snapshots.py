"""Takes a snapshot of State now and then, so that a start has little to replay."""

import structlog
import trio

from coordinator.core import Coordinator
from coordinator.keeper import Keeper, KeepingFailed
from events.ids import Position

log = structlog.get_logger()

LOOK_SECONDS = 1.0


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


async def _take(core: Coordinator, keeper: Keeper) -> None:
    try:
        problem = await keeper.take_snapshot()
    except (KeepingFailed, OSError) as error:
        log.warning("no snapshot was taken", reason=str(error))
        return
    if problem:
        log.critical("the state contradicts itself", problem=problem[:2000])
        core.distrust = core.distrust or f"a snapshot was to be taken: {problem.splitlines()[0]}"
