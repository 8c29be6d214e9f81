"""What facts about jobs do to State: the job's status, its lease, its place in the queue, its dependents."""

from typing import TypeAlias

from events.catalog import (
    ContainerStarted,
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
)
from events.folding import workers
from events.ids import COORDINATOR, BuildId, JobId, LeaseId, WorkerId
from events.model import Job, Lease, Result
from events.queue import (
    FIRST_COME,
    HOLDERS_MAX,
    WAITED_FOR_DEPENDENCY,
    WAITED_FOR_RESULT,
    Kind,
    Line,
    Queue,
    Why,
    kind_of,
)
from events.rotation import Rotation
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

# A class's attribute that is an enum's member is slow to come by.
_BLOCKED = JobStatus.BLOCKED
_NO_LEASE, _NO_WORKER = LeaseId(""), WorkerId("")

# Releases that count against the job: it may be what kills its workers.
LOSSES = frozenset({"worker-lost", "lease-ran-out", "never-taken"})
# A container that ran for so long is not what killed its worker.
SERVED_SECONDS = 600.0
# Releases that begin the job anew because it did badly itself.
RESTARTS = frozenset({"container-failed", "health-failed"})
# So many leases of typed jobs are remembered to have been cancelled, for their workers to learn of it.
CANCELLED_MAX = 10_000


def add(state: State, event: JobAdded) -> None:
    graph = state.graphs[event.build]
    dependencies = dict.fromkeys(event.deps) if event.deps else ()
    graph.jobs[event.job] = Job(event, _BLOCKED, len(dependencies))
    graph.tally[_BLOCKED] += 1
    for dependency in dependencies:
        graph.dependents.setdefault(dependency, []).append(event.job)
    if event.outputs:
        graph.hands_over = True


def queue(state: State, event: JobQueued) -> None:
    graph, job, status = _move(state, event)
    job = Job(
        job.spec,
        status,
        job.waits_for,
        event.digest,
        _NO_LEASE,
        _NO_WORKER,
        job.attempt,
        job.losses,
        state.at,
    )
    graph.jobs[event.job] = job
    _enqueue(state, event.build, graph, job)


def block(state: State, event: JobBlocked) -> None:
    graph, job, status = _move(state, event)
    _dequeue(state, event.build, graph, job.id)
    graph.jobs[event.job] = job._replace(status=status, note=event.reason)


def lease(state: State, event: JobLeased) -> None:
    graph, job, status = _move(state, event)
    _dequeue(state, event.build, graph, event.job)
    spec, _, waits_for, digest, _, _, _, losses, queued_at, *_ = job
    id_, worker, now = event.lease, event.worker, state.at
    graph.jobs[event.job] = Job(
        spec, status, waits_for, digest, id_, worker, event.attempt, losses, queued_at, now, 0.0, event.reason
    )
    seconds_max = spec.timeout_seconds or state.settings.job_seconds_max
    shared = state.leases.get(id_)
    if shared is not None:
        seconds_max = max(seconds_max, shared.seconds_max)
        builds = (*shared.builds, event.build)
        state.leases[id_] = shared._replace(builds=builds, seconds_max=seconds_max)
        return
    state.leases[id_] = Lease(id_, event.job, digest, worker, event.attempt, now, seconds_max, (event.build,))
    leases = state.leases_of.get(worker)
    if leases is None:
        leases = state.leases_of[worker] = {}
    leases[event.job] = id_
    if state.settings.placement:
        state.last_placed = worker
    state.running[(event.job, digest)] = id_
    if spec.job_type:
        state.heard[id_] = now


def hear_lease(state: State, event: LeaseHeard) -> None:
    if event.said == "alive":
        del state.heard[event.lease]
        state.heard[event.lease] = state.at


def contain(state: State, event: ContainerStarted) -> None:
    state.graphs[event.build].containers[event.job] = event


def succeed(state: State, event: JobSucceeded) -> None:
    graph, job, status = _move(state, event)
    result = Result(event.lease, event.stdout_bytes, event.stderr_bytes)
    _finish(state, graph, job, status, "", result.stdout_bytes, result.stderr_bytes)
    state.results[(event.job, job.digest)] = result
    workers.hold(state, COORDINATOR if job.spec.job_type else job.worker, event.job, job.digest)
    _leave_lease(state, event.build, event.lease)
    _free_dependents(graph, event.job, -1)


