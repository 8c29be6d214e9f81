"""Commands recovered from the log, so that every decision can be made again.

With State as it was before them the records of a command tell the command, up to what made no difference:
`execute` gives those very records again. What was refused, or was no news, left no records, and nothing is
missing without it.
"""

from collections import deque
from collections.abc import Sequence

from attrs import fields, frozen

from events.catalog import (
    ArtifactCached,
    ArtifactDropped,
    BuildForgotten,
    BuildPrioritised,
    BuildStarted,
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
    JobFailed,
    JobLeased,
    JobReleased,
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
    SourceStored,
    StoredFile,
    TimePassed,
    WorkerForgotten,
    WorkerJoined,
    WorkerLost,
    WorkersHeard,
    WorkRequested,
)
from events.commands import (
    AnswerLease,
    CancelBuild,
    Command,
    DropFile,
    DropSource,
    FinishRequest,
    FinishUpload,
    ForgetBuild,
    ForgetResults,
    ForgetWorker,
    HearLease,
    Heartbeat,
    HearWorkers,
    KeepOutputs,
    LogRequest,
    NewFile,
    NewJob,
    PrioritiseBuild,
    PublishRequest,
    RegisterWorker,
    ReportContainer,
    ReportUnhealthy,
    RequestWork,
    Result,
    ResumeAfterStall,
    ReturnLease,
    Settings,
    StartBuild,
    StartCoordinator,
    StoreFile,
    StoreSource,
    Tick,
)
from events.decide import Context
from events.decide.builds import new_job
from events.ids import JobId, LeaseId, SourceId, WorkerId
from events.queue import Why
from events.state import State

# Stands for what a result was for, or lacked, where that was of no consequence.
NO_JOB = JobId("")


class Unrecoverable(ValueError):
    """These records are not those of one command, from its first to its last."""


@frozen
class Given:
    """A command as its records tell it, and the time and ids that it drew from outside."""

    command: Command
    at: float
    ids: tuple[str, ...]

    def context(self) -> Context:
        """What it was decided with; who draws more ids than were drawn then gets some that never were."""
        return Context(self.at, _Drawn(self.ids))


def recover(state: State, records: Sequence[Record]) -> Given:
    """The command of these records, all that it left; `state` is that before them.

    Raises `Unrecoverable`.
    """
    events = [record.event for record in records]
    try:
        return Given(_command(state, events), records[0].at, tuple(_ids(events)))
    except LookupError as error:
        raise Unrecoverable(f"record {records[0].position} speaks of {error}, which is not there") from error


def _command(state: State, events: Sequence[Event]) -> Command:
    match events[0]:
        case WorkerJoined(worker=worker, labels=labels, asking=True):
            return RegisterWorker(worker=worker, labels=labels)
        case HeartbeatReceived() | WorkerJoined():
            return _heartbeat(state, events)
        case WorkersHeard(workers=workers):
            return HearWorkers(workers=workers)
        case ContainerStarted(lease=lease, container=container, ports=ports):
            return ReportContainer(lease=lease, container=container, ports=ports)
        case HealthCheckFailed(lease=lease, error=error):
            return ReportUnhealthy(lease=lease, error=error)
        case WorkRequested(worker=worker, slots_free=slots_free, types=types, channels=channels):
            return RequestWork(worker=worker, slots_free=slots_free, types=types, channels=channels)
        case LeaseHeard() as heard:
            return _of_lease(state, heard, events)
        case TimePassed():
            return Tick()
        case BuildStarted() as started:
            return _start(started, events)
        case SignalReceived(build=build, signal="cancel", reason=reason):
            return CancelBuild(build=build, reason=reason)
        case SignalReceived(build=build):
            return FinishUpload(build=build)
        case BuildPrioritised(build=build, priority=priority, request=request):
            return PrioritiseBuild(build=build, priority=priority, request=request)
        case RequestLogged(action=action, who=who, what=what):
            return LogRequest(action=action, who=who, what=what)
        case RequestPublished(request=request):
            return PublishRequest(request=request)
        case RequestFinished(request=request, answer=answer):
            return FinishRequest(request=request, answer=answer)
        case BuildForgotten(build=build):
            return ForgetBuild(build=build)
        case WorkerForgotten(worker=worker):
            return ForgetWorker(worker=worker)
        case ResultsForgotten(results=results):
            return ForgetResults(results=results)
        case SourceStored(source=source, blob=blob, size=size):
            return StoreSource(source=source, blob=blob, size=size)
        case SourceDropped(source=source, reason=reason):
            return DropSource(source=source, reason=reason)
        case FileStored() as stored:
            return StoreFile(file=_new_file(stored), user=stored.user)
        case FileDropped(file=file, reason=reason):
            return DropFile(file=file, reason=reason)
        case OutputsKept(build=build, files=files, error=error):
            return KeepOutputs(build=build, files=tuple(map(_new_file, files)), error=error)
        case CoordinatorStarted() as took_over:
            settings = {name.name: getattr(took_over, name.name) for name in fields(Settings)}
            return StartCoordinator(version=took_over.version, settings=Settings(**settings))
        case CoordinatorStalled(seconds=seconds):
            return ResumeAfterStall(seconds=seconds)
        case _:
            return _heartbeat(state, events)  # of a worker that restarted


def _ids(events: Sequence[Event]) -> list[str]:
    """What was drawn, in order."""
    ids: list[str] = []
    for event in events:
        if isinstance(event, BuildStarted):
            ids.append(event.build)
        elif isinstance(event, JobLeased) and event.reason != Why.SHARED:
            ids.append(event.lease)
        elif isinstance(event, FileStored):
            ids.append(event.file.replace("-", ""))
        elif isinstance(event, OutputsKept):
            ids += [file.file.replace("-", "") for file in event.files]
    return ids


