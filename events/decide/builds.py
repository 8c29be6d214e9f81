"""Decisions about builds: start, upload done, cancel, forget."""

from collections.abc import Iterator
from itertools import islice

from events.catalog import (
    BuildCancelled,
    BuildForgotten,
    BuildPrioritised,
    BuildStarted,
    Event,
    JobAdded,
    SignalReceived,
    SourcesDeclared,
    SourcesReady,
)
from events.commands import CancelBuild, FinishUpload, ForgetBuild, NewJob, PrioritiseBuild, StartBuild
from events.containers import ENGINE
from events.decide.context import Context
from events.decide.jobs import cancel_unfinished, conclude, is_ready, settle
from events.errors import BAD_GRAPH, BUILD_ENDED, MALFORMED, SOURCES_MISSING, Rejected
from events.graphs import BadGraph, check
from events.ids import BuildId
from events.state import State
from events.transitions import BuildStatus

# Source paths in one record, so that no record grows with the build.
PATHS_PER_RECORD = 500
# Missing ids named in one refusal.
IDS_NAMED = 20
# They go with the build wherever it is listed.
LABELS_MAX, LABEL_CHARS_MAX = 32, 256
PRIORITY_MAX = 1_000_000


def start(state: State, command: StartBuild, context: Context) -> Iterator[Event]:
    """A client's graph becomes a build. Its jobs wait until the upload of its sources is done."""
    if command.key and command.key in state.keys:
        return
    _check(state, command)
    build = BuildId(context.new_id(20))
    yield BuildStarted(
        build=build,
        name=command.name,
        jobs=len(command.jobs),
        key=command.key,
        keep_going=command.keep_going,
        detached=command.detached,
        labels=command.labels,
        priority=command.priority,
        spec=command.spec,
    )
    files = iter(command.sources.items())
    while page := dict(islice(files, PATHS_PER_RECORD)):
        yield SourcesDeclared(build=build, files=page)
    for job in command.jobs:
        yield JobAdded(
            build=build,
            job=job.id,
            name=job.name,
            inputs=job.inputs,
            deps=job.deps,
            commands=job.cmds,
            timeout_seconds=job.timeout_seconds,
            outputs=job.outputs,
            container=job.container,
            needs=_needs(job),
            job_type=job.job_type,
            channel=job.channel,
            args=job.args,
            after_failure=job.after_failure,
            same_as=job.same_as,
        )
    if command.at_once:
        yield from finish_upload(state, FinishUpload(build=build))


def prioritise(state: State, command: PrioritiseBuild) -> Iterator[Event]:
    """Serve the build earlier or later. A request that is older than the one that did so last is over."""
    build = state.build(command.build)
    _check_priority(command.priority)
    if build.has_ended:
        raise Rejected(BUILD_ENDED, f"build {build.id} has {build.status}")
    if command.request and command.request <= build.prioritised_by:
        return
    if command.request or command.priority != build.priority:
        yield BuildPrioritised(build=build.id, priority=command.priority, request=command.request)


def _needs(job: NewJob) -> tuple[str, ...]:
    """Who names an image needs an engine, be it said or not."""
    is_implied = job.container is not None and ENGINE not in job.needs
    return (*job.needs, ENGINE) if is_implied else job.needs


def finish_upload(state: State, command: FinishUpload) -> Iterator[Event]:
    """All sources are said to be here. Said again, it changes nothing."""
    build = state.build(command.build)
    if build.has_ended:
        raise Rejected(BUILD_ENDED, f"build {build.id} has {build.status}")
    missing = state.missing_sources(build.id)
    if missing:
        named = ", ".join(missing[:IDS_NAMED])
        raise Rejected(SOURCES_MISSING, f"{len(missing)} source files were not uploaded: {named}")
    yield SignalReceived(build=build.id, signal="upload-done")
    if build.status is BuildStatus.UPLOADING:
        yield SourcesReady(build=build.id)
        jobs = state.graphs[build.id].jobs
        yield from settle(state, build.id, [job.id for job in jobs.values() if is_ready(job)])
        yield from conclude(state, build.id)


def cancel(state: State, command: CancelBuild) -> Iterator[Event]:
    """Stop everything. Cancelling a cancelled build again changes nothing."""
    build = state.build(command.build)
    if build.status is BuildStatus.CANCELLED:
        return
    if build.has_ended:
        raise Rejected(BUILD_ENDED, f"build {build.id} has {build.status} and cannot be cancelled")
    yield SignalReceived(build=build.id, signal="cancel", reason=command.reason)
    yield from cancel_unfinished(state, build.id, "build-cancelled")
    yield BuildCancelled(build=build.id, reason=command.reason)


def forget(state: State, command: ForgetBuild) -> Iterator[Event]:
    """Let an ended build go from the state; its records stay in the log."""
    build = state.build(command.build)
    if not build.has_ended:
        raise Rejected(BUILD_ENDED, f"build {build.id} is {build.status} and cannot be forgotten yet")
    yield BuildForgotten(build=build.id)


def new_job(added: JobAdded) -> NewJob:
    """What a job of a build was before it was added."""
    return NewJob(
        id=added.job,
        name=added.name,
        inputs=added.inputs,
        deps=added.deps,
        cmds=added.commands,
        timeout_seconds=added.timeout_seconds,
        outputs=added.outputs,
        container=added.container,
        needs=added.needs,
        job_type=added.job_type,
        channel=added.channel,
        args=added.args,
        after_failure=added.after_failure,
        same_as=added.same_as,
    )


def _check_priority(priority: int) -> None:
    if abs(priority) > PRIORITY_MAX:
        raise Rejected(MALFORMED, f"a priority is a whole number from {-PRIORITY_MAX} to {PRIORITY_MAX}")


def _check(state: State, command: StartBuild) -> None:
    _check_priority(command.priority)
    texts = [text for pair in command.labels.items() for text in pair]
    if len(command.labels) > LABELS_MAX or any(len(text) > LABEL_CHARS_MAX for text in texts):
        raise Rejected(MALFORMED, f"a build has at most {LABELS_MAX} labels of {LABEL_CHARS_MAX} characters")
    for job in command.jobs:
        _check_type(job)
    missing = [id_ for id_ in command.sources if id_ not in state.sources] if command.at_once else []
    if missing:
        raise Rejected(SOURCES_MISSING, f"there are no source files {', '.join(missing[:IDS_NAMED])}")
    try:
        check(command.jobs, {str(id_): path for id_, path in command.sources.items()})
    except BadGraph as error:
        raise Rejected(BAD_GRAPH, "; ".join(error.problems)) from error


def _check_type(job: NewJob) -> None:
    name = f"job {job.name or job.id}"
    if job.job_type and (job.cmds or job.inputs):
        raise Rejected(BAD_GRAPH, f"{name} has a type, and so neither commands nor inputs")
    if not job.job_type and (job.channel or job.args):
        raise Rejected(BAD_GRAPH, f"{name} has a channel or args, but no type")
    if not job.job_type and job.after_failure:
        raise Rejected(BAD_GRAPH, f"{name} runs commands: it needs what its dependencies make")
