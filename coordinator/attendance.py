"""Builds whose client has gone away: cancelled after a grace, unless they were started to outlive it."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import trio

from coordinator.core import Coordinator
from events.commands import CancelBuild
from events.errors import Rejected
from events.ids import BuildId

log = structlog.get_logger()

LOOK_SECONDS = 0.5
REASON = "its client went away"


class Attendance:
    """Who still follows which build. Nothing of it is remembered over a restart: the grace starts anew."""

    def __init__(self, core: Coordinator, grace_seconds: float) -> None:
        self._core = core
        self._grace_seconds = grace_seconds
        self._present: dict[BuildId, int] = {}
        self._alone_since: dict[BuildId, float] = {}

    @contextmanager
    def attend(self, build: BuildId) -> Iterator[None]:
        """Within it, somebody is there for the build."""
        self._present[build] = self._present.get(build, 0) + 1
        try:
            yield
        finally:
            self._present[build] -= 1
            if not self._present[build]:
                del self._present[build]

    async def watch_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Cancel what was left alone for too long."""
        task_status.started()
        while True:
            for build in self._left_alone():
                await self._cancel(build)
            await trio.sleep(LOOK_SECONDS)

    def _left_alone(self) -> list[BuildId]:
        now, state = self._core.now(), self._core.state
        alone = [id_ for id_ in state.active if id_ not in self._present and not state.builds[id_].detached]
        self._alone_since = {id_: self._alone_since.get(id_, now) for id_ in alone}
        return [id_ for id_, since in self._alone_since.items() if now - since >= self._grace_seconds]

    async def _cancel(self, build: BuildId) -> None:
        try:
            await self._core.submit(CancelBuild(build=build, reason=REASON))
        except Rejected as error:  # it ended meanwhile, or the disk is full and we come again
            log.info("build not cancelled", build=build, reason=error.reason)
