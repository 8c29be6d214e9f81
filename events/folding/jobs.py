"""What facts about jobs do to State: the job's status, its lease, its place in the queue, its dependents."""

from typing import TypeAlias

from attrs import evolve

from events.catalog import (
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
)
from events.folding import workers
from events.ids import BuildId, JobId, LeaseId, WorkerId
from events.model import Job, Lease, Result
from events.queue import ANY_WORKER, HOLDERS_MAX, Line, Why
from events.state import Graph, State
from events.transitions import JOB, JobStatus, next_status

JobMoved: TypeAlias = (
    JobQueued
    | JobBlocked
    | JobLeased
    | JobReleased
    | JobSucceeded
    | JobFailed
    | JobCancelled
    | JobReused
    | JobReopened
)

# Releases that count against the job: it may be what kills its workers.
LOSSES = frozenset({"worker-lost", "lease-ran-out", "never-taken"})


def add(state: State, event: JobAdded) -> None:
    graph = state.graphs[event.build]
    dependencies = dict.fromkeys(event.deps)
    graph.jobs[event.job] = Job(event, JobStatus.BLOCKED, len(dependencies))
    graph.tally[JobStatus.BLOCKED] += 1
    for dependency in dependencies:
        graph.dependents.setdefault(dependency, []).append(event.job)


def queue(state: State, event: JobQueued) -> None:
    graph, job, status = _move(state, event)
    job = Job(
        job.spec,
        status,
        job.waits_for,
        event.digest,
        LeaseId(""),
        WorkerId(""),
        job.attempt,
        job.losses,
        state.at,
    )
    graph.jobs[event.job] = job
    _enqueue(state, event.build, graph, job)


def block(state: State, event: JobBlocked) -> None:
    graph, job, status = _move(state, event)
    _dequeue(state, event.build, graph, job.id)
    graph.jobs[event.job] = evolve(job, status=status, note=event.reason)


def lease(state: State, event: JobLeased) -> None:
    graph, job, status = _move(state, event)
    _dequeue(state, event.build, graph, event.job)
    graph.jobs[event.job] = Job(
        job.spec,
        status,
        job.waits_for,
        job.digest,
        event.lease,
        event.worker,
        event.attempt,
        job.losses,
        job.queued_at,
        state.at,
        0.0,
        event.reason,
    )
    seconds_max = job.spec.timeout_seconds or state.settings.job_seconds_max
    shared = state.leases.get(event.lease)
    if shared is not None:
        seconds_max = max(seconds_max, shared.seconds_max)
        builds = (*shared.builds, event.build)
        state.leases[event.lease] = evolve(shared, builds=builds, seconds_max=seconds_max)
        return
    state.leases[event.lease] = Lease(
        event.lease, event.job, job.digest, event.worker, event.attempt, state.at, seconds_max, (event.build,)
    )
    state.leases_of.setdefault(event.worker, {})[event.job] = event.lease
    state.running[(event.job, job.digest)] = event.lease


def succeed(state: State, event: JobSucceeded) -> None:
    graph, job, status = _move(state, event)
    _finish(state, graph, job, status)
    state.results[(event.job, job.digest)] = Result(
        lease=event.lease, stdout_bytes=event.stdout_bytes, stderr_bytes=event.stderr_bytes
    )
    workers.hold(state, job.worker, event.job, job.digest)
    _leave_lease(state, event.build, event.lease)
    _free_dependents(graph, event.job, -1)


def fail(state: State, event: JobFailed) -> None:
    graph, job, status = _move(state, event)
    _finish(state, graph, job, status, event.error)
    graph.failures[event.job] = event
    _leave_lease(state, event.build, event.lease)


def release(state: State, event: JobReleased) -> None:
    graph, job, status = _move(state, event)
    losses = job.losses + (event.reason in LOSSES)
    graph.jobs[event.job] = evolve(
        job,
        status=status,
        lease=LeaseId(""),
        worker=WorkerId(""),
        losses=losses,
        queued_at=state.at,
        started_at=0.0,
        note=event.reason,
    )
    _leave_lease(state, event.build, event.lease, revoke=True)
    _enqueue(state, event.build, graph, graph.jobs[event.job])


def cancel(state: State, event: JobCancelled) -> None:
    graph, job, status = _move(state, event)
    if job.status is JobStatus.QUEUED:
        _dequeue(state, event.build, graph, event.job)
    elif job.status is JobStatus.RUNNING:
        _leave_lease(state, event.build, job.lease, revoke=True)
    _finish(state, graph, job, status, event.reason)


