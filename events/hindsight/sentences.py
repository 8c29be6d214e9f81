"""Each record as a sentence for people, with the names and times that the records before it told."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from attrs import Factory, define

from events.catalog import (
    ArtifactCached,
    ArtifactDropped,
    BuildCancelled,
    BuildFailed,
    BuildForgotten,
    BuildPrioritised,
    BuildStarted,
    BuildSucceeded,
    ContainerFailed,
    ContainerStarted,
    CoordinatorStalled,
    CoordinatorStarted,
    Event,
    FileDropped,
    FileStored,
    HealthCheckFailed,
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
    LeaseHeard,
    OutputsKept,
    Record,
    RequestFinished,
    RequestLogged,
    RequestPublished,
    ResultsForgotten,
    SignalReceived,
    SourceDropped,
    SourcesDeclared,
    SourcesReady,
    SourceStored,
    TimePassed,
    WorkerForgotten,
    WorkerJoined,
    WorkerLost,
    WorkerRestarted,
    WorkersHeard,
    WorkRequested,
)
from events.hindsight.words import because, count, listed, seconds, short, worker
from events.ids import BuildId, JobId, LeaseId, WorkerId


@define
class Known:
    """What a build's records have told so far; the run of a job is its lease, worker and start."""

    name: str
    started_at: float
    names: dict[JobId, str] = Factory(dict)
    queued_at: dict[JobId, float] = Factory(dict)
    runs: dict[JobId, tuple[LeaseId, WorkerId, float]] = Factory(dict)