def fail(state: State, event: JobFailed) -> None:
    graph, job, status = _move(state, event)
    _finish(state, graph, job, status, event.error, event.stdout_bytes, event.stderr_bytes)
    graph.failures[event.job] = event
    if job.status is JobStatus.RUNNING:
        _leave_lease(state, event.build, event.lease)
    for id_ in graph.dependents.get(event.job, ()):
        waiting = graph.jobs[id_]
        if waiting.spec.after_failure:
            graph.jobs[id_] = waiting.waiting_for(waiting.waits_for - 1)


def release(state: State, event: JobReleased) -> None:
    graph, job, status = _move(state, event)
    losses = job.losses + is_loss(graph, job, event.reason, state.at)
    graph.jobs[event.job] = job._replace(
        status=status,
        lease=_NO_LEASE,
        worker=_NO_WORKER,
        losses=losses,
        queued_at=state.at,
        started_at=0.0,
        note=event.reason,
    )
    if event.reason in RESTARTS:
        graph.restarts[event.job] = graph.restarts.get(event.job, 0) + 1
    _leave_lease(state, event.build, event.lease, revoke=True)
    _enqueue(state, event.build, graph, graph.jobs[event.job])


def cancel(state: State, event: JobCancelled) -> None:
    graph, job, status = _move(state, event)
    if job.status is JobStatus.QUEUED:
        _dequeue(state, event.build, graph, event.job)
    elif job.status is JobStatus.RUNNING:
        _leave_lease(state, event.build, job.lease, revoke=True)
        if job.spec.job_type and job.lease not in state.leases:
            _remember_cancelled(state, job.lease)
    _finish(state, graph, job, status, event.reason)


def reuse(state: State, event: JobReused) -> None:
    graph, job, status = _move(state, event)
    if job.status is JobStatus.QUEUED:
        _dequeue(state, event.build, graph, event.job)
    graph.jobs[event.job] = job._replace(
        status=status,
        digest=event.digest,
        lease=event.lease,
        ended_at=state.at,
        note="reused",
        stdout_bytes=event.stdout_bytes,
        stderr_bytes=event.stderr_bytes,
    )
    graph.reused += 1
    _free_dependents(graph, event.job, -1)


def reopen(state: State, event: JobReopened) -> None:
    graph, job, status = _move(state, event)
    waits_for = sum(not serves(graph.jobs[id_], job) for id_ in dict.fromkeys(job.spec.deps))
    graph.jobs[event.job] = Job(
        job.spec, status, waits_for, attempt=job.attempt, losses=job.losses, note=event.reason
    )
    _free_dependents(graph, event.job, +1)


def serves(dependency: Job, job: Job) -> bool:
    """Need the job not wait for this dependency?"""
    failed_well_enough = job.spec.after_failure and dependency.status is JobStatus.FAILED
    return dependency.status is JobStatus.SUCCEEDED or failed_well_enough


def _remember_cancelled(state: State, lease: LeaseId) -> None:
    state.cancelled[lease] = None
    if len(state.cancelled) > CANCELLED_MAX:
        del state.cancelled[next(iter(state.cancelled))]


def is_loss(graph: Graph, job: Job, reason: str, now: float) -> bool:
    """Does it count against the running job that it is released for this reason?"""
    if reason not in LOSSES:
        return False
    served = graph.containers.get(job.id)
    return served is None or served.lease != job.lease or now - job.started_at < SERVED_SECONDS


def _move(state: State, event: JobMoved) -> tuple[Graph, Job, JobStatus]:
    """Look the next status up and keep the tally; the caller puts the new job in its place."""
    graph = state.graphs[event.build]
    job = graph.jobs[event.job]
    before, tally = job.status, graph.tally
    status = JOB[before].get(type(event)) or next_status(JOB, before, event, event.job)
    tally[before] -= 1
    tally[status] += 1
    return graph, job, status


