"""Closes the output of leases that have ended, however that came, so that its followers see the end."""

import trio

from coordinator.core import Coordinator
from coordinator.output import OutputStore


async def close_outputs_forever(
    core: Coordinator, outputs: OutputStore, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Ask State, whenever it has grown, which of the open outputs belong to no live lease any more."""
    task_status.started()
    journal = core.journal
    while not journal.is_stopping:
        position = journal.durable
        for lease in outputs.open_leases():
            if lease not in core.state.leases:
                outputs.finish(lease)
        await journal.grown(position)  # unbounded: no lease ends without a record