def reuse(state: State, event: JobReused) -> None:
    graph, job, status = _move(state, event)
    if job.status is JobStatus.QUEUED:
        _dequeue(state, event.build, graph, event.job)
    graph.jobs[event.job] = evolve(
        job, status=status, digest=event.digest, lease=event.lease, ended_at=state.at, note="reused"
    )
    graph.reused += 1
    _free_dependents(graph, event.job, -1)


def reopen(state: State, event: JobReopened) -> None:
    graph, job, status = _move(state, event)
    done = JobStatus.SUCCEEDED
    waits_for = sum(graph.jobs[id_].status is not done for id_ in dict.fromkeys(job.spec.deps))
    graph.jobs[event.job] = Job(
        job.spec, status, waits_for, attempt=job.attempt, losses=job.losses, note=event.reason
    )
    _free_dependents(graph, event.job, +1)


def _move(state: State, event: JobMoved) -> tuple[Graph, Job, JobStatus]:
    """Look the next status up and keep the tally; the caller puts the new job in its place."""
    graph = state.graphs[event.build]
    job = graph.jobs[event.job]
    status = next_status(JOB, job.status, event, event.job)
    graph.tally[job.status] -= 1
    graph.tally[status] += 1
    return graph, job, status


def _finish(state: State, graph: Graph, job: Job, status: JobStatus, note: str = "") -> None:
    graph.jobs[job.id] = Job(
        job.spec,
        status,
        job.waits_for,
        job.digest,
        job.lease,
        job.worker,
        job.attempt,
        job.losses,
        job.queued_at,
        job.started_at,
        state.at,
        note,
    )


def _free_dependents(graph: Graph, job: JobId, step: int) -> None:
    for id_ in graph.dependents.get(job, ()):
        waiting = graph.jobs[id_]
        graph.jobs[id_] = Job(  # not `evolve`, which costs three times as much
            waiting.spec,
            waiting.status,
            waiting.waits_for + step,
            waiting.digest,
            waiting.lease,
            waiting.worker,
            waiting.attempt,
            waiting.losses,
            waiting.queued_at,
            waiting.started_at,
            waiting.ended_at,
            waiting.note,
        )


def _leave_lease(state: State, build: BuildId, id_: LeaseId, *, revoke: bool = False) -> None:
    """The build no longer waits for the lease; with the last one gone the lease has ended."""
    held = state.leases[id_]
    builds = tuple(other for other in held.builds if other != build)
    if builds:
        state.leases[id_] = evolve(held, builds=builds)
        return
    del state.leases[id_]
    del state.leases_of[held.worker][held.job]
    del state.running[(held.job, held.digest)]
    if revoke and state.workers[held.worker].native:
        state.revoked.setdefault(held.worker, {})[id_] = None


def _enqueue(state: State, build: BuildId, graph: Graph, job: Job) -> None:
    """Distbuild's three queues: who holds the result, who holds a dependency, and after a while everyone."""
    now, settings, line = state.at, state.settings, graph.queue
    state.rotation.setdefault(build)
    state.queued.setdefault(job.id, {})[build] = None
    own = [worker for worker, held in state.holders.get(job.id, {}).items() if held in (job.digest, "")]
    near = _near(state, job)
    wait = settings.cache_timeout if own else 0.0
    for worker in own[:HOLDERS_MAX]:
        line.join(job.id, Line(Why.HOLDS_RESULT, worker), now)
    for worker in near:
        line.join(job.id, Line(Why.HOLDS_DEPENDENCY, worker), now + wait)
    if own:
        line.join(job.id, Line(Why.WAITED_FOR_RESULT, ANY_WORKER), now + wait + settings.deps_timeout)
    elif near:
        line.join(job.id, Line(Why.WAITED_FOR_DEPENDENCY, ANY_WORKER), now + settings.deps_timeout)
    else:
        line.join(job.id, Line(Why.FIRST_COME, ANY_WORKER), now)


def _near(state: State, job: Job) -> list[WorkerId]:
    """Workers that hold a dependency; none where so many do that it makes no difference."""
    near: dict[WorkerId, None] = {}
    for dependency in job.spec.deps:
        near.update(dict.fromkeys(state.holders.get(dependency, ())))
        if len(near) > HOLDERS_MAX:
            return []
    return list(near)


def _dequeue(state: State, build: BuildId, graph: Graph, job: JobId) -> None:
    graph.queue.leave(job)
    builds = state.queued[job]
    del builds[build]
    if not builds:
        del state.queued[job]
    del state.rotation[build]
    if graph.queue:
        state.rotation[build] = None
