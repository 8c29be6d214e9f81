"""The state as JSON values, as `GET /api/…` shows it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from attrs import asdict

from coordinator.parts import Parts
from events.catalog import JobFailed
from events.hindsight.why import Explanation
from events.ids import BuildId, JobId, LeaseId
from events.log import Subject
from events.model import Build, Job, Worker
from events.state import State
from events.transitions import JOB_ENDED, BuildStatus, JobStatus

READ_BYTES = 256 << 10
# How long a follower of output waits before it looks whether the coordinator stops.
LOOK_SECONDS = 1.0


def builds(state: State, status: BuildStatus | None, before: int, limit: int) -> dict[str, Any]:
    """A page of builds, newest first; `before` and `next` are positions of builds' first records."""
    found: list[dict[str, Any]] = []
    for build_ in reversed(state.builds.values()):
        if (before and build_.position >= before) or (status and build_.status is not status):
            continue
        if len(found) == limit:
            return {"builds": found, "next": found[-1]["position"]}
        found.append(summary(state, build_))
    return {"builds": found, "next": None}


def build(state: State, id_: BuildId) -> Callable[[], dict[str, Any]]:
    """One build with its jobs, at the position of the state.

    What is looked at here is shaped by the function that is returned, in a thread: a build may have
    100 000 jobs.
    """
    position, about = state.position, summary(state, state.builds[id_])
    graph = state.graphs[id_]
    seen = [(each, graph.failures.get(each.id)) for each in graph.jobs.values()]
    return lambda: {"position": position, "build": about, "jobs": [job(*each) for each in seen]}


def summary(state: State, build_: Build) -> dict[str, Any]:
    graph = state.graphs[build_.id]
    return {
        "id": build_.id,
        "name": build_.name,
        "state": build_.status,
        "jobs": build_.job_count,
        "counts": dict(graph.tally),
        "reused": graph.reused,
        "started_at": build_.started_at,
        "ended_at": build_.ended_at or None,
        "error": build_.error,
        "position": build_.position,
    }


def job(job_: Job, failure: JobFailed | None) -> dict[str, Any]:
    has_succeeded = job_.status is JobStatus.SUCCEEDED
    return {
        "id": job_.id,
        "name": job_.spec.name,
        "state": job_.status,
        "attempt": job_.attempt,
        "worker": job_.worker or None,
        "lease": job_.lease or None,
        "deps": job_.spec.deps,
        "queued_at": job_.queued_at or None,
        "started_at": job_.started_at or None,
        "ended_at": job_.ended_at or None,
        "exit_code": failure.exit_code if failure else (0 if has_succeeded else None),
        "error": failure.error if failure else None,
        "stdout_bytes": job_.stdout_bytes,
        "stderr_bytes": job_.stderr_bytes,
        "reason": job_.note,
        "reused": has_succeeded and job_.note == "reused",
    }


def explanation(found: Explanation) -> dict[str, Any]:
    """Why a job is as it is: each answer with its question, a code for programs and words for people."""
    return asdict(found)


def workers(state: State) -> dict[str, Any]:
    return {"position": state.position, "workers": [worker(state, each) for each in state.workers.values()]}


def worker(state: State, worker_: Worker) -> dict[str, Any]:
    leases = [state.leases[id_] for id_ in state.leases_of.get(worker_.id, {}).values()]
    return {
        "id": worker_.id,
        "state": ("draining" if worker_.draining else "alive") if worker_.alive else "lost",
        "slots": worker_.slots,
        "slots_free": worker_.slots_free,
        "labels": worker_.labels,
        "native": worker_.native,
        "last_seen": worker_.last_seen,
        "leases": [
            {
                "id": lease.id,
                "build": lease.builds[0],
                "job": lease.job,
                "name": state.graphs[lease.builds[0]].jobs[lease.job].spec.name,
                "leased_at": lease.leased_at,
            }
            for lease in leases
        ],
        "artifacts": len(state.held.get(worker_.id, ())),
    }


async def output(
    parts: Parts, build_: BuildId, id_: JobId, stream: str, offset: int, *, follow: bool
) -> AsyncIterator[bytes]:
    """A job's output from `offset` (bytes) on; with `follow` until its lease has ended.

    It is the output of one lease, the one that runs the job when the first byte is asked for, or the next
    one where none does: another attempt is another output, in which `offset` would mean something else.
    """
    lease = await _lease(parts, build_, id_, follow=follow)
    while lease:
        has_ended = lease not in parts.core.state.leases
        while data := await parts.outputs.read(lease, stream, offset, READ_BYTES):
            yield data
            offset += len(data)
        if has_ended or not follow or parts.journal.is_stopping:
            return
        await parts.outputs.wait(lease, stream, offset, LOOK_SECONDS)


async def _lease(parts: Parts, build_: BuildId, id_: JobId, *, follow: bool) -> LeaseId:
    while True:
        position = parts.journal.durable
        job_ = parts.core.state.job(build_, id_)
        is_final = job_.lease or job_.status in JOB_ENDED or parts.journal.is_stopping
        if is_final or not follow:
            return job_.lease
        await parts.journal.grown(position, Subject.build(build_))  # as long as the client cares to wait