class _Drawn:
    """Gives ids again as they were drawn."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._left = deque(ids)
        self._more = 0

    def __call__(self, size: int) -> str:
        if self._left and len(self._left[0]) == 2 * size:
            return self._left.popleft()
        self._more += 1
        return f"{self._more:x}".rjust(2 * size, "f")


def _start(started: BuildStarted, events: Sequence[Event]) -> StartBuild:
    sources: dict[SourceId, str] = {}
    jobs: list[NewJob] = []
    for event in events:
        if isinstance(event, SourcesDeclared):
            sources.update(event.files)
        elif isinstance(event, JobAdded):
            jobs.append(new_job(event))
    return StartBuild(
        jobs=tuple(jobs),
        sources=sources,
        name=started.name,
        key=started.key,
        keep_going=started.keep_going,
        detached=started.detached,
        labels=started.labels,
        priority=started.priority,
        spec=started.spec,
    )


def _of_lease(state: State, heard: LeaseHeard, events: Sequence[Event]) -> Command:
    """What was said of a lease, by what followed."""
    if heard.said == "alive":
        return HearLease(lease=heard.lease)
    if heard.said == "handed-back":
        return ReturnLease(lease=heard.lease)
    answers = [each for each in events if isinstance(each, JobSucceeded | JobFailed)]
    answer = next((each for each in answers if each.lease == heard.lease), None)
    return AnswerLease(
        lease=heard.lease, result=_result(state.leases[heard.lease].job, heard.lease, (), answer)
    )


def _new_file(stored: FileStored | StoredFile) -> NewFile:
    return NewFile(blob=stored.blob, size=stored.size, name=stored.name, executable=stored.executable)


def _heartbeat(state: State, events: Sequence[Event]) -> Heartbeat:
    """The report was told as the difference from what State said; with State, it is whole again."""
    heard = next((event for event in events if isinstance(event, HeartbeatReceived)), None)
    if heard is None:
        raise Unrecoverable(f"no command begins with {type(events[0]).__name__}")
    joined = next((event for event in events if isinstance(event, WorkerJoined)), None)
    is_new = any(isinstance(event, WorkerLost) for event in events[: events.index(heard)])
    live = {} if is_new else state.leases_of.get(heard.worker, {})
    known = joined or state.workers[heard.worker]
    silent_on = {*heard.unreported, *heard.finished}
    running = tuple((id_ if known.native else job) for job, id_ in live.items() if id_ not in silent_on)
    cached = [event for event in events if isinstance(event, ArtifactCached)]
    return Heartbeat(
        worker=heard.worker,
        slots_free=heard.slots_free,
        running=None if heard.mute else running,
        finished=(*_results(state, heard, events), *_strays(heard)),
        added=tuple(event.job for event in cached),
        digests={event.job: event.digest for event in cached if event.digest},
        dropped=tuple(_evicted(events)),
        session=known.session,
        slots=joined.slots if joined else 0,
        labels=joined.labels if joined else {},
        native=known.native,
        draining=heard.draining,
        leaving=heard.leaving,
    )


def _results(state: State, heard: HeartbeatReceived, events: Sequence[Event]) -> list[Result]:
    """What the worker said of its leases, which is what became of them.

    If nothing did, another result had ended the lease before, and what this one said is not told.
    """
    answers: dict[LeaseId, JobSucceeded | JobFailed | ContainerFailed] = {}
    for event in events:
        if isinstance(event, JobSucceeded | JobFailed | ContainerFailed):
            answers.setdefault(event.lease, event)
    lost = heard.lost or _lost(heard.worker, events)
    return [
        _result(state.leases[id_].job, id_, lost.get(id_, ()), answers.get(id_)) for id_ in heard.finished
    ]


def _result(
    job: JobId,
    lease: LeaseId,
    lost: tuple[JobId, ...],
    answer: JobSucceeded | JobFailed | ContainerFailed | None,
) -> Result:
    if lost:
        return Result(job=job, lease=lease, exit_code=-1, error="", lost=lost)
    if answer is None:
        return Result(job=job, lease=lease)
    failed = None if isinstance(answer, JobSucceeded) else answer
    return Result(
        job=job,
        lease=lease,
        exit_code=failed.exit_code if failed else 0,
        error=failed.error if failed else None,
        stdout_bytes=answer.stdout_bytes,
        stderr_bytes=answer.stderr_bytes,
        fetch_seconds=answer.fetch_seconds,
    )


def _lost(worker: WorkerId, events: Sequence[Event]) -> dict[LeaseId, tuple[JobId, ...]]:
    """What could not be fetched, as far as older records tell: that of which a holder was known."""
    lost: dict[LeaseId, tuple[JobId, ...]] = {}
    dropped: list[JobId] = []
    for event in events:
        match event:
            case ArtifactDropped(job=job, reason=reason) if reason == f"not to be had by {worker}":
                dropped.append(job)
            case JobReleased(lease=lease, reason="artifact-unavailable") if lease not in lost:
                lost[lease] = tuple(dropped) or (NO_JOB,)
                dropped.clear()
            case _:
                pass
    return lost


def _strays(heard: HeartbeatReceived) -> list[Result]:
    """Names that the worker spoke of as run or as ended; no matter which, they were not given to it."""
    return [Result(job=NO_JOB, lease=LeaseId(name)) for name in heard.strays]


def _evicted(events: Sequence[Event]) -> list[JobId]:
    return [event.job for event in events if isinstance(event, ArtifactDropped) and event.reason == "evicted"]
