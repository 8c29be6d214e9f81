"""Each time a job was run or spared, with what it had waited for: the end of what, and whose slot.

`runs.py` lists what ran; this tells why it ran just then, which takes State and a look at every record.
"""

from collections.abc import Iterable
from typing import TypeAlias

from attrs import define

from events.catalog import (
    HeartbeatReceived,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobQueued,
    JobReleased,
    JobReopened,
    JobReused,
    JobSucceeded,
    LeaseHeard,
    Record,
    SourcesReady,
    WorkerLost,
)
from events.fold import fold
from events.hindsight.benches import Bench
from events.ids import BuildId, JobId, LeaseId, Position, WorkerId
from events.state import State

Ended: TypeAlias = JobSucceeded | JobFailed | JobReleased | JobCancelled


@define(eq=False)
class Attempt:
    """A job's time on a worker, as one build sees it; times in seconds since 1970, None until they come.

    `because`: what queued it (`sources-ready`, `dependency`, `artifact-lost`, or the reason of the release
    before); `after`: the attempt whose end that was. `slot_after`: the attempt that had the slot until
    then, if it had to wait for one. `begun_at`: it had a slot; a worker may hold more than it has slots
    for. `result`: running, succeeded, failed, released, cancelled, or reused: then it did not run.
    `answered`: that is its worker's word.
    """

    build: BuildId
    job: JobId
    position: Position
    worker: WorkerId = WorkerId("")
    lease: LeaseId = LeaseId("")
    number: int = 0
    reason: str = ""
    because: str = ""
    after: "Attempt | None" = None
    slot_after: "Attempt | None" = None
    queued_at: float = 0.0
    leased_at: float = 0.0
    begun_at: float | None = None
    ended_at: float | None = None
    end_position: Position | None = None
    result: str = "running"
    error: str = ""
    exit_code: int = 0
    answered: bool = False

    def lasted_until(self, now: float) -> float:
        """When it ended, or `now`."""
        return now if self.ended_at is None else self.ended_at

    def seconds(self, now: float) -> float:
        """For how long it had a slot, up to its end or `now`."""
        return 0.0 if self.begun_at is None else self.lasted_until(now) - self.begun_at


class Attempts:
    """Looks on as records are folded; `found` has all that began, or were running, since, in order."""

    def __init__(self, state: State) -> None:
        """`state` is where to begin, and is what the records are folded onto."""
        self.found: list[Attempt] = []
        # When the jobs of each build might run.
        self.ready_at: dict[BuildId, float] = {}
        self._state = state
        self._live: dict[tuple[BuildId, JobId], Attempt] = {}
        self._benches: dict[WorkerId, Bench] = {}
        self._holders: dict[LeaseId, list[Attempt]] = {}
        self._ended: dict[LeaseId, Attempt] = {}
        # What queued a job that waits for a worker.
        self._queued: dict[tuple[BuildId, JobId], tuple[str, Attempt | None]] = {}
        self._begin()
        for lease in state.leases.values():
            for build in lease.builds:
                job = state.graphs[build].jobs[lease.job]
                self._lease(build, job.id, lease.id, lease.worker, job.attempt, job.note, state.position)

    def fold(self, group: Iterable[Record]) -> None:
        """Fold the records of one command, and see what they tell."""
        self._begin()
        for record in group:
            fold(self._state, record)
            self._see(record)

    def _begin(self) -> None:
        """What is known within one command."""
        self._because = "dependency"
        self._last: dict[BuildId, Attempt] = {}
        self._finished: frozenset[LeaseId] = frozenset()

    def _see(self, record: Record) -> None:
        event, position = record.event, record.position
        match event:
            case JobLeased(build=build, job=job, lease=lease, worker=worker, attempt=number, reason=reason):
                self._lease(build, job, lease, worker, number, reason, position)
            case JobSucceeded() | JobFailed() | JobReleased() | JobCancelled():
                self._end(event, position, record.at)
            case JobQueued(build=build, job=job):
                self._queued[build, job] = self._because, self._last.get(build)
            case JobReused(build=build, job=job):
                self._reuse(build, job, position, record.at)
            case HeartbeatReceived(finished=finished, lost=lost):
                self._finished = frozenset(finished) - lost.keys()
            case LeaseHeard(lease=lease, said="answered"):
                self._finished = frozenset({lease})
            case SourcesReady(build=build):
                self._because = "sources-ready"
                self.ready_at[build] = record.at
            case WorkerLost() | JobReopened():
                self._because = "artifact-lost"
            case _:
                pass  # moves no job

    def _lease(
        self,
        build: BuildId,
        job: JobId,
        lease: LeaseId,
        worker: WorkerId,
        number: int,
        reason: str,
        position: Position,
    ) -> None:
        because, after = self._queued.pop((build, job), ("dependency", None))
        known = self._state.graphs[build].jobs[job]
        attempt = Attempt(build, job, position, worker, lease, number, reason, because, after)
        attempt.queued_at, attempt.leased_at = known.queued_at, known.started_at
        self.found.append(attempt)
        self._live[build, job] = attempt
        others = self._holders.setdefault(lease, [])
        others.append(attempt)
        if len(others) == 1:
            self._sit(attempt)
        else:  # one execution serves them all
            attempt.begun_at, attempt.slot_after = others[0].begun_at, others[0].slot_after

    def _sit(self, attempt: Attempt) -> None:
        bench = self._benches.setdefault(attempt.worker, Bench())
        if bench.sit(attempt.lease, self._slots(attempt.worker)):
            attempt.begun_at = attempt.leased_at
            before = bench.predecessor(attempt.queued_at)
            attempt.slot_after = self._ended.get(before) if before else None

    def _rise(self, attempt: Attempt, at: float) -> None:
        """The lease has ended: its slot goes to who waits for it."""
        for other in self._holders.pop(attempt.lease):
            other.begun_at = at if other.begun_at is None else other.begun_at
        self._ended[attempt.lease] = attempt
        following = self._benches[attempt.worker].rise(attempt.lease, self._slots(attempt.worker), at)
        for other in self._holders[following] if following else ():
            other.begun_at, other.slot_after = at, attempt

    def _slots(self, id_: WorkerId) -> int:
        """One that is asking has as many as it asks for."""
        worker = self._state.workers[id_]
        return worker.capacity if worker.asking else worker.slots

    def _end(self, event: Ended, position: Position, at: float) -> None:
        attempt = self._live.pop((event.build, event.job), None)
        if attempt is None:
            return  # it was not running when it was cancelled
        attempt.ended_at, attempt.end_position = at, position
        attempt.answered = attempt.lease in self._finished
        match event:
            case JobSucceeded():
                attempt.result = "succeeded"
            case JobFailed():
                attempt.result, attempt.error, attempt.exit_code = "failed", event.error, event.exit_code
            case JobReleased():
                attempt.result, attempt.error = "released", event.reason
                self._queued[event.build, event.job] = event.reason, attempt
            case JobCancelled():
                attempt.result, attempt.error = "cancelled", event.reason
        if attempt.lease not in self._state.leases:
            self._rise(attempt, at)
        self._last[event.build] = attempt

    def _reuse(self, build: BuildId, job: JobId, position: Position, at: float) -> None:
        """Nobody ran it; who waited for it goes on from there."""
        self._queued.pop((build, job), None)
        after = self._last.get(build)
        spared = Attempt(build, job, position, because=self._because, after=after, result="reused")
        spared.queued_at = spared.leased_at = spared.begun_at = spared.ended_at = at
        spared.end_position = position
        self.found.append(spared)
        self._last[build] = spared
