"""The state as JSON values, as `GET /api/…` shows it."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from typing import Any

from attrs import asdict, frozen

from clients import codec
from coordinator.parts import Parts
from events.catalog import JobFailed
from events.hindsight.why import Explanation
from events.ids import BuildId, Position
from events.model import Build, Job, Worker
from events.state import State
from events.transitions import BuildStatus, JobStatus

# So many jobs become text at a time: some 200 KB.
JOBS_AT_ONCE = 500


def status(parts: Parts, sealed: str) -> dict[str, Any]:
    """How the coordinator itself is. `read_only`: why nothing can be changed, empty if it can.

    `log`: the file that is only looked at, if it is one; then `at`, the time of its last record, is now.
    """
    journal = parts.journal
    full = "the log's disk is full" if journal.is_full else ""
    return {
        "version": version("terzetto"),
        "position": journal.durable,
        "at": parts.core.now(),
        "log": sealed or None,
        "read_only": f"the log {sealed}" if sealed else full or parts.core.distrust,
    }


def builds(
    state: State, status: BuildStatus | None, labels: dict[str, str], before: int, limit: int
) -> dict[str, Any]:
    """A page of builds, newest first; `before` and `next` are positions of builds' first records."""
    found: list[dict[str, Any]] = []
    for build_ in reversed(state.builds.values()):
        if (before and build_.position >= before) or (status and build_.status is not status):
            continue
        if not labels.items() <= build_.labels.items():
            continue
        if len(found) == limit:
            return {"builds": found, "next": found[-1]["position"]}
        found.append(summary(state, build_))
    return {"builds": found, "next": None}


@frozen
class Shown:
    """One build with its jobs at a position: what is shown of it, not yet in shape.

    There may be 100 000 jobs, so whoever wants them has a thread for it, and takes some at a time.
    """

    position: Position
    about: dict[str, Any]
    _seen: Sequence[tuple[Job, JobFailed | None]]

    def jobs(self) -> Iterator[dict[str, Any]]:
        return (job(*each) for each in self._seen)

    def value(self) -> dict[str, Any]:
        return {"position": self.position, "build": self.about, "jobs": list(self.jobs())}

    def pieces(self) -> Iterator[bytes]:
        """The JSON text of the value, in pieces."""
        yield codec.dumps({"position": self.position, "build": self.about})[:-1] + b',"jobs":['
        jobs, comma = self.jobs(), b""
        while some := list(islice(jobs, JOBS_AT_ONCE)):
            yield comma + codec.dumps(some)[1:-1]
            comma = b","
        yield b"]}"


def build(state: State, id_: BuildId) -> Shown:
    """One build with its jobs, at the position of the state."""
    graph = state.graphs[id_]
    seen = [(each, graph.failures.get(each.id)) for each in graph.jobs.values()]
    return Shown(state.position, summary(state, state.builds[id_]), seen)


def summary(state: State, build_: Build) -> dict[str, Any]:
    graph = state.graphs[build_.id]
    return {
        "id": build_.id,
        "name": build_.name,
        "labels": build_.labels,
        "priority": build_.priority,
        "number": build_.number or None,
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
        # One that is asking has as many as it has asked for.
        "slots": len(leases) if worker_.asking else worker_.slots,
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
