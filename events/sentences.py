"""Each record as a sentence for people, with the names and times that the records before it told.

Words come from elsewhere (names, errors, workers' ids) and are passed on as they are: whoever shows them
makes them harmless.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from attrs import Factory, define

from events.catalog import (
    ArtifactCached,
    ArtifactDropped,
    BuildCancelled,
    BuildFailed,
    BuildForgotten,
    BuildStarted,
    BuildSucceeded,
    CoordinatorStalled,
    CoordinatorStarted,
    HeartbeatReceived,
    JobAdded,
    JobBlocked,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobQueued,
    JobReleased,
    JobReopened,
    JobReused,
    JobSucceeded,
    Record,
    SignalReceived,
    SourceDropped,
    SourcesDeclared,
    SourcesReady,
    SourceStored,
    TimePassed,
    WorkerJoined,
    WorkerLost,
    WorkerRestarted,
    WorkersHeard,
    WorkRequested,
)
from events.ids import BuildId, JobId, LeaseId, WorkerId

# Every reason code, as README.md lists them, for people.
REASONS: Mapping[str, str] = {
    "artifact-gone": "the same work was done before, but nobody holds its artifact",
    "spec-changed": "the artifact that there is under this id was made from another spec",
    "result-unknown": "a worker holds the artifact, but nobody remembers how it was made",
    "holds-result": "it says that it holds this very artifact",
    "holds-dependency": "it holds the artifact of a dependency",
    "first-come": "nobody was nearer to the job",
    "waited-for-dependency": "no holder of a dependency came in time",
    "waited-for-result": "no holder of the result came in time",
    "shared": "the same work was given out for another build",
    "silent": "nothing was heard of it for too long",
    "restarted": "it came back as a new process",
    "left": "it said that it goes",
    "evicted": "it said so",
    "worker-lost": "the worker is gone or is a new process",
    "lease-ran-out": "nothing was heard of the lease for too long",
    "never-taken": "the worker reported, but never this job",
    "handed-back": "the worker is leaving",
    "artifact-unavailable": "the worker could not fetch a dependency",
    "artifact-lost": "its last holder is gone or dropped it",
    "artifact-replaced": "its holder has another artifact of that id now",
    "build-cancelled": "the build was cancelled",
    "build-failed": "another job failed",
    "dependency-failed": "a dependency failed",
    "source-lost": "a source file of the build is gone",
}
LISTED_MAX = 5


@define
class Known:
    """What a build's records have told so far; the run of a job is its lease, worker and start."""

    name: str
    started_at: float
    names: dict[JobId, str] = Factory(dict)
    queued_at: dict[JobId, float] = Factory(dict)
    runs: dict[JobId, tuple[LeaseId, WorkerId, float]] = Factory(dict)


