"""Who is to have a job, if the coordinator has a say in it: placement policies, computed from State alone.

Workers ask for work, so a policy does not send jobs: it lets a worker have one only if nobody else who is
there, with room and all that the job needs, would be preferred (`schedule`). It is asked for each kind of
job, not for each job. What a machine has is what its worker says by the labels `cpus`, `memory` and
`disk`; what is taken is what running jobs asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from events.ids import WorkerId
from events.model import Worker
from events.queue import Amount, Kind, meets, wants
from events.state import State

# The words for that there is nobody, as Cube says them.
NOBODY = "No available candidates match resource request for task"
# E-PVM's base: with it the online choice stays within a constant factor of the best.
LIEB = 1.53960071783900203869
# With so many jobs a machine counts as full, for E-PVM.
JOBS_MAX = 4.0
# Beyond this load a machine is not more loaded still.
LOAD_MAX = 64.0


class Candidate(NamedTuple):
    """A worker that may have the job, what its machine has, and what runs there; `jobs` are its leases."""

    id: WorkerId
    has: Amount
    taken: Amount
    jobs: int


def capacity(worker: Worker) -> Amount:
    """What the worker says its machine has; one that does not say has a processor for each slot."""
    cpu = _number(worker.labels, "cpus") or max(1, worker.slots)
    return Amount(float(cpu), _number(worker.labels, "memory"), _number(worker.labels, "disk"))


def taken(state: State, worker: WorkerId) -> Amount:
    """What the jobs that run there asked for; a job that names no image takes a processor."""
    cpu, memory, disk = 0.0, 0, 0
    for lease in (state.leases[id_] for id_ in state.leases_of.get(worker, {}).values()):
        takes = wants(state.graphs[lease.builds[0]].jobs[lease.job].spec.container)
        cpu, memory, disk = cpu + takes.cpu, memory + takes.memory, disk + takes.disk
    return Amount(cpu, memory, disk)


def preferred(state: State, kind: Kind) -> WorkerId | None:
    """The worker that shall have the next job of this kind; None if nobody has room for it."""
    found = list(candidates(state, kind))
    return POLICIES[state.settings.placement](state, found, kind.wants) if found else None


def candidates(state: State, kind: Kind) -> Iterator[Candidate]:
    """Workers of ours that live, have all such a job needs, a free slot, and room for it on their disk.

    Others are served as they ask: they may be unable to run a job for reasons that nobody else knows.
    """
    for id_ in state.silence:
        worker, jobs = state.workers[id_], len(state.leases_of.get(id_, ()))
        is_able = worker.native and not worker.draining and meets(worker.labels, kind.needs)
        if not is_able or jobs >= worker.capacity:
            continue
        has, used = capacity(worker), taken(state, id_)
        if not has.disk or kind.wants.disk <= has.disk - used.disk:
            yield Candidate(id_, has, used, jobs)


def _round_robin(state: State, found: list[Candidate], _takes: Amount) -> WorkerId:
    """The next after the one that had the last job, in the order in which workers joined."""
    order = {id_: place for place, id_ in enumerate(state.workers)}
    last = order.get(state.last_placed, -1)
    return min(found, key=lambda one: (order[one.id] - last - 1) % len(order)).id


def _greedy(_state: State, found: list[Candidate], _takes: Amount) -> WorkerId:
    """The one whose processors have least to do."""
    return min(found, key=lambda one: (one.taken.cpu / one.has.cpu, one.id)).id


def _epvm(_state: State, found: list[Candidate], takes: Amount) -> WorkerId:
    """The one where the job adds least to the cost, which grows exponentially with the load."""
    return min(found, key=lambda one: (_marginal_cost(one, takes), one.id)).id


def _marginal_cost(one: Candidate, takes: Amount) -> float:
    loads = [(one.taken.cpu, takes.cpu, one.has.cpu), (one.jobs, 1.0, JOBS_MAX)]
    if one.has.memory:
        loads.append((one.taken.memory, takes.memory, one.has.memory))
    return sum(_cost(used + more, has) - _cost(used, has) for used, more, has in loads)


def _cost(used: float, has: float) -> float:
    return float(LIEB ** min(used / has, LOAD_MAX))


def _number(labels: Mapping[str, str], name: str) -> int:
    """What a label says; 0 where it says nothing that is a number."""
    text = labels.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


Policy = Callable[[State, list[Candidate], Amount], WorkerId]
# The names by which an operator chooses one; empty, whoever asks first is served.
POLICIES: Mapping[str, Policy] = {"roundrobin": _round_robin, "greedy": _greedy, "epvm": _epvm}
