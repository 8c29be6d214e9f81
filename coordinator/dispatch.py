"""Held heartbeats: workers that asked for work and wait until there is some.

A worker is woken when a queued job suits it, or when a lease of its own has ended; it then asks again
through the front door. No more workers are woken than there are queued jobs, so a single job does not
wake a thousand.
"""

import trio
from attrs import Factory, define

from coordinator.core import Coordinator
from events.ids import WorkerId
from events.schedule import opens_at, schedule
from events.state import State

# A job may open to more workers by the mere passing of time; never look less often than this.
LOOK_SECONDS_MAX = 1.0


@define(eq=False)
class _Place:
    slots_free: int
    woken: trio.Event = Factory(trio.Event)
    # Is it worth asking again? Not if the worker was woken because it has come with a newer heartbeat.
    is_called: bool = False

    def wake(self, *, is_called: bool) -> None:
        self.is_called = is_called
        self.woken.set()


class Dispatch:
    """Where workers wait, longest waiting first."""

    def __init__(self, core: Coordinator) -> None:
        self._core = core
        self._places: dict[WorkerId, _Place] = {}
        self._nap = trio.CancelScope()

    async def wait(self, worker: WorkerId, slots_free: int, seconds: float) -> bool:
        """Wait for up to `seconds` until it is worth asking again.

        False if it is not, be it that the time is over, that we stop, or that the worker has come with a
        newer heartbeat, which alone may then be given work.
        """
        self.supersede(worker)
        if self._core.journal.is_stopping:
            return False
        place = self._places[worker] = _Place(slots_free)
        self._welcome(worker, place)
        try:
            with trio.move_on_after(seconds):
                await place.woken.wait()
        finally:  # a worker that has hung up must not be called instead of one that waits
            if self._places.get(worker) is place:
                del self._places[worker]
        return place.is_called and not self._core.journal.is_stopping

    def supersede(self, worker: WorkerId) -> None:
        """The worker has come with a newer heartbeat: an older one that still waits gets nothing."""
        place = self._places.pop(worker, None)
        if place is not None:
            place.wake(is_called=False)

    async def call_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Call workers as work comes up; after a stop, call them all so that they are answered."""
        task_status.started()
        journal = self._core.journal
        while not journal.is_stopping:
            position = journal.durable
            self._call_those_with_work(self._core.state)
            with trio.move_on_after(self._patience(self._core.state)) as self._nap:
                await journal.grown(position)
        for id_ in list(self._places):
            self._call(id_)

    def _welcome(self, worker: WorkerId, place: _Place) -> None:
        """Work may have come up, or be about to open, between the worker's question and its waiting."""
        state = self._core.state
        if worker in state.revoked or self._has_work(state, worker, place):
            self._call(worker)
        self._nap.deadline = min(self._nap.deadline, trio.current_time() + self._patience(state))

    def _patience(self, state: State) -> float:
        now = self._core.now()
        time = opens_at(state, now) if self._places else None
        return LOOK_SECONDS_MAX if time is None else min(time - now, LOOK_SECONDS_MAX)

    def _call_those_with_work(self, state: State) -> None:
        for id_ in [id_ for id_ in state.revoked if id_ in self._places]:
            self._call(id_)
        queued = len(state.queued)
        for id_, place in list(self._places.items()) if queued else ():
            if not self._has_work(state, id_, place):
                continue
            self._call(id_)
            queued -= place.slots_free
            if queued <= 0:
                return

    def _has_work(self, state: State, id_: WorkerId, place: _Place) -> bool:
        """Would it be given a job if it asked now? To call it in vain could go on for ever."""
        worker = state.workers[id_]
        room = min(place.slots_free, worker.capacity - len(state.leases_of.get(id_, ())))
        is_fit = room > 0 and worker.alive and not worker.draining
        return is_fit and schedule(state, worker, self._core.now()) is not None

    def _call(self, worker: WorkerId) -> None:
        self._places.pop(worker).wake(is_called=True)
