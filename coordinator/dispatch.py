"""Held heartbeats: workers that asked for work and wait until there is some.

A worker is woken when a queued job suits it, or when a lease of its own has ended; it then asks again
through the front door. No more workers are woken than there are queued jobs, so a single job does not
wake a thousand.
"""

import trio
from attrs import define

from coordinator.core import Coordinator
from events.ids import WorkerId
from events.schedule import opens_at, schedule
from events.state import State

# A job may open to more workers by the mere passing of time; never look less often than this.
LOOK_SECONDS_MAX = 1.0


@define(eq=False)
class _Place:
    slots_free: int
    called: trio.Event


class Dispatch:
    """Where workers wait, longest waiting first."""

    def __init__(self, core: Coordinator) -> None:
        self._core = core
        self._places: dict[WorkerId, _Place] = {}

    async def wait(self, worker: WorkerId, slots_free: int, seconds: float) -> bool:
        """Wait for up to `seconds` until it is worth asking again.

        False if it is not, be it that the time is over or that the worker has come with a newer heartbeat,
        which alone may then be given work.
        """
        place = _Place(slots_free, trio.Event())
        replaced = self._places.pop(worker, None)
        self._places[worker] = place
        if replaced is not None:
            replaced.called.set()
        with trio.move_on_after(seconds):
            await place.called.wait()
        if self._places.get(worker) is place:
            del self._places[worker]
            return False
        return worker not in self._places and not self._core.journal.is_stopping

    async def call_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Call workers as work comes up; after a stop, call them all so that they are answered."""
        task_status.started()
        journal = self._core.journal
        while not journal.is_stopping:
            position = journal.durable
            self._call_those_with_work(self._core.state)
            with trio.move_on_after(self._patience(self._core.state)):
                await journal.grown(position)
        for id_ in list(self._places):
            self._call(id_)

    def _patience(self, state: State) -> float:
        time = opens_at(state) if self._places else None
        if time is None or time <= self._core.now():
            return LOOK_SECONDS_MAX
        return min(time - self._core.now(), LOOK_SECONDS_MAX)

    def _call_those_with_work(self, state: State) -> None:
        for id_ in [id_ for id_ in state.revoked if id_ in self._places]:
            self._call(id_)
        queued = sum(len(state.graphs[build].queue) for build in state.rotation)
        for id_, place in list(self._places.items()) if queued else ():
            worker = state.workers[id_]
            if worker.draining or schedule(state, worker, self._core.now()) is None:
                continue
            self._call(id_)
            queued -= place.slots_free
            if queued <= 0:
                return

    def _call(self, worker: WorkerId) -> None:
        self._places.pop(worker).called.set()
