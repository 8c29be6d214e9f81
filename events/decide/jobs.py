"""Consequences for jobs, shared by every decider: what unblocks, is reused, ends or runs anew."""

from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import sha256

import msgspec

from events.catalog import (
    BuildFailed,
    BuildSucceeded,
    ContainerFailed,
    Event,
    JobBlocked,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobQueued,
    JobReleased,
    JobReopened,
    JobReused,
    JobSucceeded,
)
from events.commands import Result
from events.folding.jobs import LOSSES, is_loss
from events.ids import COORDINATOR, BuildId, JobId, LeaseId, SpecDigest
from events.model import Job, Lease
from events.queue import Why
from events.state import Graph, State
from events.transitions import JOB_ENDED, BuildStatus, JobStatus

# A job that is handed from worker to worker for ever, for whatever reason, fails in the end. Not so what
# serves: it goes on through as many workers as come and go.
ATTEMPTS_MAX = 20
# A typed one is given to another worker so often, and no more, whatever the settings are.
RETRIES_MAX = 2
GIVEN_UP = f"Workers running this job stopped responding more than {RETRIES_MAX} times."

_canonical = msgspec.json.Encoder().encode


def spec_digest(state: State, graph: Graph, job: Job) -> SpecDigest:
    """SHA-256 over all that the job's output depends on: commands, container, sources, dependencies.

    A job's id is its client's word; this is what we saw. A result is reused only where both agree.
    """
    spec = job.spec
    inputs = [(path, state.sources[graph.sources[path]].blob) for path in spec.inputs]
    deps = [(id_, _made_by(graph, id_)) for id_ in spec.deps]
    commands = [(c.exec, c.environ, c.working_directory, c.cat_template, c.cat_output) for c in spec.commands]
    container = (spec.container,) if spec.container else ()
    typed = ((spec.job_type, spec.channel, spec.args),) if spec.job_type else ()
    return SpecDigest(sha256(_canonical((spec.job, commands, inputs, deps, *container, *typed))).hexdigest())


def _made_by(graph: Graph, dependency: JobId) -> str:
    """What the dependency's outcome depends on; a failure is like no other."""
    failed = graph.failures.get(dependency) if graph.failures else None
    return graph.jobs[dependency].digest if failed is None else failed.lease


def settle(state: State, build: BuildId, ready: Iterable[JobId]) -> Iterator[Event]:
    """Queue or reuse each job that waits for nothing, and in turn those that this frees."""
    graph = state.graphs[build]
    waiting = deque(ready)
    while waiting:
        job = graph.jobs[waiting.popleft()]
        if not is_ready(job):
            continue  # what failed before it has ended the build
        failed = _failed_before(state, build, job) if job.spec.same_as else None
        if failed is not None:
            yield failed
            yield from _end_dependents(state, build, job.id)
            waiting.extend(freed_by(graph, job.id))
            continue
        digest = spec_digest(state, graph, job)
        reused = _reused(state, build, job.id, digest)
        if reused is not None:
            yield reused
            waiting.extend(freed_by(graph, job.id))
            continue
        is_known = (job.id, digest) in state.results
        reason = "artifact-gone" if is_known else _why_unknown(state, job, digest)
        yield JobQueued(build=build, job=job.id, digest=digest, reason=reason)
        shared = state.running.get((job.id, digest))
        if shared is not None:
            yield share(state, build, state.leases[shared])


def _failed_before(state: State, build: BuildId, job: Job) -> JobFailed | None:
    """What became of the very job in the build that it is from, if it failed there."""
    origin = state.graphs.get(job.spec.same_as)
    failed = origin.failures.get(job.id) if origin else None
    if failed is None:
        return None
    return JobFailed(
        build=build, job=job.id, lease=failed.lease, exit_code=failed.exit_code, error=failed.error
    )


def _why_unknown(state: State, job: Job, digest: SpecDigest) -> str:
    """Why nobody remembers a result of this work although there may be an artifact of its id."""
    if job.id not in state.holders:
        return ""
    return "spec-changed" if state.locate(job.id, digest) is None else "result-unknown"


def reuse(state: State, id_: JobId) -> Iterator[Event]:
    """The artifact of a job turned up: builds in which it is queued need not run it again."""
    for build in list(state.queued.get(id_, ())):
        graph = state.graphs[build]
        digest = graph.jobs[id_].digest
        reused = _reused(state, build, id_, digest)
        if reused is not None:
            yield reused
            yield from settle(state, build, freed_by(graph, id_))
            yield from conclude(state, build)


