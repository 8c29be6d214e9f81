"""Typed jobs for whoever asks for them: a request waits until there is one, as long as it likes.

Every request has a place of its own, longest waiting first, and only one that is there is given a lease. One
that hangs up while that is on its way to the disk hands it back.
"""

import itertools
from collections.abc import Sequence
from contextlib import suppress

import trio
from attrs import Factory, define, frozen

from coordinator.core import Coordinator
from coordinator.output import OutputStore
from events.catalog import JobAdded, JobLeased, Record
from events.commands import RequestWork, ReturnLease
from events.decide.workers import asked_for
from events.errors import Rejected
from events.ids import JobId, LeaseId, WorkerId
from events.queue import Why
from events.schedule import schedule
from events.state import Graph, State
from events.transitions import JobStatus

# A job's results may wait for others than ourselves to be done; never look less often than this.
LOOK_SECONDS = 30.0
# Of what a job printed that ran commands, in bytes of each stream.
PRINTED_BYTES_MAX = 64 << 10


@frozen(kw_only=True)
class Outcome:
    """How a dependency ended; `error` is None exactly when it succeeded.

    A typed one's result is its `stdout`, if its worker gave one. Of any other `is_cut` says whether it
    printed more.
    """

    type: str
    exit_code: int
    error: str | None
    stdout: bytes
    stderr: bytes
    is_cut: bool


@frozen(kw_only=True)
class Given:
    """A lease and all that its worker is told; `outcomes` are those of the job's dependencies, in order."""

    lease: LeaseId
    spec: JobAdded
    key: str
    outcomes: tuple[Outcome, ...]


@frozen(kw_only=True)
class _Ended:
    """Where the outcome of a dependency is to be found."""

    type: str
    lease: LeaseId
    exit_code: int
    error: str | None


@frozen(kw_only=True)
class _Leased:
    lease: LeaseId
    spec: JobAdded
    key: str
    ended: tuple[_Ended, ...]


@define(eq=False)
class _Place:
    worker: WorkerId
    types: tuple[str, ...]
    channels: tuple[str, ...]
    called: trio.Event = Factory(trio.Event)

    def would_get(self, state: State, now: float) -> bool:
        worker = state.workers.get(self.worker)
        if worker is None:
            return True  # it is told so when it asks
        offer = asked_for(worker, self.types, self.channels)
        return worker.alive and schedule(state, worker, now, offer) is not None


class Asking:
    """Where requests wait."""

    def __init__(self, core: Coordinator, outputs: OutputStore) -> None:
        self._core = core
        self._outputs = outputs
        self._numbers = itertools.count()
        self._places: dict[int, _Place] = {}

    async def dequeue(
        self, worker: WorkerId, types: tuple[str, ...], channels: tuple[str, ...], seconds: float
    ) -> Given | None:
        """The next job of these types in these channels; None if there is none for so long, or we stop.

        No `seconds` are for ever. Raises `Rejected`.
        """
        number, place = next(self._numbers), _Place(worker, types, channels)
        self._places[number] = place
        try:
            give_up_at = trio.current_time() + (seconds or float("inf"))
            while not self._core.journal.is_stopping:
                place.called = trio.Event()
                given = await self._ask(place)
                if given is not None or trio.current_time() >= give_up_at:
                    return given
                with trio.move_on_at(min(give_up_at, trio.current_time() + LOOK_SECONDS)):
                    await place.called.wait()
            return None
        finally:
            del self._places[number]

    async def call_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Call requests as jobs come up; after a stop, call them all so that they are answered."""
        task_status.started()
        journal = self._core.journal
        while not journal.is_stopping:
            position = journal.durable
            self._call_those_with_work(self._core.state)
            await journal.grown(position)  # unbounded: no job is queued without a record
        for place in self._places.values():
            place.called.set()

    def _call_those_with_work(self, state: State) -> None:
        queued = sum(
            len(state.graphs[build].queues[kind])
            for kind, rotation in state.rotation.items()
            for build in rotation
            if kind.type
        )
        for place in self._places.values() if queued else ():
            if not place.called.is_set() and place.would_get(state, self._core.now()):
                place.called.set()
                queued -= 1
                if not queued:
                    return

    async def _ask(self, place: _Place) -> Given | None:
        leased: list[_Leased] = []

        def look(state: State, records: Sequence[Record]) -> None:
            leased.extend(_leased(state, records))

        wish = RequestWork(worker=place.worker, slots_free=1, types=place.types, channels=place.channels)
        try:
            await self._core.ask(wish, look)
            return await self._given(leased[0]) if leased else None
        except BaseException:
            with suppress(Rejected):  # then it runs out
                for each in leased:
                    self._core.tell(ReturnLease(lease=each.lease))
            raise

    async def _given(self, leased: _Leased) -> Given:
        outcomes = tuple([await self._outcome(each) for each in leased.ended])
        return Given(lease=leased.lease, spec=leased.spec, key=leased.key, outcomes=outcomes)

    async def _outcome(self, ended: _Ended) -> Outcome:
        sizes = [self._outputs.readable(ended.lease, stream) for stream in ("stdout", "stderr")]
        limit = max(sizes) if ended.type else PRINTED_BYTES_MAX
        stdout = await self._outputs.read(ended.lease, "stdout", 0, limit)
        stderr = await self._outputs.read(ended.lease, "stderr", 0, limit)
        return Outcome(
            type=ended.type,
            exit_code=ended.exit_code,
            error=ended.error,
            stdout=stdout,
            stderr=stderr,
            is_cut=max(sizes) > limit,
        )


def _leased(state: State, records: Sequence[Record]) -> list[_Leased]:
    """What the request was given, by its records."""
    return [
        _Leased(
            lease=event.lease,
            spec=state.graphs[event.build].jobs[event.job].spec,
            key=state.builds[event.build].key,
            ended=tuple(
                _ended(state.graphs[event.build], dependency)
                for dependency in state.graphs[event.build].jobs[event.job].spec.deps
            ),
        )
        for event in (record.event for record in records)
        if isinstance(event, JobLeased) and event.reason != Why.SHARED
    ]


def _ended(graph: Graph, id_: JobId) -> _Ended:
    job = graph.jobs[id_]
    if job.status is JobStatus.FAILED:
        failed = graph.failures[id_]
        return _Ended(
            type=job.spec.job_type,
            lease=failed.lease,
            exit_code=failed.exit_code,
            error=failed.error or "failed",
        )
    return _Ended(type=job.spec.job_type, lease=job.lease, exit_code=0, error=None)
