"""What a stretch of the log tells of the world outside: what clients wished, which workers came and went,
and how long their jobs took. It is all that a simulation needs to go through the same days again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from attrs import Factory, define, frozen

from events.catalog import (
    ArtifactCached,
    BuildForgotten,
    BuildPrioritised,
    BuildStarted,
    CoordinatorStalled,
    CoordinatorStarted,
    FileDropped,
    FileStored,
    HeartbeatReceived,
    JobLeased,
    JobReleased,
    Record,
    ResultsForgotten,
    SignalReceived,
    SourceDropped,
    SourceStored,
    WorkerForgotten,
    WorkerLost,
    WorkersHeard,
    WorkRequested,
)
from events.hindsight.attempts import Attempt, Attempts
from events.hindsight.groups import groups
from events.hindsight.inputs import Given, recover
from events.ids import BuildId, JobId, LeaseId, SpecDigest, WorkerId
from events.state import State

# What nothing is known of takes so long, if nothing is known of anything.
SECONDS = 1.0
# What is after something is after it by this much at least.
HAIR_SECONDS = 0.001
_WISHES = (
    BuildForgotten,
    BuildPrioritised,
    BuildStarted,
    CoordinatorStalled,
    CoordinatorStarted,
    FileDropped,
    FileStored,
    ResultsForgotten,
    SignalReceived,
    SourceDropped,
    SourceStored,
    WorkerForgotten,
)


class Outcome(NamedTuple):
    """How a job ran when it ran to its end; `error` is None exactly if it succeeded."""

    seconds: float
    exit_code: int = 0
    error: str | None = None


@define(eq=False, kw_only=True)
class Shift:
    """One life of a worker: from when, and until its last word, None if that was not within the stretch.

    `leaves`: that word was that it goes; else it fell silent. `holds`: artifacts that it brought along.
    """

    worker: WorkerId
    session: str
    slots: int
    native: bool
    labels: dict[str, str] = Factory(dict)
    since: float
    until: float | None = None
    leaves: bool = False
    holds: dict[JobId, SpecDigest] = Factory(dict)


class Absence(NamedTuple):
    """The coordinator was not there, as far as the log tells."""

    since: float
    until: float


@frozen(kw_only=True)
class Past:
    """All of it; times in seconds since 1970.

    `ready_at`: when a build's jobs might run; `ends`: when each lease got its answer; `usual_seconds`: the
    median run time, for jobs of which nothing is known.
    """

    wishes: Sequence[Given]
    absences: Sequence[Absence]
    shifts: Sequence[Shift]
    attempts: Sequence[Attempt]
    ready_at: Mapping[BuildId, float]
    outcomes: Mapping[tuple[BuildId, JobId], Outcome]
    ends: Mapping[tuple[LeaseId, JobId], float]
    usual_seconds: float


def gather(state: State, records: Iterable[Record]) -> Past:
    """What the records tell, which are folded onto `state`."""
    attempts, shifts, wishes, absences = Attempts(state), _Shifts(state), list[Given](), list[Absence]()
    for group in groups(records):
        if isinstance(group[0].event, _WISHES):
            wishes.append(recover(state, group))
            absences += _absence(state.at, group[0])
        attempts.fold(group)
        shifts.see(group)
    outcomes = dict(_answered(attempts.found))
    usual = median(outcome.seconds for outcome in outcomes.values()) if outcomes else SECONDS
    ends = {(a.lease, a.job): a.ended_at for a in attempts.found if a.answered and a.ended_at is not None}
    return Past(
        wishes=wishes,
        absences=absences,
        shifts=shifts.found,
        attempts=attempts.found,
        ready_at=attempts.ready_at,
        outcomes={**_broken_off(attempts.found, state.at, usual), **outcomes},
        ends=ends,
        usual_seconds=usual,
    )


def _absence(before: float, record: Record) -> Iterator[Absence]:
    """What its return tells of it; `before` is when it last recorded anything."""
    match record.event:
        case CoordinatorStarted() if record.position > 1:
            yield Absence(before, record.at)
        case CoordinatorStalled(seconds=seconds):
            yield Absence(max(before, record.at - seconds), record.at)
        case _:
            pass  # it was there


def _answered(attempts: Iterable[Attempt]) -> Iterator[tuple[tuple[BuildId, JobId], Outcome]]:
    """Of those that their worker answered; the time is that in a slot, so what a worker adds is in it."""
    for attempt in attempts:
        if attempt.answered and attempt.ended_at is not None:
            error = attempt.error if attempt.result == "failed" else None
            outcome = Outcome(attempt.seconds(attempt.ended_at), attempt.exit_code, error)
            yield (attempt.build, attempt.job), outcome


def _broken_off(
    attempts: Iterable[Attempt], now: float, usual: float
) -> dict[tuple[BuildId, JobId], Outcome]:
    """Of those that nobody saw the end of: as long as usual, but longer than it ever lasted."""
    seconds: dict[tuple[BuildId, JobId], float] = {}
    for attempt in attempts:
        if not attempt.answered and attempt.begun_at is not None and attempt.lease:
            key, lasted = (attempt.build, attempt.job), attempt.seconds(now)
            seconds[key] = max(usual, lasted + HAIR_SECONDS, seconds.get(key, 0.0))
    return {key: Outcome(lasted) for key, lasted in seconds.items()}


class _Shifts:
    """Looks on as workers come and go."""

    def __init__(self, state: State) -> None:
        self.found: list[Shift] = []
        self._state = state
        self._present: dict[WorkerId, Shift] = {}
        self._heard: dict[WorkerId, float] = {}
        self._leases = {id_: lease.worker for id_, lease in state.leases.items()}
        for id_ in state.silence:
            self._come(id_, state.at)

    def see(self, group: Sequence[Record]) -> None:
        """Take in the records of a command, which were folded."""
        for record in group:
            event, at = record.event, record.at
            match event:
                case HeartbeatReceived(worker=worker):
                    self._report(event, at)
                case WorkerLost(worker=worker):
                    self._go(worker, self._heard.get(worker, at), leaves=False)
                case JobLeased(worker=worker, lease=lease):
                    self._leases[lease] = worker
                case JobReleased(lease=lease, reason="lease-ran-out"):
                    self._go(self._leases[lease], self._heard.get(self._leases[lease], at), leaves=False)
                case WorkRequested(worker=worker):
                    self._heard[worker] = at
                case WorkersHeard(workers=workers):
                    self._heard.update(dict.fromkeys(workers, at))
                case ArtifactCached(worker=worker, job=job, digest=digest):
                    if worker in self._present:
                        self._present[worker].holds[job] = digest
                case _:
                    pass  # says nothing of who is there

    def _report(self, heard: HeartbeatReceived, at: float) -> None:
        self._heard[heard.worker] = at
        if heard.leaving or heard.draining:
            self._go(heard.worker, at, leaves=True)
            return
        shift = self._present.get(heard.worker)
        if shift is None:
            self._come(heard.worker, at)
        else:
            shift.slots = self._state.workers[heard.worker].slots

    def _come(self, id_: WorkerId, at: float) -> None:
        worker = self._state.workers[id_]
        self._heard[id_] = at
        shift = Shift(
            worker=id_,
            session=worker.session,
            slots=worker.slots,
            native=worker.native,
            labels=worker.labels,
            since=at,
        )
        self._present[id_] = shift
        self.found.append(shift)

    def _go(self, id_: WorkerId, at: float, *, leaves: bool) -> None:
        shift = self._present.pop(id_, None)
        if shift is not None:
            shift.until, shift.leaves = at, leaves
