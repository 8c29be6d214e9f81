"""Looks now and then whether State agrees with itself, and makes it known if it does not.

A contradiction is a bug that tests did not find. Nothing is repaired, because whatever did that would have to
guess; running builds go on, new ones are refused, and a metric and a log line call for somebody.
"""

from collections.abc import Iterator
from itertools import chain

import structlog
import trio

from coordinator.core import Coordinator
from events.ids import BuildId
from events.state import State
from events.validate import Inconsistent, validate, validate_build

log = structlog.get_logger()

LOOK_SECONDS = 10.0
# A walk over so many jobs takes some 10 ms, in which no heartbeat is answered. A larger state is looked at in
# parts; a build that is larger by itself only when a snapshot of the state is made.
JOBS_MAX = 2000
PROBLEM_CHARS_MAX = 2000


async def inspect_forever(
    core: Coordinator, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Look whenever something has happened since the last look, but not too often."""
    task_status.started()
    inspection = Inspection(core)
    while core.distrust == "":
        position = core.journal.durable
        inspection.look()
        await trio.sleep(LOOK_SECONDS)
        await core.journal.grown(position)  # unbounded: what does not change needs no second look
        if core.journal.is_stopping:
            return


class Inspection:
    """One look after the other: at everything, or where that is too much, at one build after the other."""

    def __init__(self, core: Coordinator) -> None:
        self._core = core
        self._next: Iterator[BuildId] = iter(())

    def look(self) -> None:
        state = self._core.state
        try:
            self._check(state)
        except Inconsistent as problem:
            log.critical(
                "the state contradicts itself",
                position=state.position,
                problem=str(problem)[:PROBLEM_CHARS_MAX],
            )
            self._core.distrust = f"at position {state.position}: {str(problem).splitlines()[0]}"

    def _check(self, state: State) -> None:
        if sum(len(graph.jobs) for graph in state.graphs.values()) <= JOBS_MAX:
            validate(state)
            return
        build = self._pick(state)
        if build is not None:
            validate_build(state, build)

    def _pick(self, state: State) -> BuildId | None:
        """The next build in turn that is there still, and small enough."""
        for build in chain(self._next, self._begin(state)):
            if build in state.graphs and len(state.graphs[build].jobs) <= JOBS_MAX:
                return build
        return None

    def _begin(self, state: State) -> Iterator[BuildId]:
        self._next = iter(list(state.graphs))
        yield from self._next