def _finish(
    state: State,
    graph: Graph,
    job: Job,
    status: JobStatus,
    note: str,
    stdout_bytes: int = 0,
    stderr_bytes: int = 0,
) -> None:
    spec, _, waits_for, digest, lease, worker, attempt, losses, queued_at, started_at, *_ = job
    graph.jobs[spec.job] = Job(
        spec,
        status,
        waits_for,
        digest,
        lease,
        worker,
        attempt,
        losses,
        queued_at,
        started_at,
        state.at,
        note,
        stdout_bytes,
        stderr_bytes,
    )


def _free_dependents(graph: Graph, job: JobId, step: int) -> None:
    for id_ in graph.dependents.get(job, ()):  # none, mostly
        waiting = graph.jobs[id_]
        graph.jobs[id_] = waiting.waiting_for(waiting.waits_for + step)


def _leave_lease(state: State, build: BuildId, id_: LeaseId, *, revoke: bool = False) -> None:
    """The build no longer waits for the lease; with the last one gone the lease has ended."""
    held = state.leases[id_]
    if len(held.builds) > 1:
        builds = tuple(other for other in held.builds if other != build)
        state.leases[id_] = held._replace(builds=builds)
        return
    del state.leases[id_]
    del state.leases_of[held.worker][held.job]
    del state.running[(held.job, held.digest)]
    state.heard.pop(id_, None)
    if revoke and state.workers[held.worker].native:
        state.revoked.setdefault(held.worker, {})[id_] = None


def _enqueue(state: State, build: BuildId, graph: Graph, job: Job) -> None:
    """Distbuild's three queues: who holds the result, who holds a dependency, and after a while everyone."""
    id_, now, settings, kind = job.spec.job, state.at, state.settings, kind_of(job.spec)
    line = graph.queues.get(kind)
    if line is None:
        line = _open(state, build, graph, kind)
    queued = state.queued.get(id_)
    if queued is None:
        state.queued[id_] = {build: None}
    else:
        queued[build] = None
    holders = state.holders.get(id_)
    own = [worker for worker, held in holders.items() if held in (job.digest, "")] if holders else []
    near = _near(state, job) if job.spec.deps else []
    if job.spec.job_type or (not own and not near):
        line.join(id_, FIRST_COME, now)
        return
    wait = settings.cache_timeout if own else 0.0
    for worker in own[:HOLDERS_MAX]:
        line.join(id_, Line(Why.HOLDS_RESULT, worker), now)
    for worker in near:
        line.join(id_, Line(Why.HOLDS_DEPENDENCY, worker), now + wait)
    for_anyone = WAITED_FOR_RESULT if own else WAITED_FOR_DEPENDENCY
    line.join(id_, for_anyone, now + wait + settings.deps_timeout)


def _open(state: State, build: BuildId, graph: Graph, kind: Kind) -> Queue:
    """The build's first job of a kind is queued: it takes turns with others that have such."""
    queue = graph.queues[kind] = Queue()
    rotation = state.rotation.get(kind)
    if rotation is None:
        rotation = state.rotation[kind] = Rotation()
    rotation.join(build, state.builds[build].priority, state.position)
    return queue


def _near(state: State, job: Job) -> list[WorkerId]:
    """Workers that hold a dependency; none where so many do that it makes no difference."""
    near: dict[WorkerId, None] = {}
    for dependency in job.spec.deps:
        near.update(dict.fromkeys(state.holders.get(dependency, ())))
        if len(near) > HOLDERS_MAX:
            return []
    near.pop(COORDINATOR, None)  # it holds artifacts and runs nothing
    return list(near)


def _dequeue(state: State, build: BuildId, graph: Graph, job: JobId) -> None:
    kind = kind_of(graph.jobs[job].spec)
    queue, rotation = graph.queues[kind], state.rotation[kind]
    queue.leave(job)
    builds = state.queued[job]
    del builds[build]
    if not builds:
        del state.queued[job]
    priority = state.builds[build].priority
    if queue.places:
        rotation.serve(build, priority, state.position)
        return
    rotation.leave(build, priority)
    del graph.queues[kind]
    if not rotation.lines:
        del state.rotation[kind]
