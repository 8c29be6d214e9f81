"""A log as it was at one position: what those want to know who explain what happened then.

Nothing beyond the position is ever looked at, so what is said of the past is what was true then.
"""

from functools import cached_property
from typing import Any, TypeVar

from attrs import frozen

from events.catalog import (
    BuildStarted,
    CoordinatorStarted,
    HeartbeatReceived,
    JobLeased,
    Record,
    WorkerJoined,
    WorkRequested,
)
from events.commands import Settings
from events.hindsight.why.handed import Handed
from events.ids import BEGINNING, BuildId, JobId, LeaseId, Position, WorkerId
from events.log import Subject
from events.query import MOVING, Move, Query, Searchable, saying
from events.transitions import JOB, JobStatus

E = TypeVar("E")

# The type alone decides the new status.
STATUS_AFTER = {cls.__name__: status for row in JOB.values() for cls, status in row.items()}
DONE = JobStatus.SUCCEEDED
ENDS = ("BuildSucceeded", "BuildFailed", "BuildCancelled")


@frozen
class Attendant:
    """A worker that was there: how it joined, its last word, and how many leases it was given since."""

    joined: WorkerJoined
    report: Record
    given: int

    @property
    def id(self) -> WorkerId:
        return self.joined.worker

    @property
    def room(self) -> int:
        """How many jobs more it could have been given."""
        event = self.report.event
        if not isinstance(event, HeartbeatReceived | WorkRequested):
            return 0  # what it has comes with the next record
        owed = len(event.unreported) if isinstance(event, HeartbeatReceived) else 0
        return max(0, event.slots_free - owed - self.given)

    @property
    def is_draining(self) -> bool:
        return isinstance(self.report.event, HeartbeatReceived) and self.report.event.draining


class Then:
    """What a log said up to and with the record at `upto`."""

    def __init__(self, log: Searchable, upto: Position) -> None:
        self.upto = upto
        self._log = log
        self._graphs: dict[BuildId, Handed] = {}
        self._moves: dict[BuildId, list[Move]] = {}
        self._last_moves: dict[BuildId, dict[JobId, Move]] = {}

    def as_of(self, position: Position) -> "Then":
        """What the log said still earlier."""
        return Then(self._log, min(self.upto, position))

    def find(self, *, upto: Position | None = None, **asked: Any) -> list[Record]:
        """What a `Query` finds."""
        end = self.upto if upto is None else min(self.upto, upto)
        return self._log.search(Query(upto=end, **asked))

    def first(self, **asked: Any) -> Record | None:
        return next(iter(self.find(limit=1, **asked)), None)

    def last(self, **asked: Any) -> Record | None:
        return self.first(newest_first=True, **asked)

    @cached_property
    def at(self) -> float:
        """The time of its last record, in seconds since 1970."""
        record = self.last()
        return record.at if record else 0.0

    def settings(self, upto: Position) -> Settings:
        """What the operator had chosen by then, as far as it decides who has a job, and from when on."""
        record = self.last(types=("CoordinatorStarted",), upto=upto)
        if record is None:
            return Settings()
        event = told(record, CoordinatorStarted)
        return Settings(
            cache_timeout=event.cache_timeout, deps_timeout=event.deps_timeout, placement=event.placement
        )

    def started(self, build: BuildId) -> Record | None:
        """The first record of a build."""
        return self.first(subject=Subject.build(build))

    def has_ended(self, started: Record) -> bool:
        """Had the build ended that this record started?"""
        build = told(started, BuildStarted).build
        return self.first(types=ENDS, text=saying("build", build), after=started.position) is not None

    def graph(self, build: BuildId) -> Handed:
        if build not in self._graphs:
            self._graphs[build] = Handed(self._log, build, self.upto)
        return self._graphs[build]

    def history(self, build: BuildId, job: JobId) -> list[Record]:
        """Every change of the job's status."""
        if build in self._moves:
            return [self.record(position) for position, _, moved in self._moves[build] if moved == job]
        return self.find(subject=Subject.build(build), jobs=(job,), types=MOVING)

    def record(self, position: Position) -> Record:
        [record] = self.find(after=Position(position - 1), upto=position)
        return record

    def last_moves(self, build: BuildId) -> dict[JobId, Move]:
        """What moved each job of the build last; those that never moved are blocked."""
        if build not in self._moves:
            self._moves[build] = self._log.moves(build, self.upto)
            self._last_moves[build] = {move[2]: move for move in self._moves[build]}
        return self._last_moves[build]

    def status(self, build: BuildId, job: JobId) -> JobStatus:
        move = self.last_moves(build).get(job)
        return STATUS_AFTER[move[1]] if move else JobStatus.BLOCKED

    def active(self) -> list[BuildId]:
        """The builds that had not ended, oldest first."""
        active: dict[BuildId, None] = {}
        for record in self.find(types=("BuildStarted", *ENDS)):
            build: BuildId = record.event.build  # type: ignore[union-attr]  # all of these name one
            if isinstance(record.event, BuildStarted):
                active[build] = None
            else:
                active.pop(build, None)
        return list(active)

    def workers(self) -> list[Attendant]:
        """Who was there, in the order in which they came."""
        there: dict[WorkerId, Record] = {}
        for record in self.find(types=("WorkerJoined", "WorkerLost")):
            worker: WorkerId = record.event.worker  # type: ignore[union-attr]  # both name one
            if isinstance(record.event, WorkerJoined):
                there[worker] = record
            else:
                there.pop(worker, None)
        return [self._attendant(worker, joined) for worker, joined in there.items()]

    def last_report(self, worker: WorkerId, **asked: Any) -> Record | None:
        """Its last report of its own."""
        types = ("HeartbeatReceived", "WorkRequested")
        return self.last(subject=Subject.worker(worker), types=types, **asked)

    def last_word(self, worker: WorkerId, **asked: Any) -> Record | None:
        """When it was last heard of, be it that it only said what was known."""
        report = self.last_report(worker, **asked)
        after = report.position if report else asked.pop("after", BEGINNING)
        together = {**asked, "types": ("WorkersHeard",), "text": f'"{worker}"', "after": after}
        return self.last(**together) or report

    def lease(self, lease: LeaseId, upto: Position | None = None) -> Record | None:
        """The first record of the lease, a `JobLeased` of the build for which it was given."""
        text = saying("lease", lease)
        newest = self.last(types=("JobLeased",), text=text, upto=upto)
        if newest is None:
            return None
        # A lease that is shared later names the same worker.
        worker = Subject.worker(told(newest, JobLeased).worker)
        return self.first(types=("JobLeased",), text=text, subject=worker) or newest

    def _attendant(self, worker: WorkerId, joined: Record) -> Attendant:
        report = self.last_report(worker, after=joined.position) or joined
        leased = self.find(subject=Subject.worker(worker), types=("JobLeased",), after=report.position)
        given = {told(record, JobLeased).lease for record in leased}
        return Attendant(told(joined, WorkerJoined), report, len(given))


def told(record: Record, cls: type[E]) -> E:
    """The record's event, which is known to be of this kind."""
    assert isinstance(record.event, cls), f"{record} is no {cls.__name__}"
    return record.event
