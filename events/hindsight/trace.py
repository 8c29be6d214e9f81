"""A log as a trace in the format that Chrome and Perfetto draw: a process per worker, a thread per slot.

Each lease is a slice on the slot that it had; builds, and the waits of jobs in the queue, are spans of the
coordinator's process; what befell workers and coordinators are instants. Times are in microseconds since
the first record.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from attrs import Factory, define

from events.catalog import (
    BuildCancelled,
    BuildFailed,
    BuildStarted,
    BuildSucceeded,
    CoordinatorStalled,
    CoordinatorStarted,
    JobAdded,
    JobBlocked,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobQueued,
    JobReleased,
    JobReused,
    JobSucceeded,
    Record,
    WorkerLost,
)
from events.hindsight.trace_format import TraceEvent, instant, named, slice_, span
from events.hindsight.words import because, seconds, short
from events.ids import BuildId, JobId, LeaseId, Position, WorkerId

Ended: TypeAlias = JobSucceeded | JobFailed | JobReleased | JobCancelled

COORDINATOR = 1
_OUTCOMES = {
    JobSucceeded: "succeeded",
    JobFailed: "failed",
    JobReleased: "released",
    JobCancelled: "cancelled",
}


@define(eq=False)
class _Lease:
    """A slice that is not at its end yet; `builds` are those that still wait for it."""

    worker: WorkerId
    slot: int
    name: str
    at: float
    args: TraceEvent
    builds: set[BuildId] = Factory(set)


@define(eq=False)
class _Worker:
    """Its number, and what its slots hold: the lowest free one is taken, and a new one if none is free."""

    pid: int
    slots: list[LeaseId | None] = Factory(list)


@define(eq=False)
class _Build:
    name: str
    names: dict[JobId, str] = Factory(dict)
    queued: dict[JobId, tuple[str, float]] = Factory(dict)
    leases: dict[JobId, LeaseId] = Factory(dict)


def trace(records: Iterable[Record]) -> Iterator[TraceEvent]:
    """The events of the records, in an order in which those of each thread follow each other."""
    tracer = Tracer()
    for record in records:
        yield from tracer.take(record)
    yield from tracer.close()


class Tracer:
    """Takes in records one after the other; what has not ended in the end is cut off there."""

    def __init__(self) -> None:
        self._origin: float | None = None
        self._now = 0.0
        self._builds: dict[BuildId, _Build] = {}
        self._workers: dict[WorkerId, _Worker] = {}
        self._leases: dict[LeaseId, _Lease] = {}
        self._waits = 0

    def take(self, record: Record) -> Iterator[TraceEvent]:
        if self._origin is None:
            self._origin = record.at
            yield named("process_name", COORDINATOR, 0, "coordinator")
        self._now = record.at
        event = record.event
        match event:
            case CoordinatorStarted(version=version):
                yield self._instant(f"coordinator started (version {version})", COORDINATOR, "g", record)
            case CoordinatorStalled(seconds=stalled):
                yield self._instant(
                    f"coordinator stood still for {seconds(stalled)}", COORDINATOR, "g", record
                )
            case WorkerLost() if event.worker in self._workers:
                name, pid = f"worker lost: {because(event.reason)}", self._workers[event.worker].pid
                yield self._instant(name, pid, "p", record)
            case BuildStarted():
                self._builds[event.build] = _Build(event.name)
                yield self._span("b", "build", event.build, self._called(event.build), jobs=event.jobs)
            case JobAdded() if event.build in self._builds:
                self._builds[event.build].names[event.job] = event.name
            case JobQueued() | JobBlocked() | JobReused():
                yield from self._wait(event)
            case JobLeased():
                yield from self._begin(record, event)
            case JobSucceeded() | JobFailed() | JobReleased() | JobCancelled():
                yield from self._end(record, event)
            case BuildSucceeded() | BuildFailed() | BuildCancelled():
                yield from self._end_build(event)
            case _:
                pass  # nothing to be drawn

    def close(self) -> Iterator[TraceEvent]:
        """Cut off what goes on."""
        for id_ in list(self._leases):
            yield self._slice(id_)
        for build in list(self._builds):
            yield from self._forget(build, "running")

    def _wait(self, event: JobQueued | JobBlocked | JobReused) -> Iterator[TraceEvent]:
        yield from self._unqueue(event.build, event.job)
        if isinstance(event, JobQueued):
            yield from self._queue(event.build, event.job)

    def _queue(self, build: BuildId, job: JobId) -> Iterator[TraceEvent]:
        known = self._builds.get(build)
        if known is not None:
            self._waits += 1
            known.queued[job] = (str(self._waits), self._now)
            yield self._span("b", "queue", str(self._waits), self._job(build, job))

    def _unqueue(self, build: BuildId, job: JobId) -> Iterator[TraceEvent]:
        known = self._builds.get(build)
        if known is not None and job in known.queued:
            id_, _ = known.queued.pop(job)
            yield self._span("e", "queue", id_, self._job(build, job))

    def _begin(self, record: Record, event: JobLeased) -> Iterator[TraceEvent]:
        known = self._builds.get(event.build)
        if known is None:
            return  # its beginning is not among the records
        _, queued_at = known.queued.get(event.job, ("", self._now))
        yield from self._unqueue(event.build, event.job)
        known.leases[event.job] = event.lease
        if event.lease not in self._leases:
            yield from self._place(record.position, event, waited=self._now - queued_at)
        self._leases[event.lease].builds.add(event.build)

    def _place(self, position: Position, event: JobLeased, *, waited: float) -> Iterator[TraceEvent]:
        worker = self._workers.get(event.worker)
        if worker is None:
            worker = self._workers[event.worker] = _Worker(COORDINATOR + 1 + len(self._workers))
            yield named("process_name", worker.pid, 0, f"worker {event.worker.removeprefix('http://')}")
        slot = next((n for n, held in enumerate(worker.slots) if held is None), len(worker.slots))
        if slot == len(worker.slots):
            worker.slots.append(None)
            yield named("thread_name", worker.pid, slot + 1, f"slot {slot + 1}")
        worker.slots[slot] = event.lease
        args = {
            "build": self._called(event.build),
            "attempt": event.attempt,
            "reason": event.reason,
            "waited_seconds": round(waited, 6),
            "record": position,
        }
        self._leases[event.lease] = _Lease(
            event.worker, slot, self._job(event.build, event.job), self._now, args
        )

    def _end(self, record: Record, event: Ended) -> Iterator[TraceEvent]:
        """For one build; the slice ends with the last that waited for it. The worker's word counts most."""
        yield from self._unqueue(event.build, event.job)
        known = self._builds.get(event.build)
        id_ = known.leases.pop(event.job, None) if known else None
        lease = self._leases.get(id_) if id_ else None
        if lease is None or id_ is None:
            return
        lease.builds.discard(event.build)
        if "outcome" not in lease.args or not isinstance(event, JobCancelled):
            lease.args |= {"outcome": _OUTCOMES[type(event)], **_details(event)}
        if not lease.builds:
            lease.args["end_record"] = record.position
            yield self._slice(id_)
        if isinstance(event, JobReleased):
            yield from self._queue(event.build, event.job)

    def _end_build(self, event: BuildSucceeded | BuildFailed | BuildCancelled) -> Iterator[TraceEvent]:
        if event.build in self._builds:
            yield from self._forget(event.build, type(event).__name__.removeprefix("Build").lower())

    def _forget(self, build: BuildId, outcome: str) -> Iterator[TraceEvent]:
        for job in list(self._builds[build].queued):
            yield from self._unqueue(build, job)
        yield self._span("e", "build", build, self._called(build), outcome=outcome)
        del self._builds[build]

    def _slice(self, id_: LeaseId) -> TraceEvent:
        lease = self._leases.pop(id_)
        worker = self._workers[lease.worker]
        worker.slots[lease.slot] = None
        begin, args = self._microseconds(lease.at), {"outcome": "running", **lease.args}
        took = self._microseconds(self._now) - begin
        return slice_(lease.name, worker.pid, lease.slot + 1, begin, took, args)

    def _span(self, phase: str, category: str, id_: str, name: str, **args: object) -> TraceEvent:
        return span(phase, category, id_, name, COORDINATOR, self._microseconds(self._now), args)

    def _instant(self, name: str, pid: int, scope: str, record: Record) -> TraceEvent:
        return instant(name, pid, scope, self._microseconds(record.at), {"record": record.position})

    def _microseconds(self, at: float) -> int:
        return round((at - (self._origin or 0.0)) * 1e6)

    def _called(self, build: BuildId) -> str:
        known = self._builds.get(build)
        return f"{known.name} {short(build)}" if known and known.name else f"build {short(build)}"

    def _job(self, build: BuildId, job: JobId) -> str:
        return self._builds[build].names.get(job) or short(job)


def _details(event: Ended) -> TraceEvent:
    match event:
        case JobSucceeded():
            return {"exit_code": 0, **_fetched(event)}
        case JobFailed():
            return {"exit_code": event.exit_code, "error": event.error, **_fetched(event)}
        case JobReleased() | JobCancelled():
            return {"because": because(event.reason)}


def _fetched(event: JobSucceeded | JobFailed) -> TraceEvent:
    return {"fetch_seconds": event.fetch_seconds} if event.fetch_seconds else {}