def _reused(state: State, build: BuildId, job: JobId, digest: SpecDigest) -> JobReused | None:
    """What makes running the job unnecessary; None if nobody did this work, or its artifact is gone."""
    known = state.results.get((job, digest))
    if known is None or state.locate(job, digest) is None:
        return None
    return JobReused(
        build=build,
        job=job,
        digest=digest,
        lease=known.lease,
        stdout_bytes=known.stdout_bytes,
        stderr_bytes=known.stderr_bytes,
    )


def freed_by(graph: Graph, job: JobId) -> list[JobId]:
    """Dependents of a job that wait for nothing any more."""
    return [id_ for id_ in graph.dependents.get(job, ()) if is_ready(graph.jobs[id_])]


def is_ready(job: Job) -> bool:
    return job.status is JobStatus.BLOCKED and job.waits_for == 0


def share(state: State, build: BuildId, lease: Lease) -> JobLeased:
    """One execution serves every build that wants the very same job; each counts its own attempts."""
    return JobLeased(
        build=build,
        job=lease.job,
        lease=lease.id,
        worker=lease.worker,
        attempt=state.graphs[build].jobs[lease.job].attempt + 1,
        reason=Why.SHARED,
    )


def finish(state: State, id_: LeaseId, result: Result) -> Iterator[Event]:
    """The worker's word on a lease, for each build that waits for it; nothing if the lease has ended."""
    lease = state.leases.get(id_)
    if lease is None:
        return
    holder = COORDINATOR if id_ in state.heard else lease.worker
    before = state.holders.get(lease.job, {}).get(holder)
    for build in lease.builds:
        if result.error is None:
            yield from _succeed(state, build, lease, result)
        elif restarts_left(state, build, lease.job):
            yield _failed_container(build, lease, result)
            yield from _release(state, build, lease, "container-failed")
        else:
            yield from _fail(state, build, lease, result.exit_code, result.error, result)
    if result.error is None and before not in (None, lease.digest):
        yield from artifacts_lost(state, [lease.job], "artifact-replaced")


def release(state: State, id_: LeaseId, reason: str) -> Iterator[Event]:
    """The lease ends without an answer, if it has not ended yet.

    A job that keeps losing its workers fails in the end: it may be what kills them.
    """
    lease = state.leases.get(id_)
    if lease is None:
        return
    if id_ in state.heard and _is_given_up(state, lease, reason):
        for build in lease.builds:
            yield from _fail(state, build, lease, -1, GIVEN_UP)
        return
    for build in lease.builds:
        job = state.graphs[build].jobs[lease.job]
        hopeless = _why_hopeless(state, build, job, reason)
        if hopeless:
            yield from _fail(state, build, lease, -1, f"{hopeless}, last: {reason} ({lease.worker})")
            continue
        yield from _release(state, build, lease, reason)


def fail_unhealthy(state: State, lease: Lease, error: str) -> Iterator[Event]:
    """The job does badly although it runs: it is begun anew as often as it may be, and then has failed."""
    for build in lease.builds:
        if restarts_left(state, build, lease.job):
            yield from _release(state, build, lease, "health-failed")
        else:
            yield from _fail(state, build, lease, -1, f"unhealthy: {error}")


def restarts_left(state: State, build: BuildId, job: JobId) -> int:
    """How often the job may still be begun anew."""
    graph = state.graphs[build]
    container = graph.jobs[job].spec.container
    return container.restarts - graph.restarts.get(job, 0) if container else 0


def _release(state: State, build: BuildId, lease: Lease, reason: str) -> Iterator[Event]:
    yield JobReleased(build=build, job=lease.job, lease=lease.id, reason=reason)
    if state.graphs[build].jobs[lease.job].waits_for:
        yield JobBlocked(build=build, job=lease.job, reason="artifact-lost")


def _failed_container(build: BuildId, lease: Lease, result: Result) -> ContainerFailed:
    assert result.error is not None, "it failed"
    return ContainerFailed(
        build=build,
        job=lease.job,
        lease=lease.id,
        exit_code=result.exit_code,
        error=result.error,
        stdout_bytes=result.stdout_bytes,
        stderr_bytes=result.stderr_bytes,
        fetch_seconds=result.fetch_seconds,
    )


def _is_given_up(state: State, lease: Lease, reason: str) -> bool:
    """Was this the last retry of a typed job? It is one job for all builds that wait for it."""
    losses = max(state.graphs[build].jobs[lease.job].losses for build in lease.builds)
    return reason in LOSSES and losses >= RETRIES_MAX


def _why_hopeless(state: State, build: BuildId, job: Job, reason: str) -> str:
    """Why the job is not tried again after this release; empty if it is."""
    if job.spec.job_type:
        return ""  # those who hang up before they are given it do not count
    is_lost = is_loss(state.graphs[build], job, reason, state.at)
    if reason in LOSSES and not is_lost:
        return ""  # it had served for long
    if is_lost and job.losses + 1 >= state.settings.losses_max:
        return f"lost its worker {job.losses + 1} times"
    serves = job.spec.container is not None and not job.spec.commands
    return f"was tried {job.attempt} times" if job.attempt >= ATTEMPTS_MAX and not serves else ""


