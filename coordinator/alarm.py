"""The alarm: lets deadlines have their consequences, and blames nobody for a time in which we slept."""

import structlog
import trio

from coordinator.core import Coordinator
from events.commands import ResumeAfterStall, Tick
from events.decide.workers import next_deadline
from events.errors import Rejected

log = structlog.get_logger()

# Deadlines are seconds apart; looking this often costs nothing and needs no wake-up when they change.
LOOK_SECONDS = 0.25
# A look that comes so much later than meant says that we were stopped, or waited for the disk.
STALL_SECONDS = 3.0


async def ring_forever(
    core: Coordinator, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Submit a `Tick` whenever a deadline is over."""
    task_status.started()
    while True:
        planned = core.now() + LOOK_SECONDS
        await trio.sleep(LOOK_SECONDS)
        try:
            await _look(core, core.now() - planned)
        except Rejected as error:
            log.warning("the alarm could not ring", reason=error.reason)


async def _look(core: Coordinator, late_seconds: float) -> None:
    began = core.journal.commit_began
    if began is not None and trio.current_time() - began > STALL_SECONDS:
        await core.view(lambda _state: None)
        late_seconds = trio.current_time() - began
    if late_seconds > STALL_SECONDS:
        log.warning("the coordinator stalled", seconds=round(late_seconds, 3))
        await core.submit(ResumeAfterStall(seconds=late_seconds))
        return
    deadline = next_deadline(core.state)
    if deadline is not None and deadline <= core.now() and not core.journal.is_full:
        await core.submit(Tick())
