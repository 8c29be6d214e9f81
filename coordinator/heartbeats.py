"""What a worker's report is answered with: the leases it is owed, and those it is to let go of."""

from collections.abc import Sequence
from functools import partial

import trio
from attrs import frozen

from coordinator.core import Coordinator
from coordinator.dispatch import Dispatch
from coordinator.quiet import Quiet
from events.catalog import JobAdded, JobLeased, Record, WorkerJoined
from events.commands import Heartbeat, RequestWork
from events.errors import STORAGE_FULL, Rejected
from events.ids import BuildId, JobId, LeaseId, SourceId, SpecDigest, WorkerId
from events.model import Lease
from events.state import State

# The distbuild workers of others often ask in a tight loop; an idle one is held this long.
IDLE_SECONDS = 0.2
# One that has jobs running is held only this long, since their results wait behind it.
BUSY_SECONDS = 0.02
WAIT_SECONDS_MAX = 60.0
# How long a report waits for room on a full disk, and how often it looks.
FULL_SECONDS_MAX = 10.0
FULL_LOOK_SECONDS = 0.2


@frozen(kw_only=True)
class Assignment:
    """A lease with all that its worker needs: sources by path, dependencies' places and spec digests."""

    lease: Lease
    spec: JobAdded
    sources: dict[str, SourceId]
    places: dict[JobId, WorkerId]
    digests: dict[JobId, SpecDigest]


@frozen(kw_only=True)
class Answer:
    """`is_stranger`: the worker is new here in this life and did not say what it has."""

    assignments: tuple[Assignment, ...] = ()
    revoked: tuple[LeaseId, ...] = ()
    is_stranger: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.assignments or self.revoked or self.is_stranger)


class Heartbeats:
    """Takes reports and holds those that ask for work while there is none."""

    def __init__(self, core: Coordinator, dispatch: Dispatch, quiet: Quiet) -> None:
        self._core = core
        self._dispatch = dispatch
        self._quiet = quiet

    async def take(self, command: Heartbeat, wait_seconds: float | None) -> Answer:
        """Record the report; wait for work up to `wait_seconds` (None: as its kind of worker is used to).

        Raises `Rejected`. While the disk is full the report is kept waiting for a while, because some
        workers of others exit when they are refused.
        """
        give_up_at = trio.current_time() + FULL_SECONDS_MAX
        while True:
            try:
                return await self._take(command, wait_seconds)
            except Rejected as error:
                is_over = trio.current_time() >= give_up_at or self._core.journal.is_stopping
                if error.code is not STORAGE_FULL or is_over:
                    raise
                await trio.sleep(FULL_LOOK_SECONDS)

    async def _take(self, command: Heartbeat, wait_seconds: float | None) -> Answer:
        self._dispatch.supersede(command.worker)
        if self._quiet.note(command):
            given = Answer()
        else:
            given = await self._core.ask(command, partial(answer, command))
        deadline = trio.current_time() + self._patience(command, wait_seconds)
        while given.is_empty and (left := deadline - trio.current_time()) > 0:
            if not await self._dispatch.wait(command.worker, command.slots_free, left):
                break
            given = await self._ask_again(command)
        return given

    async def _ask_again(self, command: Heartbeat) -> Answer:
        if not command.slots_free:
            return await self._core.view(lambda state: answer(command, state, []))
        asked = RequestWork(worker=command.worker, slots_free=command.slots_free)
        return await self._core.ask(asked, partial(answer, command))

    def _patience(self, command: Heartbeat, wait_seconds: float | None) -> float:
        if self._core.journal.is_stopping:
            return 0.0
        if wait_seconds is None:
            wait_seconds = self._usual_patience(command)
        settings = self._core.state.settings
        # Whoever is held is silent meanwhile, and must not be taken for lost because of that.
        unnoticed = min(settings.lease_seconds, settings.worker_silence_seconds) / 2
        return min(wait_seconds, unnoticed, WAIT_SECONDS_MAX)

    def _usual_patience(self, command: Heartbeat) -> float:
        """A report of others that carries results is answered at once."""
        if command.finished:
            return 0.0
        is_busy = command.running or not command.slots_free or is_mute(command, self._core.state)
        return BUSY_SECONDS if is_busy else IDLE_SECONDS


def answer(command: Heartbeat, state: State, records: Sequence[Record]) -> Answer:
    """Every lease that the worker does not report; of one that never says what it runs, just the new ones.

    So an answer that got lost is given again, and nobody is told to run twice what it runs.
    """
    events = [record.event for record in records]
    new = {event.lease for event in events if isinstance(event, JobLeased) and event.worker == command.worker}
    reported = set(command.running or ())
    says_nothing = is_mute(command, state)
    assignments = []
    for job, id_ in state.leases_of.get(command.worker, {}).items():
        owed = id_ in new or not (says_nothing or (id_ if command.native else job) in reported)
        assigned = assignment(state, state.leases[id_]) if owed else None
        if assigned is not None:
            assignments.append(assigned)
    return Answer(
        assignments=tuple(assignments),
        revoked=tuple(state.revoked.get(command.worker, ())),
        is_stranger=command.native
        and not command.slots
        and any(isinstance(event, WorkerJoined) for event in events),
    )


def is_mute(command: Heartbeat, state: State) -> bool:
    """Does it run something and not say what? Go writes an empty list as null, too."""
    return command.running is None and command.slots_free < state.workers[command.worker].slots


def assignment(state: State, lease: Lease) -> Assignment | None:
    """What the worker needs to run the job; None while a dependency is being made again."""
    build: BuildId = lease.builds[0]
    graph = state.graphs[build]
    spec = graph.jobs[lease.job].spec
    digests = {id_: graph.jobs[id_].digest for id_ in spec.deps}
    places = {id_: state.locate(id_, digest) for id_, digest in digests.items()}
    if None in places.values():
        return None
    return Assignment(
        lease=lease,
        spec=spec,
        sources={path: graph.sources[path] for path in spec.inputs},
        places={id_: place for id_, place in places.items() if place is not None},
        digests=digests,
    )