_SAID = {"alive": "still runs", "answered": "ended", "handed-back": "never received"}


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
                return f"{worker(event.worker)} came back as a new process"
            case WorkerJoined() | HeartbeatReceived() | WorkRequested() | WorkerLost():
                return self._of_worker(event)
            case LeaseHeard():
                return f"{worker(event.worker)} {_SAID[event.said]} {self._works([event.lease])}"
            case WorkerForgotten():
                return f"{worker(event.worker)} was forgotten; its records stay"
            case ResultsForgotten():
                jobs = [self._job(None, job) for job in event.results.values()]
                return f"the results of {listed(jobs)} were forgotten: nobody holds them or asked for them"
            case WorkersHeard():
                who = listed([worker(id_) for id_ in event.workers])
                return f"{who} reported: nothing new"
            case SourceStored():
                return f"source {short(event.source)} was stored: {event.size} bytes"
            case SourceDropped():
                return f"source {short(event.source)} is gone: {because(event.reason)}"
            case FileStored():
                name = f" ({event.name})" if event.name else ""
                return f"file {event.file}{name} was stored: {event.size} bytes"
            case FileDropped():
                return f"file {event.file} was dropped: {because(event.reason)}"
            case OutputsKept():
                many = len(event.files) != 1
                said = f"{count(len(event.files), 'output')} of the build {'are' if many else 'is'} kept"
                return f"{said}; {event.error}" if event.error else said
            case ArtifactCached():
                return f"{worker(event.worker)} holds the artifact of {self._job(None, event.job)}"
            case ArtifactDropped():
                what = f"the artifact of {self._job(None, event.job)}"
                return f"{worker(event.worker)} no longer holds {what}: {because(event.reason)}"
            case RequestLogged():
                return f"{event.who} asked, as request {event.request}, for {event.action}: {event.what}"
            case RequestPublished():
                return f"request {event.request} was published"
            case RequestFinished():
                return f"request {event.request} was finished: {event.answer}"
            case BuildPrioritised():
                asked = f", as request {event.request} asked" if event.request else ""
                return f"build {short(event.build)} has priority {event.priority} now{asked}"
            case BuildStarted() | SourcesDeclared() | JobAdded() | SignalReceived() | SourcesReady():
                return self._of_beginning(event)
            case BuildSucceeded() | BuildFailed() | BuildCancelled() | BuildForgotten():
                return self._of_end(event, record.at)
            case ContainerStarted() | ContainerFailed() | HealthCheckFailed():
                return self._of_container(event)
            case JobLeased() | JobReleased() | JobSucceeded() | JobFailed():
                return self._of_run(event, record.at)
            case JobQueued() | JobBlocked() | JobCancelled() | JobReused() | JobReopened():
                return self._of_waiting(event, record.at)
            case _:
                assert_never(event)

    def is_running(self, build: BuildId, job: JobId) -> bool:
        """Does the job run, as far as the records so far tell?"""
        known = self._builds.get(build)
        return known is not None and job in known.runs

    def say_of_many(self, events: Sequence[Event], number: int) -> str:
        """So many records like these, which are the first of them, in a sentence."""
        names = [self._name(event) for event in events]
        more = f" and {number - len(names)} more" if number > len(names) else ""
        match events[0]:
            case JobAdded():
                what = "were added"
            case JobQueued(reason=reason):
                what = f"are queued{': ' if reason else ''}{because(reason)}"
            case JobReused():
                what = "were not run: the same work was done before"
            case JobCancelled(reason=reason):
                what = f"were cancelled: {because(reason)}"
            case event:
                raise AssertionError(f"{event} is told by itself")
        return f"{count(number, 'job')} {what}: {', '.join(names)}{more}"

    def _name(self, event: Event) -> str:
        build, job = getattr(event, "build", None), getattr(event, "job", JobId(""))
        known = self._builds.get(build) if build else None
        return (known.names.get(job) if known else None) or short(job)

    def _of_worker(self, event: WorkerJoined | HeartbeatReceived | WorkRequested | WorkerLost) -> str:
        who = worker(event.worker)
        match event:
            case WorkerJoined():
                labels = "".join(f", {key}={value}" for key, value in event.labels.items())
                kind = f"{count(event.slots, 'slot')}{labels}" if event.native else "speaking plain distbuild"
                kind = f"to ask for typed jobs{labels}" if event.asking else kind
                return f"{who} joined: {kind}"
            case HeartbeatReceived():
                return f"{who} reported: {'; '.join(self._reported(event))}"
            case WorkRequested(types=types) if types:
                return f"{who} asked for a job of type {listed(types)}"
            case WorkRequested():
                return f"{who} asked for work: {count(event.slots_free, 'slot')} free"
            case WorkerLost():
                return f"{who} was lost: {because(event.reason)}"

    def _reported(self, event: HeartbeatReceived) -> Iterator[str]:
        yield f"{count(event.slots_free, 'slot')} free"
        if event.finished:
            yield f"ended {self._works(event.finished)}"
        if event.lost:
            lacking = [self._job(None, job) for jobs in event.lost.values() for job in jobs]
            yield f"could not fetch what it needs of {listed(lacking)}"
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
                wishes += f", with priority {event.priority}" if event.priority else ""
                return f"build {short(event.build)}{name} was handed in: {count(event.jobs, 'job')}{wishes}"
            case SourcesDeclared():
                return f"it is made from {count(len(event.files), 'source file')}"
            case JobAdded():
                needs = [self._job(event.build, dep) for dep in event.deps]
                name = f"job {event.name or short(event.job)}"
                return f"{name} was added" + (f": it needs {listed(needs)}" if needs else "")
            case SignalReceived():
                return f"the client said {event.signal}" + (f": {event.reason}" if event.reason else "")
            case SourcesReady():
                return "every source file is there: jobs may run"

    def _of_end(
        self, event: BuildSucceeded | BuildFailed | BuildCancelled | BuildForgotten, at: float
    ) -> str:
        build = f"build {short(event.build)}"
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
            return f"{job} was given to {worker(event.worker)}{again}{waited}: {because(event.reason)}"
        where = self._ran(event.build, event.job, at)
        match event:
            case JobReleased():
                where = self._ran(event.build, event.job, at, "from")
                return f"{job} was taken back{where} and is queued again: {because(event.reason)}"
            case JobSucceeded():
                return f"{job} succeeded{where}{_fetched(event)}"
            case JobFailed():
                code = f"exit {event.exit_code}, " if event.exit_code >= 0 else ""
                return f"{job} failed{where}: {code}{event.error}"

    def _of_container(self, event: ContainerStarted | ContainerFailed | HealthCheckFailed) -> str:
        job = self._job(event.build, event.job)
        match event:
            case ContainerStarted():
                ports = listed([f"{port} at {place}" for port, place in event.ports.items()])
                return f"{job} runs in container {event.container[:12]}{', ' if ports else ''}{ports}"
            case ContainerFailed():
                code = f"exit {event.exit_code}, " if event.exit_code >= 0 else ""
                return f"{job} failed and is to be begun anew: {code}{event.error}"
            case HealthCheckFailed():
                return f"{job} runs, but its health check failed: {event.error}"

    def _of_waiting(
        self, event: JobQueued | JobBlocked | JobCancelled | JobReused | JobReopened, at: float
    ) -> str:
        job = self._job(event.build, event.job)
        match event:
            case JobQueued():
                return f"{job} is queued{': ' if event.reason else ''}{because(event.reason)}"
            case JobBlocked():
                return f"{job} has to wait for a dependency again: {because(event.reason)}"
            case JobCancelled():
                return f"{job} was cancelled{self._ran(event.build, event.job, at)}: {because(event.reason)}"
            case JobReused():
                return f"{job} was not run: the same work was done before, in lease {short(event.lease)}"
            case JobReopened():
                return f"{job} has to run again, its artifact is needed: {because(event.reason)}"

    def _job(self, build: BuildId | None, job: JobId) -> str:
        """`job compile`, and of which build where the story is not of one."""
        known = [self._builds[build]] if build in self._builds else []
        known = known if build else list(reversed(self._builds.values()))
        name = next((each.names[job] for each in known if each.names.get(job)), None)
        which = f" of build {short(build)}" if build and self._names_builds else ""
        return f"job {name or short(job)}{which}"

    def _works(self, ids: Sequence[str]) -> str:
        return listed([self._leases.get(LeaseId(id_), f"lease {short(id_)}") for id_ in ids])

    def _waited(self, event: JobLeased, at: float) -> str:
        known = self._builds.get(event.build)
        since = known.queued_at.get(event.job) if known else None
        if since is None:
            return ""
        return f" after {seconds(at - since)} in the queue" if at > since else " at once"

    def _ran(self, build: BuildId, job: JobId, at: float, word: str = "on") -> str:
        """Where the job ran and for how long; empty if it does not."""
        known = self._builds.get(build)
        run = known.runs.get(job) if known else None
        return f" {word} {worker(run[1])} after {seconds(at - run[2])}" if run else ""


def _fetched(event: JobSucceeded | JobFailed) -> str:
    return f", {seconds(event.fetch_seconds)} of it fetching" if event.fetch_seconds else ""
