"""What facts about workers do to State: who lives, who holds what, who was silent for how long."""

from events.catalog import (
    HeartbeatReceived,
    WorkerForgotten,
    WorkerJoined,
    WorkerLost,
    WorkersHeard,
    WorkRequested,
)
from events.ids import ANONYMOUS, JobId, LeaseId, SpecDigest, WorkerId
from events.model import Worker
from events.queue import Line, Why, kind_of
from events.state import State


def join(state: State, event: WorkerJoined) -> None:
    state.workers[event.worker] = Worker(
        event.worker,
        event.session,
        event.slots,
        event.labels,
        event.native,
        state.at,
        state.at,
        0,
        True,
        False,
        event.native,
        max(event.slots, len(state.leases_of.get(event.worker, ()))),
        event.asking,
    )
    _heard_of(state, event.worker)


def report(state: State, event: HeartbeatReceived) -> None:
    worker = state.workers[event.worker]
    at_work = len(state.leases_of.get(event.worker, ())) - len(event.finished) - len(event.unreported)
    capacity = max(worker.capacity, event.slots_free + (0 if event.mute else at_work))
    state.workers[event.worker] = Worker(
        worker.id,
        worker.session,
        worker.slots if worker.native else capacity,
        worker.labels,
        worker.native,
        worker.joined_at,
        state.at,
        event.slots_free,
        True,
        event.draining,
        worker.beats or at_work > 0,
        capacity,
    )
    if worker.native:
        _still_revoked(state, event)
    _seen(state, event.worker)


def hear(state: State, event: WorkersHeard) -> None:
    for id_ in event.workers:
        state.workers[id_] = state.workers[id_]._replace(last_seen=state.at)
        _heard_of(state, id_)


def ask(state: State, event: WorkRequested) -> None:
    worker = state.workers[event.worker]
    if worker.asking:
        capacity = len(state.leases_of.get(worker.id, ())) + event.slots_free
        state.workers[worker.id] = worker._replace(capacity=max(worker.capacity, capacity))
        return
    state.workers[event.worker] = worker._replace(last_seen=state.at, slots_free=event.slots_free)
    _seen(state, event.worker)


def lose(state: State, event: WorkerLost) -> None:
    worker = state.workers[event.worker]
    assert not state.leases_of.get(event.worker), f"worker {event.worker} is lost with leases"
    state.workers[event.worker] = worker._replace(alive=False, slots_free=0)
    for job in list(state.held.get(event.worker, ())):
        drop(state, event.worker, job)
    state.held.pop(event.worker, None)
    state.revoked.pop(event.worker, None)
    state.leases_of.pop(event.worker, None)
    del (state.askers if worker.asking else state.silence)[event.worker]


def forget(state: State, event: WorkerForgotten) -> None:
    worker = state.workers.pop(event.worker)
    assert not worker.alive, f"worker {worker.id} is alive and cannot be forgotten"


def renew_all(state: State) -> None:
    """Nobody is blamed for a time in which we did not listen."""
    for id_ in (*state.silence, *state.askers):
        state.workers[id_] = state.workers[id_]._replace(last_seen=state.at)
    state.heard = dict.fromkeys(state.heard, state.at)


def hold(state: State, worker: WorkerId, job: JobId, digest: SpecDigest) -> None:
    """The worker holds this artifact; builds in which the job is queued hear of it at once."""
    holders = state.holders.get(job)
    if holders is None:
        state.holders[job] = {worker: digest}
    else:
        holders[worker] = digest
    held = state.held.get(worker)
    if held is None:
        state.held[worker] = {job: None}
    else:
        held[job] = None
    for build in state.queued.get(job, ()):
        graph = state.graphs[build]
        line = Line(Why.HOLDS_RESULT, worker)
        queue = graph.queues[kind_of(graph.jobs[job].spec)]
        if digest in (graph.jobs[job].digest, "") and line not in queue.places[job]:
            queue.join(job, line, state.at)


def drop(state: State, worker: WorkerId, job: JobId) -> None:
    holders = state.holders.get(job, {})
    if holders.pop(worker, None) is not None and not holders:
        del state.holders[job]
    state.held.get(worker, {}).pop(job, None)


def _heard_of(state: State, worker: WorkerId) -> None:
    if not state.workers[worker].asking:
        _seen(state, worker)
    elif worker != ANONYMOUS:
        state.askers.pop(worker, None)
        state.askers[worker] = None


def _seen(state: State, worker: WorkerId) -> None:
    state.silence.pop(worker, None)
    state.silence[worker] = None


def _still_revoked(state: State, event: HeartbeatReceived) -> None:
    live = state.leases_of.get(event.worker, {}).values()
    gone = [LeaseId(stray) for stray in event.strays if stray not in live]
    if gone:
        state.revoked[event.worker] = dict.fromkeys(gone)
    else:
        state.revoked.pop(event.worker, None)
