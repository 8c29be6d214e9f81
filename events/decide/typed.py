"""Decisions about typed jobs: workers that ask for them, and leases that are heard of one by one."""

from collections.abc import Iterator

from events.catalog import Event, LeaseHeard, WorkerJoined
from events.commands import AnswerLease, HearLease, RegisterWorker, ReturnLease
from events.decide.context import Context
from events.decide.jobs import finish, release
from events.errors import LEASE_ENDED, MALFORMED, Rejected
from events.ids import ASKING, LeaseId, WorkerId
from events.model import Lease
from events.state import State

# A lease's signs of life come often; so many are recorded while it would live without any.
SIGNS = 4


def register(state: State, command: RegisterWorker) -> Iterator[Event]:
    """One that is here already is no news."""
    if not command.worker.startswith(ASKING):
        raise Rejected(MALFORMED, f"who asks for typed jobs is called {ASKING}…, not {command.worker[:40]!r}")
    known = state.workers.get(command.worker)
    if known is None or not known.alive:
        yield WorkerJoined(worker=command.worker, labels=command.labels, asking=True)


def hear(state: State, command: HearLease, context: Context) -> Iterator[Event]:
    """The lease lives on from now; told only now and then."""
    lease = _lease(state, command.lease)
    if state.heard[lease.id] + state.settings.typed_lease_seconds / SIGNS <= context.now:
        yield LeaseHeard(worker=lease.worker, lease=lease.id, said="alive")


def answer(state: State, command: AnswerLease) -> Iterator[Event]:
    """The result ends the lease."""
    lease = _lease(state, command.lease)
    yield LeaseHeard(worker=lease.worker, lease=lease.id, said="answered")
    yield from finish(state, lease.id, command.result)


def hand_back(state: State, command: ReturnLease) -> Iterator[Event]:
    """Nobody received the lease, so nobody is to blame: its job is queued again."""
    lease = _lease(state, command.lease)
    yield LeaseHeard(worker=lease.worker, lease=lease.id, said="handed-back")
    yield from release(state, lease.id, "handed-back")


def lapsed(state: State, now: float) -> list[LeaseId]:
    """Leases that were not heard of for too long."""
    over: list[LeaseId] = []
    for lease, heard_at in state.heard.items():
        if heard_at + state.settings.typed_lease_seconds > now:
            break
        over.append(lease)
    return over


def gone(state: State, now: float) -> list[WorkerId]:
    """Asking workers that were silent for too long. While one has a lease, that is what counts."""
    silent: list[WorkerId] = []
    for id_ in state.askers:
        if state.workers[id_].last_seen + state.settings.asking_worker_seconds > now:
            break
        if not state.leases_of.get(id_):
            silent.append(id_)
    return silent


def deadlines(state: State) -> Iterator[float]:
    """When the next lease, and the next worker, has been silent for too long."""
    for heard_at in state.heard.values():
        yield heard_at + state.settings.typed_lease_seconds
        break
    for id_ in state.askers:
        if not state.leases_of.get(id_):
            yield state.workers[id_].last_seen + state.settings.asking_worker_seconds
            break


def _lease(state: State, id_: LeaseId) -> Lease:
    if id_ not in state.heard:
        raise Rejected(LEASE_ENDED, f"no typed job is leased as {id_}")
    return state.leases[id_]
