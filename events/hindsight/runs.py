"""What ran: each time a worker was given a job, with how that ended, drawn from the log."""

from collections.abc import Iterable, Iterator

from attrs import Factory, define, evolve, frozen

from events.catalog import (
    BuildCancelled,
    BuildFailed,
    BuildForgotten,
    BuildStarted,
    BuildSucceeded,
    Command,
    JobAdded,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobReleased,
    JobSucceeded,
    Record,
)
from events.ids import BuildId, JobId, LeaseId, Position, WorkerId

RUNNING = "running"


@frozen(kw_only=True)
class Run:
    """A lease of a job, seen from one build; `position` is that of its `JobLeased`.

    `result` is running, succeeded, failed, cancelled or released (given up; the job was queued again);
    `error` says why where it did not succeed. Times in seconds since 1970, `ended_at` None while it runs.
    """

    position: Position
    build: BuildId
    job: JobId
    name: str
    lease: LeaseId
    worker: WorkerId
    attempt: int
    reason: str
    commands: tuple[Command, ...]
    started_at: float
    ended_at: float | None = None
    result: str = RUNNING
    exit_code: int | None = None
    error: str = ""


@define
class _Jobs:
    added: dict[JobId, JobAdded] = Factory(dict)
    live: dict[JobId, Run] = Factory(dict)


def runs(records: Iterable[Record]) -> Iterator[Run]:
    """Runs in the order of their ends, then those that still run; builds are read from their first record."""
    builds: dict[BuildId, _Jobs] = {}
    for record in records:
        event = record.event
        match event:
            case BuildStarted():
                builds[event.build] = _Jobs()
            case JobAdded():
                builds[event.build].added[event.job] = event
            case JobLeased():
                jobs = builds[event.build]
                jobs.live[event.job] = _begun(record, event, jobs.added[event.job])
            case JobSucceeded() | JobFailed() | JobReleased() | JobCancelled():
                run = builds[event.build].live.pop(event.job, None)
                if run is not None:
                    yield _ended(run, record.at, event)
            case BuildSucceeded() | BuildFailed() | BuildCancelled() | BuildForgotten():
                builds.pop(event.build, None)
            case _:
                pass  # nothing runs or ends
    for jobs in builds.values():
        yield from jobs.live.values()


def _begun(record: Record, event: JobLeased, job: JobAdded) -> Run:
    return Run(
        position=record.position,
        build=event.build,
        job=event.job,
        name=job.name,
        lease=event.lease,
        worker=event.worker,
        attempt=event.attempt,
        reason=event.reason,
        commands=job.commands,
        started_at=record.at,
    )


def _ended(run: Run, at: float, event: JobSucceeded | JobFailed | JobReleased | JobCancelled) -> Run:
    match event:
        case JobSucceeded():
            return evolve(run, ended_at=at, result="succeeded", exit_code=0)
        case JobFailed():
            return evolve(run, ended_at=at, result="failed", exit_code=event.exit_code, error=event.error)
        case JobReleased():
            return evolve(run, ended_at=at, result="released", error=event.reason)
        case JobCancelled():
            return evolve(run, ended_at=at, result="cancelled", error=event.reason)