class Teller:
    """Says what records mean, with what it has learned from those before; forgets what State forgets.

    `names_builds`: say of which build a job is.
    """

    def __init__(self, *, names_builds: bool) -> None:
        self._names_builds = names_builds
        self._builds: dict[BuildId, Known] = {}
        # What live leases are for.
        self._leases: dict[LeaseId, str] = {}

    def learn(self, record: Record) -> None:
        """Take in what later sentences will need."""
        event = record.event
        if isinstance(event, BuildStarted):
            self._builds[event.build] = Known(event.name, record.at)
            return
        known = self._builds.get(getattr(event, "build", BuildId("")))
        if known is None:
            return
        match event:
            case BuildForgotten():
                del self._builds[event.build]
            case JobAdded():
                known.names[event.job] = event.name
            case JobQueued():
                known.queued_at[event.job] = record.at
            case JobLeased():
                known.runs[event.job] = (event.lease, event.worker, record.at)
                self._leases[event.lease] = self._job(event.build, event.job)
            case JobReleased() | JobSucceeded() | JobFailed() | JobCancelled():
                known.queued_at[event.job] = record.at
                if run := known.runs.pop(event.job, None):
                    self._leases.pop(run[0], None)
            case _:
                pass  # nothing that a later sentence needs

    def say(self, record: Record) -> str:
        """The record in a sentence."""
        event = record.event
        match event:
            case CoordinatorStarted():
                return f"a coordinator took over (version {event.version}); leases were renewed"
            case CoordinatorStalled():
                return f"the coordinator stood still for {seconds(event.seconds)}; leases were renewed"
            case TimePassed():
                return "a deadline was over"
            case WorkerRestarted():
                return f"{_worker(event.worker)} came back as a new process"
            case WorkerJoined() | HeartbeatReceived() | WorkRequested() | WorkerLost():
                return self._of_worker(event)
            case WorkersHeard():
                who = _list([_worker(worker) for worker in event.workers])
                return f"{who} reported: nothing new"
            case SourceStored():
                return f"source {_short(event.source)} was stored: {event.size} bytes"
            case SourceDropped():
                return f"source {_short(event.source)} is gone: {_why(event.reason)}"
            case ArtifactCached():
                return f"{_worker(event.worker)} holds the artifact of {self._job(None, event.job)}"
            case ArtifactDropped():
                what = f"the artifact of {self._job(None, event.job)}"
                return f"{_worker(event.worker)} no longer holds {what}: {_why(event.reason)}"
            case BuildStarted() | SourcesDeclared() | JobAdded() | SignalReceived() | SourcesReady():
                return self._of_beginning(event)
            case BuildSucceeded() | BuildFailed() | BuildCancelled() | BuildForgotten():
                return self._of_end(event, record.at)
            case JobLeased() | JobReleased() | JobSucceeded() | JobFailed():
                return self._of_run(event, record.at)
            case JobQueued() | JobBlocked() | JobCancelled() | JobReused() | JobReopened():
                return self._of_waiting(event, record.at)
            case _:
                assert_never(event)

    def _of_worker(self, event: WorkerJoined | HeartbeatReceived | WorkRequested | WorkerLost) -> str:
        who = _worker(event.worker)
        match event:
            case WorkerJoined():
                labels = "".join(f", {key}={value}" for key, value in event.labels.items())
                kind = (
                    f"{_count(event.slots, 'slot')}{labels}" if event.native else "speaking plain distbuild"
                )
                return f"{who} joined: {kind}"
            case HeartbeatReceived():
                return f"{who} reported: {'; '.join(self._reported(event))}"
            case WorkRequested():
                return f"{who} asked for work: {_count(event.slots_free, 'slot')} free"
            case WorkerLost():
                return f"{who} was lost: {_why(event.reason)}"

    def _reported(self, event: HeartbeatReceived) -> Iterator[str]:
        yield f"{_count(event.slots_free, 'slot')} free"
        if event.finished:
            yield f"ended {self._works(event.finished)}"
        if event.lost:
            lacking = [self._job(None, job) for jobs in event.lost.values() for job in jobs]
            yield f"could not fetch what it needs of {_list(lacking)}"
        if event.unreported:
            yield f"does not run {self._works(event.unreported)}, which it was given"
        if event.strays:
            yield f"speaks of {self._works(event.strays)}, not given to it"
        if event.draining:
            yield "is leaving"

    def _of_beginning(
        self, event: BuildStarted | SourcesDeclared | JobAdded | SignalReceived | SourcesReady
    ) -> str:
        match event:
            case BuildStarted():
                name = f" ({event.name})" if event.name else ""
                wishes = (", to keep going" * event.keep_going) + (", detached" * event.detached)
                return f"build {_short(event.build)}{name} was handed in: {_count(event.jobs, 'job')}{wishes}"
            case SourcesDeclared():
                return f"it is made from {_count(len(event.files), 'source file')}"
            case JobAdded():
                needs = [self._job(event.build, dep) for dep in event.deps]
                name = f"job {event.name or _short(event.job)}"
                return f"{name} was added" + (f": it needs {_list(needs)}" if needs else "")
            case SignalReceived():
                return f"the client said {event.signal}" + (f": {event.reason}" if event.reason else "")
            case SourcesReady():
                return "every source file is there: jobs may run"

    def _of_end(
        self, event: BuildSucceeded | BuildFailed | BuildCancelled | BuildForgotten, at: float
    ) -> str:
        build = f"build {_short(event.build)}"
        known = self._builds.get(event.build)
        after = f" after {seconds(at - known.started_at)}" if known else ""
        match event:
            case BuildSucceeded():
                return f"{build} succeeded{after}"
            case BuildFailed():
                return f"{build} failed{after}: {event.error}"
            case BuildCancelled():
                return f"{build} was cancelled{after}: {event.reason}"
            case BuildForgotten():
                return f"{build} was forgotten; its records stay"

    def _of_run(self, event: JobLeased | JobReleased | JobSucceeded | JobFailed, at: float) -> str:
        job = self._job(event.build, event.job)
        if isinstance(event, JobLeased):
            again = f", attempt {event.attempt}" if event.attempt > 1 else ""
            waited = self._waited(event, at)
            return f"{job} was given to {_worker(event.worker)}{again}{waited}: {_why(event.reason)}"
        where = self._ran(event.build, event.job, at)
        match event:
            case JobReleased():
                where = self._ran(event.build, event.job, at, "from")
                return f"{job} was taken back{where} and is queued again: {_why(event.reason)}"
            case JobSucceeded():
                return f"{job} succeeded{where}"
            case JobFailed():
                code = f"exit {event.exit_code}, " if event.exit_code >= 0 else ""
                return f"{job} failed{where}: {code}{event.error}"

    def _of_waiting(
        self, event: JobQueued | JobBlocked | JobCancelled | JobReused | JobReopened, at: float
    ) -> str:
        job = self._job(event.build, event.job)
        match event:
            case JobQueued():
                return f"{job} is queued{': ' if event.reason else ''}{_why(event.reason)}"
            case JobBlocked():
                return f"{job} has to wait for a dependency again: {_why(event.reason)}"
            case JobCancelled():
                return f"{job} was cancelled{self._ran(event.build, event.job, at)}: {_why(event.reason)}"
            case JobReused():
                return f"{job} was not run: the same work was done before, in lease {_short(event.lease)}"
            case JobReopened():
                return f"{job} has to run again, its artifact is needed: {_why(event.reason)}"

    def _job(self, build: BuildId | None, job: JobId) -> str:
        """`job compile`, and of which build where the story is not of one."""
        known = self._builds.get(build) if build else None
        name = known.names.get(job) if known else None
        which = f" of build {_short(build)}" if build and self._names_builds else ""
        return f"job {name or _short(job)}{which}"

    def _works(self, ids: Sequence[str]) -> str:
        return _list([self._leases.get(LeaseId(id_), f"lease {_short(id_)}") for id_ in ids])

    def _waited(self, event: JobLeased, at: float) -> str:
        known = self._builds.get(event.build)
        since = known.queued_at.get(event.job) if known else None
        return f" after {seconds(at - since)} in the queue" if since is not None else ""

    def _ran(self, build: BuildId, job: JobId, at: float, word: str = "on") -> str:
        """Where the job ran and for how long; empty if it does not."""
        known = self._builds.get(build)
        run = known.runs.get(job) if known else None
        return f" {word} {_worker(run[1])} after {seconds(at - run[2])}" if run else ""


def _why(reason: str) -> str:
    return REASONS.get(reason, reason)


def _worker(worker: WorkerId) -> str:
    return f"worker {worker.removeprefix('http://')}"


def _list(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - LISTED_MAX} more" if len(texts) > LISTED_MAX else ""
    return ", ".join(texts[:LISTED_MAX]) + more


def _short(id_: str) -> str:
    return id_[:8]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def seconds(number: float) -> str:
    """`1.5 s`."""
    return f"{max(0.0, number):.1f} s"