def artifacts_lost(state: State, lost: Iterable[JobId], reason: str) -> Iterator[Event]:
    """Jobs whose last artifact is gone run again in each build that still needs it."""
    lost = list(lost)
    for build in list(state.active) if lost else ():
        graph = state.graphs[build]
        yield from _reopen(state, build, [job for job in lost if job in graph.jobs], reason)


def cancel_unfinished(state: State, build: BuildId, reason: str) -> Iterator[Event]:
    """Every job of the build that has not ended is cancelled."""
    for job in list(state.graphs[build].jobs.values()):
        if job.status not in JOB_ENDED:
            yield JobCancelled(build=build, job=job.id, reason=reason)


def conclude(state: State, build: BuildId) -> Iterator[Event]:
    """End the build if its last job has ended."""
    tally = state.graphs[build].tally
    if any(count for status, count in tally.items() if status not in JOB_ENDED):
        return
    if state.builds[build].status is not BuildStatus.RUNNING:
        return
    if tally[JobStatus.FAILED]:
        yield BuildFailed(build=build, error=_first_failure(state.graphs[build]))
    else:
        yield BuildSucceeded(build=build)


def _succeed(state: State, build: BuildId, lease: Lease, result: Result) -> Iterator[Event]:
    yield JobSucceeded(
        build=build,
        job=lease.job,
        lease=lease.id,
        stdout_bytes=result.stdout_bytes,
        stderr_bytes=result.stderr_bytes,
        fetch_seconds=result.fetch_seconds,
    )
    yield from settle(state, build, freed_by(state.graphs[build], lease.job))
    yield from conclude(state, build)


def _fail(
    state: State, build: BuildId, lease: Lease, exit_code: int, error: str, result: Result | None = None
) -> Iterator[Event]:
    yield JobFailed(
        build=build,
        job=lease.job,
        lease=lease.id,
        exit_code=exit_code,
        error=error,
        stdout_bytes=result.stdout_bytes if result else 0,
        stderr_bytes=result.stderr_bytes if result else 0,
        fetch_seconds=result.fetch_seconds if result else 0.0,
    )
    yield from _end_dependents(state, build, lease.job)
    yield from settle(state, build, freed_by(state.graphs[build], lease.job))
    yield from conclude(state, build)


def _end_dependents(state: State, build: BuildId, job: JobId) -> Iterator[Event]:
    """What cannot go on after a failure: those that waited for its success, or all if that ends the build."""
    if state.builds[build].keep_going:
        yield from _cancel_dependents(state, build, job)
    else:
        yield from cancel_unfinished(state, build, "build-failed")


def _cancel_dependents(state: State, build: BuildId, job: JobId) -> Iterator[Event]:
    graph = state.graphs[build]
    doomed = deque(id_ for id_ in graph.dependents.get(job, ()) if not graph.jobs[id_].spec.after_failure)
    while doomed:
        id_ = doomed.popleft()
        if graph.jobs[id_].status not in JOB_ENDED:
            yield JobCancelled(build=build, job=id_, reason="dependency-failed")
            doomed.extend(graph.dependents.get(id_, ()))


def _reopen(state: State, build: BuildId, lost: Iterable[JobId], reason: str) -> Iterator[Event]:
    graph = state.graphs[build]
    pending, reopened = deque(lost), []
    while pending:
        job = graph.jobs[pending.popleft()]
        if not _has_to_run_again(state, graph, job):
            continue
        for id_ in graph.dependents.get(job.id, ()):
            if graph.jobs[id_].status is JobStatus.QUEUED:
                yield JobBlocked(build=build, job=id_, reason=reason)
        yield JobReopened(build=build, job=job.id, reason=reason)
        reopened.append(job.id)
        pending.extend(job.spec.deps)
    yield from settle(state, build, [id_ for id_ in reopened if is_ready(graph.jobs[id_])])


def _has_to_run_again(state: State, graph: Graph, job: Job) -> bool:
    """Its artifact is gone, and is a result of the build or is needed by a job that has not ended."""
    if job.status is not JobStatus.SUCCEEDED or state.locate(job.id, job.digest) is not None:
        return False
    dependents = graph.dependents.get(job.id, ())
    return not dependents or any(graph.jobs[id_].status not in JOB_ENDED for id_ in dependents)


def _first_failure(graph: Graph) -> str:
    failure = next(iter(graph.failures.values()))
    name = graph.jobs[failure.job].spec.name or failure.job
    return f"job {name} failed: {failure.error}"
