"""The alarm: lets deadlines have their consequences, and blames nobody for a time in which we slept."""

import structlog
import trio

from coordinator.core import Coordinator
from coordinator.quiet import Quiet
from events.commands import ResumeAfterStall, Tick
from events.decide.workers import next_deadline
from events.errors import Rejected

log = structlog.get_logger()

# Deadlines are seconds apart; looking this often costs nothing and needs no wake-up when they change.
LOOK_SECONDS = 0.25
# A look that comes so much later than meant says that we were stopped, or waited for the disk. Half of a
# worker's time to be heard, where that is shorter.
STALL_SECONDS = 3.0


async def ring_forever(
    core: Coordinator, quiet: Quiet, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Submit a `Tick` whenever a deadline is over."""
    task_status.started()
    alarm = Alarm(core, quiet)
    while True:
        planned = core.now() + LOOK_SECONDS
        await trio.sleep(LOOK_SECONDS)
        try:
            await alarm.look(core.now() - planned)
        except Rejected as error:
            log.warning("the alarm could not ring", reason=error.reason)


class Alarm:
    """One look after the other."""

    def __init__(self, core: Coordinator, quiet: Quiet) -> None:
        self._core = core
        self._quiet = quiet
        self._full_since: float | None = None

    async def look(self, late_seconds: float) -> None:
        """Ring if a deadline is over, unless nobody could have met it; raises `Rejected`."""
        idle_seconds = max(late_seconds, self._full_seconds(), await self._commit_seconds())
        if self._core.journal.is_full:
            return
        self._full_since = None
        if idle_seconds > self._stall_seconds:
            log.warning("the coordinator stalled", seconds=round(idle_seconds, 3))
            await self._core.submit(ResumeAfterStall(seconds=idle_seconds))
            return
        if self._is_due():
            self._quiet.record()  # in one breath with the tick: whoever was heard was not silent
        if self._is_due():
            await self._core.submit(Tick())

    @property
    def _stall_seconds(self) -> float:
        settings = self._core.state.settings
        return min(STALL_SECONDS, settings.lease_seconds / 2, settings.worker_silence_seconds / 2)

    def _is_due(self) -> bool:
        deadline = next_deadline(self._core.state)
        return deadline is not None and deadline <= self._core.now()

    def _full_seconds(self) -> float:
        """For how long heartbeats have been refused because the disk was full."""
        if self._core.journal.is_full and self._full_since is None:
            self._full_since = self._core.now()
        return 0.0 if self._full_since is None else self._core.now() - self._full_since

    async def _commit_seconds(self) -> float:
        """How long a slow commit has kept every answer waiting; not told before it is over."""
        began = self._core.journal.commit_began
        if began is None or trio.current_time() - began <= self._stall_seconds:
            return 0.0
        await self._core.view(lambda _state: None)
        return trio.current_time() - began
