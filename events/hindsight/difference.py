"""What is different between two states: builds, jobs, leases, workers, artifacts, sources, settings."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from attrs import asdict, frozen

from events.ids import BuildId
from events.state import State
from events.transitions import JobStatus

# What is so of a thing, by the ids that tell it apart: for a job that of its build and its own.
Facts: TypeAlias = Mapping[tuple[str, ...], Mapping[str, object]]


@frozen(kw_only=True)
class Change:
    """That something is not as it was: what was so `before` and is `after`; None where it is not there."""

    kind: str
    ids: tuple[str, ...]
    name: str
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None

    def concerns(self, build: BuildId) -> bool:
        """Is it about this build, one of its jobs, or a lease that it waits for?"""
        known = {**(self.before or {}), **(self.after or {})}
        return build == self.ids[0] or build in known.get("builds", ())  # type: ignore[operator]  # a tuple


def differences(before: State, after: State) -> Iterator[Change]:
    """All of them, kind by kind; within one, what was there first and then what came."""
    names = {**_names(before), **_names(after)}
    for kind, facts in _KINDS.items():
        old, new = facts(before), facts(after)
        for ids in dict.fromkeys((*old, *new)):
            was, is_ = old.get(ids), new.get(ids)
            if was != is_:
                of = (is_ or was or {}).get("job", ids[-1])
                yield Change(kind=kind, ids=ids, name=names.get(str(of), ""), before=was, after=is_)


def transitions(changes: list[Change]) -> Counter[tuple[object, object]]:
    """How many jobs went from which status to which; None where the job was not there."""
    jobs = [change for change in changes if change.kind == "job"]
    statuses = [((c.before or {}).get("status"), (c.after or {}).get("status")) for c in jobs]
    return Counter(pair for pair in statuses if pair[0] != pair[1])


def _names(state: State) -> dict[str, str]:
    """What people call builds and jobs, by id."""
    builds = {str(id_): build.name for id_, build in state.builds.items()}
    jobs = {str(job.id): job.spec.name for graph in state.graphs.values() for job in graph.jobs.values()}
    return {**jobs, **builds}


def _settings(state: State) -> Facts:
    values = {**asdict(state.settings), "epoch": state.epoch}
    return {(name,): {"value": value} for name, value in values.items()}


def _builds(state: State) -> Facts:
    return {
        (id_,): {
            "status": build.status,
            "error": build.error,
            "jobs": build.job_count,
            "queued": state.graphs[id_].tally[JobStatus.QUEUED],
        }
        for id_, build in state.builds.items()
    }


def _jobs(state: State) -> Facts:
    return {
        (build, id_): {
            "status": job.status,
            "attempt": job.attempt,
            "losses": job.losses,
            "worker": job.worker,
            "lease": job.lease,
            "note": job.note,
        }
        for build, graph in state.graphs.items()
        for id_, job in graph.jobs.items()
    }


def _leases(state: State) -> Facts:
    return {
        (id_,): {"job": lease.job, "worker": lease.worker, "builds": tuple(lease.builds)}
        for id_, lease in state.leases.items()
    }


def _workers(state: State) -> Facts:
    return {
        (id_,): {
            "status": ("draining" if worker.draining else "alive") if worker.alive else "lost",
            "session": worker.session,
            "slots": worker.slots,
            "slots_free": worker.slots_free,
            "leases": len(state.leases_of.get(id_, ())),
        }
        for id_, worker in state.workers.items()
    }


def _artifacts(state: State) -> Facts:
    return {
        (worker, job): {"digest": digest}
        for job, held in state.holders.items()
        for worker, digest in held.items()
    }


def _sources(state: State) -> Facts:
    return {(id_,): {"blob": source.blob, "size": source.size} for id_, source in state.sources.items()}


_KINDS: dict[str, Callable[[State], Facts]] = {
    "setting": _settings,
    "build": _builds,
    "job": _jobs,
    "lease": _leases,
    "worker": _workers,
    "artifact": _artifacts,
    "source": _sources,
}
