"""Reports that say nothing new: answered at once, and recorded together once a second.

Nothing that anybody is told depends on them, and a crash that loses some is followed by a start, which renews
every lease. So they need not wait for the disk, and a thousand idle workers cost a record a second.
"""

import trio

from coordinator.core import Coordinator
from events.commands import Heartbeat, HearWorkers
from events.decide.quiet import is_quiet
from events.ids import WorkerId

RECORD_SECONDS = 1.0


class Quiet:
    """Who reported since the last record, in this order."""

    def __init__(self, core: Coordinator) -> None:
        self._core = core
        self._heard: dict[WorkerId, None] = {}

    def note(self, command: Heartbeat) -> bool:
        """Take the report if it is a quiet one; False if it has to be recorded by itself."""
        journal = self._core.journal
        if (
            journal.is_full
            or journal.is_stopping
            or not is_quiet(self._core.state, command, self._core.now())
        ):
            self._heard.pop(command.worker, None)
            return False
        self._heard[command.worker] = None
        return True

    def record(self) -> None:
        """Let State, in this very breath, and soon the log know who was heard.

        While the disk is full they stay noted.
        """
        if self._heard and not self._core.journal.is_full:
            self._core.tell(HearWorkers(workers=tuple(self._heard)))
            self._heard.clear()

    async def record_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Record once a second."""
        task_status.started()
        while True:
            self.record()
            await trio.sleep(RECORD_SECONDS)
