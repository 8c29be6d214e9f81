"""A build as its viewer sees it: the records of its stream folded by the coordinator's own tables.

There is no second interpreter here: what a record does to a status is looked up in `events.transitions`.
A foreign coordinator tells only how jobs end; what must have happened before is then taken as given.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Self

from attrs import define, field

from clients.codec import Malformed
from clients.distbuild import Graph
from clients.live import Line
from events.transitions import BUILD_ENDED, JOB_ENDED, BuildStatus, JobStatus, as_json

_TABLES = as_json()
_JOB_MOVES = frozenset(kind for row in _TABLES["job"].values() for kind in row)
_BUILD_MOVES = frozenset(kind for row in _TABLES["build"].values() for kind in row)
# What comes before an end, in order.
_UNTOLD = {"job": ("JobQueued", "JobLeased"), "build": ("SourcesReady",)}


@define(kw_only=True)
class JobView:
    """One job; times in the coordinator's seconds since 1970, None while there is none."""

    id: str
    name: str = ""
    deps: tuple[str, ...] = ()
    status: JobStatus = JobStatus.BLOCKED
    worker: str = ""
    attempt: int = 0
    reason: str = ""
    error: str = ""
    exit_code: int | None = None
    is_reused: bool = False
    releases: int = 0
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.id[:8]

    @property
    def seconds(self) -> float:
        """How long its last attempt ran; 0 unless it ran and ended."""
        if self.is_reused or self.started_at is None or self.ended_at is None:
            return 0.0
        return max(0.0, self.ended_at - self.started_at)


@define(kw_only=True)
class BuildView:
    """One build and its jobs; `reason` says why it failed or was cancelled."""

    id: str
    name: str = ""
    is_foreign: bool = False
    status: BuildStatus = BuildStatus.UPLOADING
    reason: str = ""
    jobs_expected: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    # The last record's; a record is folded once, however often the stream brings it.
    position: int = 0
    at: float = 0.0
    jobs: dict[str, JobView] = field(factory=dict)
    counts: Counter[JobStatus] = field(factory=Counter)
    reused: int = 0
    # In the order in which they started.
    running: dict[str, JobView] = field(factory=dict)

    @classmethod
    def of_foreign(cls, build: str, graph: Graph, *, name: str, started_at: float) -> Self:
        """A build whose coordinator does not repeat what is in it."""
        view = cls(id=build, name=name, is_foreign=True, jobs_expected=len(graph.jobs), started_at=started_at)
        view.jobs = {job.id: JobView(id=job.id, name=job.name, deps=job.deps) for job in graph.jobs}
        view.counts[JobStatus.BLOCKED] = len(view.jobs)
        return view

    @property
    def has_ended(self) -> bool:
        return self.status in BUILD_ENDED

    @property
    def jobs_ended(self) -> int:
        return sum(self.counts[status] for status in JOB_ENDED)

    @property
    def jobs_total(self) -> int:
        return max(self.jobs_expected, len(self.jobs))

    @property
    def releases(self) -> int:
        """How often a job had to be given to a worker again."""
        return sum(job.releases for job in self.jobs.values())

    def fold(self, record: Line) -> JobView | None:
        """Take the record in; returns the job that it is about, None if it is about none or not new.

        Raises `Malformed` when it cannot follow what came before.
        """
        try:
            if self.is_foreign:
                for untold in self._untold(record):
                    self._fold(untold)
            elif record.position <= self.position:
                return None
            job = self._fold(record)
        except (KeyError, TypeError, ValueError) as error:
            raise Malformed(
                f"the record {record.position} ({record.type}) is not understood: {error!r}"
            ) from error
        self.position, self.at = record.position, record.at
        return job

    def _fold(self, record: Line) -> JobView | None:
        kind = record.type
        if kind in _JOB_MOVES:
            return self._move_job(self.jobs[record.fields["job"]], record)
        if kind in _BUILD_MOVES:
            self._move_build(record)
        elif kind == "BuildStarted":
            self.name, self.jobs_expected = record.fields.get("name", ""), record.fields["jobs"]
            self.started_at = record.at
        elif kind == "JobAdded":
            return self._add(record)
        return None  # what else there is changes nothing that is shown

    def _untold(self, record: Line) -> Iterator[Line]:
        of_job = record.type in _JOB_MOVES
        if not of_job and record.type not in _BUILD_MOVES:
            return
        table, before = ("job", _UNTOLD["job"]) if of_job else ("build", _UNTOLD["build"])
        for kind in before:
            status = self.jobs[record.fields["job"]].status if of_job else self.status
            if record.type not in _TABLES[table][status] and kind in _TABLES[table][status]:
                fields = {**record.fields, "worker": "", "attempt": 1}
                yield Line(position=record.position, at=record.at, type=kind, fields=fields)

    def _add(self, record: Line) -> JobView:
        job = JobView(
            id=record.fields["job"],
            name=record.fields.get("name", ""),
            deps=tuple(record.fields.get("deps", ())),
        )
        self.jobs[job.id] = job
        self.counts[job.status] += 1
        return job

    def _move_build(self, record: Line) -> None:
        self.status = BuildStatus(_next("build", self.status, record))
        self.reason = record.fields.get("error", "") or record.fields.get("reason", "")
        if self.has_ended:
            self.ended_at = record.at

    def _move_job(self, job: JobView, record: Line) -> JobView:
        self.counts[job.status] -= 1
        job.status = JobStatus(_next("job", job.status, record))
        self.counts[job.status] += 1
        self.running.pop(job.id, None)
        if job.status is JobStatus.RUNNING:
            self.running[job.id] = job
        self.reused -= job.is_reused
        _note(job, record)
        self.reused += job.is_reused
        return job


def _note(job: JobView, record: Line) -> None:
    """What the record says beside the status."""
    job.reason = record.fields.get("reason", "")
    match job.status:
        case JobStatus.BLOCKED | JobStatus.QUEUED:
            job.releases += record.type == "JobReleased"
            job.started_at = job.ended_at = None
            job.is_reused = False
            job.queued_at = record.at if job.status is JobStatus.QUEUED else None
        case JobStatus.RUNNING:
            job.worker, job.attempt = record.fields["worker"], record.fields["attempt"]
            job.started_at = record.at
        case JobStatus.SUCCEEDED | JobStatus.FAILED | JobStatus.CANCELLED:
            job.ended_at = record.at
            job.is_reused = record.type == "JobReused"
            job.error, job.exit_code = record.fields.get("error", ""), record.fields.get("exit_code")
            job.stdout_bytes = record.fields.get("stdout_bytes", 0)
            job.stderr_bytes = record.fields.get("stderr_bytes", 0)


def _next(table: str, status: str, record: Line) -> str:
    after = _TABLES[table][status].get(record.type)
    if after is None:
        raise ValueError(f"{record.type} cannot follow while the {table} is {status}")
    return after
