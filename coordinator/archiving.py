"""Moves what is old or too much from the log's table into its archive, so that the file stops growing.

Level-triggered. Another process makes the segments; only when they are durable does the log's own writer let
go of records, a few at a time between commits, so that no answer waits for it.
"""

from functools import partial

import structlog
import trio

from coordinator.core import Coordinator
from coordinator.keeper import Fresh, Keeper, KeepingFailed
from events.log import LogFull

log = structlog.get_logger()

LOOK_SECONDS = 60.0


async def archive_forever(
    core: Coordinator,
    keeper: Keeper,
    fresh: Fresh,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Look every minute."""
    task_status.started()
    while True:
        try:
            await archive(core, keeper, fresh)
        except (KeepingFailed, LogFull, OSError) as error:  # the next look begins where this one ended
            log.warning("nothing was archived", reason=str(error))
        await trio.sleep(LOOK_SECONDS)


async def archive(core: Coordinator, keeper: Keeper, fresh: Fresh) -> None:
    """Archive what is to be, and let go of what is archived and nobody follows any more."""
    upto = await keeper.archive(fresh, core.now())
    # Only what was forgotten for good: a crash must not bring a build back whose records are gone.
    kept = await core.view(lambda state: frozenset(state.builds))
    steps = keeper.let_go(upto, kept)
    while await core.journal.between_commits(partial(next, steps, None)):
        core.journal.floor = keeper.archived()
        await trio.lowlevel.checkpoint()
