"""The one interpreter: `fold` makes the state live, at start-up, in every replay tool and in every test.

No clock, no randomness, no I/O: the same records give the same state for ever. Each kind of fact changes
State in one function below; statuses change only through the tables in `events.transitions`.
"""

from collections.abc import Iterable
from typing import TypeAlias, assert_never

from attrs import evolve

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
from events.commands import Settings
from events.folding import jobs, workers
from events.ids import Position
from events.model import Build, Source
from events.state import Graph, State
from events.transitions import BUILD, BuildStatus, next_status

BuildMoved: TypeAlias = SourcesReady | BuildSucceeded | BuildFailed | BuildCancelled


def replay(records: Iterable[Record], state: State | None = None) -> State:
    """Fold all records onto `state`, or from nothing."""
    state = State() if state is None else state
    for record in records:
        fold(state, record)
    return state


def fold(state: State, record: Record) -> None:
    """Let one fact have its effect on `state`. The most frequent facts stand first."""
    assert record.position == state.position + 1, f"{record.position} does not follow {state.position}"
    state.position = record.position
    state.at = record.at
    event = record.event
    match event:
        case HeartbeatReceived():
            workers.report(state, event)
        case JobLeased():
            jobs.lease(state, event)
        case JobSucceeded():
            jobs.succeed(state, event)
        case JobQueued():
            jobs.queue(state, event)
        case WorkRequested():
            workers.ask(state, event)
        case WorkersHeard():
            workers.hear(state, event)
        case JobAdded():
            jobs.add(state, event)
        case JobReused():
            jobs.reuse(state, event)
        case JobFailed():
            jobs.fail(state, event)
        case JobCancelled():
            jobs.cancel(state, event)
        case JobReleased():
            jobs.release(state, event)
        case JobBlocked():
            jobs.block(state, event)
        case JobReopened():
            jobs.reopen(state, event)
        case ArtifactCached():
            workers.hold(state, event.worker, event.job, event.digest)
        case ArtifactDropped():
            workers.drop(state, event.worker, event.job)
        case SourceStored():
            state.sources[event.source] = Source(blob=event.blob, size=event.size)
        case SourceDropped():
            state.sources.pop(event.source, None)
        case BuildStarted():
            _start_build(state, event)
        case SourcesDeclared():
            state.graphs[event.build].sources.update({path: id_ for id_, path in event.files.items()})
        case SourcesReady() | BuildSucceeded() | BuildFailed() | BuildCancelled():
            _move_build(state, event)
        case BuildForgotten():
            _forget_build(state, event)
        case WorkerJoined():
            workers.join(state, event)
        case WorkerLost():
            workers.lose(state, event)
        case WorkerForgotten():
            workers.forget(state, event)
        case ResultsForgotten():
            for digest, job in event.results.items():
                state.results.pop((job, digest), None)
        case CoordinatorStarted():
            _start_coordinator(state, event)
        case CoordinatorStalled():
            workers.renew_all(state)
        case SignalReceived() | TimePassed() | WorkerRestarted():
            pass  # inputs that are recorded for their own sake; what follows from them follows them
        case _:
            assert_never(event)


def _start_coordinator(state: State, event: CoordinatorStarted) -> None:
    state.epoch = event.epoch
    state.settings = Settings(
        lease_seconds=event.lease_seconds,
        worker_silence_seconds=event.worker_silence_seconds,
        job_seconds_max=event.job_seconds_max,
        cache_timeout=event.cache_timeout,
        deps_timeout=event.deps_timeout,
        losses_max=event.losses_max,
    )
    workers.renew_all(state)


def _start_build(state: State, event: BuildStarted) -> None:
    state.builds[event.build] = Build(
        id=event.build,
        status=BuildStatus.UPLOADING,
        name=event.name,
        key=event.key,
        job_count=event.jobs,
        keep_going=event.keep_going,
        detached=event.detached,
        position=Position(state.position),
        started_at=state.at,
    )
    state.graphs[event.build] = Graph()
    state.active[event.build] = None
    if event.key:
        state.keys[event.key] = event.build


def _move_build(state: State, event: BuildMoved) -> None:
    build = state.builds[event.build]
    status = next_status(BUILD, build.status, event, f"build {build.id}")
    if isinstance(event, SourcesReady):
        state.builds[build.id] = evolve(build, status=status)
        return
    error = event.error if isinstance(event, BuildFailed) else getattr(event, "reason", "")
    state.builds[build.id] = evolve(build, status=status, ended_at=state.at, error=error)
    del state.active[build.id]


def _forget_build(state: State, event: BuildForgotten) -> None:
    build = state.builds.pop(event.build)
    assert build.has_ended, f"build {build.id} is {build.status} and cannot be forgotten"
    del state.graphs[event.build]
    state.keys.pop(build.key, None)
