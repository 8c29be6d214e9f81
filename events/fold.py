"""The one interpreter: `fold` makes the state live, at start-up, in every replay tool and in every test.

No clock, no randomness, no I/O: the same records give the same state for ever. Each kind of fact changes
State in one function below; statuses change only through the tables in `events.transitions`.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from attrs import evolve

from events.catalog import (
    EVENTS,
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
    StoredFile,
    TimePassed,
    WorkerForgotten,
    WorkerJoined,
    WorkerLost,
    WorkerRestarted,
    WorkersHeard,
    WorkRequested,
)
from events.commands import Settings
from events.folding import jobs, requests, workers
from events.ids import COORDINATOR, Position, source_of
from events.model import Build, File, Outputs, Source
from events.state import Graph, State
from events.transitions import BUILD, BuildStatus, next_status

# Builds with this label have numbers.
BRANCH = "branch"

BuildMoved: TypeAlias = SourcesReady | BuildSucceeded | BuildFailed | BuildCancelled


def replay(records: Iterable[Record], state: State | None = None) -> State:
    """Fold all records onto `state`, or from nothing."""
    state = State() if state is None else state
    for record in records:
        fold(state, record)
    return state


def fold(state: State, record: Record) -> None:
    """Let one fact have its effect on `state`."""
    position, state.at, event = record
    assert record.position == state.position + 1, f"{record.position} does not follow {state.position}"
    state.position = position
    _EFFECTS[type(event)](state, event)


def _start_coordinator(state: State, event: CoordinatorStarted) -> None:
    state.epoch = event.epoch
    state.settings = Settings(
        lease_seconds=event.lease_seconds,
        worker_silence_seconds=event.worker_silence_seconds,
        job_seconds_max=event.job_seconds_max,
        cache_timeout=event.cache_timeout,
        deps_timeout=event.deps_timeout,
        losses_max=event.losses_max,
        typed_lease_seconds=event.typed_lease_seconds,
        asking_worker_seconds=event.asking_worker_seconds,
        placement=event.placement,
    )
    workers.renew_all(state)


def _start_build(state: State, event: BuildStarted) -> None:
    number = state.numbers_given + 1 if BRANCH in event.labels else 0
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
        labels=event.labels,
        priority=event.priority,
        number=number,
        spec=event.spec,
    )
    state.graphs[event.build] = Graph()
    state.active[event.build] = None
    if event.key:
        state.keys[event.key] = event.build
    if BRANCH in event.labels:
        state.numbers[number] = event.build
        state.numbers_given = number


def _move_build(state: State, event: BuildMoved) -> None:
    build = state.builds[event.build]
    status = next_status(BUILD, build.status, event, f"build {build.id}")
    if isinstance(event, SourcesReady):
        state.builds[build.id] = evolve(build, status=status)
        return
    error = event.error if isinstance(event, BuildFailed) else getattr(event, "reason", "")
    state.builds[build.id] = evolve(build, status=status, ended_at=state.at, error=error)
    del state.active[build.id]
    if state.graphs[build.id].hands_over and not isinstance(event, BuildCancelled):
        state.unkept[build.id] = None


def _prioritise_build(state: State, event: BuildPrioritised) -> None:
    build = state.builds[event.build]
    assert not build.has_ended, f"build {build.id} is {build.status} and takes no turns"
    for kind in state.graphs[build.id].queues:
        state.rotation[kind].leave(build.id, build.priority)
        state.rotation[kind].join(build.id, event.priority, state.position)
    by = max(event.request, build.prioritised_by)
    state.builds[build.id] = evolve(build, priority=event.priority, prioritised_by=by)


def _forget_build(state: State, event: BuildForgotten) -> None:
    build = state.builds.pop(event.build)
    assert build.has_ended, f"build {build.id} is {build.status} and cannot be forgotten"
    del state.graphs[event.build]
    state.keys.pop(build.key, None)
    state.numbers.pop(build.number, None)
    state.unkept.pop(build.id, None)


def _declare_sources(state: State, event: SourcesDeclared) -> None:
    state.graphs[event.build].sources.update({path: id_ for id_, path in event.files.items()})


def _store_source(state: State, event: SourceStored) -> None:
    state.sources[event.source] = Source(blob=event.blob, size=event.size)


def _drop_source(state: State, event: SourceDropped) -> None:
    state.sources.pop(event.source, None)
    for id_ in [id_ for id_, file in state.files.items() if file.source == event.source]:
        del state.files[id_]


def _store_file(state: State, event: FileStored) -> None:
    _keep_file(state, event, event.user)


def _keep_file(state: State, file: FileStored | StoredFile, user: str) -> None:
    state.sources.setdefault(source_of(file.blob), Source(blob=file.blob, size=file.size))
    state.files[file.file] = File(
        blob=file.blob,
        size=file.size,
        name=file.name,
        executable=file.executable,
        user=user,
        stored_at=state.at,
    )


def _drop_file(state: State, event: FileDropped) -> None:
    del state.files[event.file]


def _keep_outputs(state: State, event: OutputsKept) -> None:
    user = state.builds[event.build].labels.get("user", "")
    for file in event.files:
        _keep_file(state, file, user)
    files = tuple([file.file for file in event.files])
    state.graphs[event.build].outputs = Outputs(files=files, error=event.error)
    del state.unkept[event.build]


def _forget_results(state: State, event: ResultsForgotten) -> None:
    for digest, job in event.results.items():
        state.results.pop((job, digest), None)
        workers.drop(state, COORDINATOR, job)


def _nothing(
    _state: State,
    _event: SignalReceived | TimePassed | WorkerRestarted | ContainerFailed | HealthCheckFailed,
) -> None:
    """Inputs that are recorded for their own sake; what follows from them follows them."""


# A table, because a `match` over so many types would cost as much as what most facts do.
_EFFECTS: dict[type[Event], Callable[[State, Any], None]] = {
    CoordinatorStarted: _start_coordinator,
    CoordinatorStalled: lambda state, _event: workers.renew_all(state),
    TimePassed: _nothing,
    WorkerJoined: workers.join,
    WorkerRestarted: _nothing,
    HeartbeatReceived: workers.report,
    WorkersHeard: workers.hear,
    WorkRequested: workers.ask,
    LeaseHeard: jobs.hear_lease,
    WorkerLost: workers.lose,
    WorkerForgotten: workers.forget,
    SourceStored: _store_source,
    SourceDropped: _drop_source,
    FileStored: _store_file,
    FileDropped: _drop_file,
    OutputsKept: _keep_outputs,
    ArtifactCached: lambda state, event: workers.hold(state, event.worker, event.job, event.digest),
    ArtifactDropped: lambda state, event: workers.drop(state, event.worker, event.job),
    ResultsForgotten: _forget_results,
    BuildStarted: _start_build,
    BuildPrioritised: _prioritise_build,
    SourcesDeclared: _declare_sources,
    JobAdded: jobs.add,
    SignalReceived: _nothing,
    SourcesReady: _move_build,
    BuildSucceeded: _move_build,
    BuildFailed: _move_build,
    BuildCancelled: _move_build,
    BuildForgotten: _forget_build,
    JobQueued: jobs.queue,
    JobBlocked: jobs.block,
    JobLeased: jobs.lease,
    ContainerStarted: jobs.contain,
    ContainerFailed: _nothing,
    HealthCheckFailed: _nothing,
    JobReleased: jobs.release,
    JobSucceeded: jobs.succeed,
    JobFailed: jobs.fail,
    JobCancelled: jobs.cancel,
    JobReused: jobs.reuse,
    JobReopened: jobs.reopen,
    RequestLogged: requests.log,
    RequestPublished: requests.publish,
    RequestFinished: requests.finish,
}
assert _EFFECTS.keys() == set(EVENTS.values()), "every event needs its effect, even if it has none"
