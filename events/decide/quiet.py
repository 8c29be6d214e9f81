"""Decisions about reports that say nothing new: they need no fact of their own, only their time.

An idle farm says nothing else, and a busy one little. `hear` records many such reports in one fact; it is
left to the caller to say them soon, and before a `Tick`, so that nobody who reported counts as silent.
"""

from collections.abc import Iterator

from events.catalog import Event, WorkersHeard
from events.commands import Heartbeat, HearWorkers
from events.decide.workers import room
from events.model import Worker
from events.schedule import schedule
from events.state import State

# Workers in one record, so that no record grows with the farm.
WORKERS_PER_RECORD = 500


def hear(state: State, command: HearWorkers) -> Iterator[Event]:
    """They were heard of now. One that is lost by now, or never was here, was not."""
    heard = [id_ for id_ in dict.fromkeys(command.workers) if id_ in state.silence or id_ in state.askers]
    for start in range(0, len(heard), WORKERS_PER_RECORD):
        yield WorkersHeard(workers=tuple(heard[start : start + WORKERS_PER_RECORD]))


def is_quiet(state: State, command: Heartbeat, now: float) -> bool:
    """Would the report change nothing but the time at which its worker was last heard of?

    Then its worker is owed nothing either: it runs what it was given, and there is nothing to give it.
    """
    worker = state.workers.get(command.worker)
    return (
        worker is not None
        and _is_as_known(worker, command)
        and _has_no_news(command)
        and worker.id not in state.revoked
        and _runs_what_it_was_given(state, worker, command)
        and not (room(state, worker.id, command.slots_free) and schedule(state, worker, now) is not None)
    )


def _is_as_known(worker: Worker, command: Heartbeat) -> bool:
    introduced = not command.slots or (command.slots, command.labels) == (worker.slots, worker.labels)
    return (
        worker.alive
        and worker.session == command.session
        and worker.slots_free == command.slots_free
        and not worker.draining
        and introduced
    )


def _has_no_news(command: Heartbeat) -> bool:
    return not (command.finished or command.added or command.dropped or command.draining or command.leaving)


def _runs_what_it_was_given(state: State, worker: Worker, command: Heartbeat) -> bool:
    """It says so, and not for the first time: that is when we learn that it beats while it works."""
    live = state.leases_of.get(worker.id, {})
    if command.running is None and command.slots_free < worker.slots:
        return False
    if len(live) + command.slots_free > worker.capacity:
        return False
    return set(command.running or ()) == set(live.values() if command.native else live) and (
        worker.beats or not live
    )
