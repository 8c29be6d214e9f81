"""What if? A farm of virtual workers in virtual time goes through a stretch of the past, perhaps changed.

The decisions are made by the production `execute`; clients wish what they wished, workers come and go when
they did, and jobs take as long as they took. What passes between coordinator and worker takes no time.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import TypeAlias

from attrs import Factory, define, frozen

from events.catalog import JobCancelled, JobFailed, JobLeased, JobReleased, Record
from events.commands import Command, Heartbeat, HearWorkers, RequestWork, Result, Tick
from events.decide import Context, execute
from events.decide.workers import deadline
from events.errors import Rejected
from events.hindsight.fork import fork
from events.hindsight.inputs import Given
from events.hindsight.past import HAIR_SECONDS, Outcome, Past, Shift
from events.ids import BuildId, JobId, LeaseId, WorkerId
from events.queue import Why
from events.schedule import opens_at
from events.state import State

# Sums of times that are equal may differ by less than this.
BREATH_SECONDS = 1e-6


@frozen
class _Done:
    """A job ends at its worker."""

    shift: Shift
    lease: LeaseId


@frozen
class _Come:
    shift: Shift


@frozen
class _Go:
    shift: Shift


@frozen
class _Look:
    """A job may have opened to more workers, or a deadline be over."""


_Happening: TypeAlias = Given | _Come | _Go | _Done | _Look


@frozen(kw_only=True)
class Course:
    """How it went: the records of it, and when each build ended; those that never end are not in it."""

    records: Sequence[Record]
    ended_at: Mapping[BuildId, float]

    def last_end(self, builds: Iterable[BuildId]) -> float | None:
        """When the last of the builds ends; None if one does not."""
        ends = [self.ended_at.get(build) for build in builds]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None


def simulate(
    state: State,
    past: Past,
    builds: Collection[BuildId],
    *,
    changed: Mapping[tuple[BuildId, JobId], Outcome] | None = None,
) -> Course:
    """Let the builds come to their ends, from `state` on, which stays as it is.

    `changed` has the jobs that run otherwise than they did.
    """
    farm = _Farm(fork(state), past, {**past.outcomes, **(changed or {})})
    farm.run(builds)
    ended = {id_: build.ended_at for id_, build in farm.state.builds.items() if build.has_ended}
    return Course(records=farm.records, ended_at={id_: ended[id_] for id_ in builds if id_ in ended})


@define(eq=False)
class _Hand:
    """A worker that is there; `running` has what it was given."""

    shift: Shift
    running: dict[LeaseId, JobId] = Factory(dict)
    is_silent: bool = False

    @property
    def room(self) -> int:
        return 0 if self.is_silent else max(0, self.shift.slots - len(self.running))


class _Farm:
    """The virtual farm; `state` is the coordinator's."""

    def __init__(self, state: State, past: Past, outcomes: Mapping[tuple[BuildId, JobId], Outcome]) -> None:
        self.state = state
        self.records: list[Record] = []
        self._now = state.at
        self._past = past
        self._outcomes = outcomes
        self._hands: dict[WorkerId, _Hand] = {}
        # Whose slots are free, longest waiting first.
        self._idle: dict[WorkerId, None] = {}
        self._agenda: list[tuple[float, bool, int, _Happening]] = []
        self._order = count()
        self._looks_at: float | None = None
        self._ids = count(state.position + 1)  # beyond those of an earlier simulation
        for given in past.wishes:
            self._plan(given.at, given)
        for shift in past.shifts:
            self._expect(shift)

    def run(self, builds: Collection[BuildId]) -> None:
        """Until all of the builds have ended, or nothing happens any more."""
        self._offer()
        while self._agenda and not self._is_over(builds):
            at, _, _, happening = heappop(self._agenda)
            heard_at = self._heard_at(at, happening)
            if heard_at > at:
                self._plan(heard_at, happening)
                continue
            self._now = max(self._now, at)
            self._happen(happening)
            self._offer()

    def _heard_at(self, at: float, happening: _Happening) -> float:
        """When the coordinator hears of it: it has to be there; and nobody hears a worker fall silent."""
        if isinstance(happening, _Go) and not happening.shift.leaves:
            return at
        return next((gap.until for gap in self._past.absences if gap.since < at < gap.until), at)

    def _is_over(self, builds: Collection[BuildId]) -> bool:
        known = self.state.builds
        return all(id_ in known and known[id_].has_ended for id_ in builds)

    def _plan(self, at: float, happening: _Happening) -> None:
        """Who leaves is the last to do something at that time."""
        heappush(self._agenda, (at, isinstance(happening, _Go), next(self._order), happening))

    def _expect(self, shift: Shift) -> None:
        """A worker that is there already runs what it runs, until it ended."""
        worker = self.state.workers.get(shift.worker)
        if shift.since > self.state.at or worker is None or worker.session != shift.session:
            self._plan(shift.since, _Come(shift))
        else:
            leases = self.state.leases_of.get(shift.worker, {})
            hand = self._hands[shift.worker] = _Hand(shift, {id_: job for job, id_ in leases.items()})
            self._idle[shift.worker] = None
            for lease, job in hand.running.items():
                as_usual = self.state.leases[lease].leased_at + self._outcome(lease).seconds
                ends_at = self._past.ends.get((lease, job), as_usual)
                self._plan(max(self._now, ends_at), _Done(shift, lease))
        if shift.until is not None:
            self._plan(shift.until if shift.leaves else shift.until + HAIR_SECONDS, _Go(shift))

    def _happen(self, happening: _Happening) -> None:
        match happening:
            case _Done():
                self._end(happening)
            case Given():
                self._submit(happening.command, happening.context())
            case _Come():
                self._come(happening.shift)
            case _Go():
                self._go(happening.shift)
            case _Look():
                self._looks_at = None
                self._ring()

    # --- workers

    def _come(self, shift: Shift) -> None:
        hand = self._hands[shift.worker] = _Hand(shift)
        self._report(hand, introduces=True)

    def _go(self, shift: Shift) -> None:
        """Say goodbye, or nothing any more."""
        hand = self._hands.get(shift.worker)
        if hand is None or hand.shift is not shift:
            return
        if shift.leaves:
            hand.running.clear()
            self._report(hand, leaving=True)
            del self._hands[shift.worker], self._idle[shift.worker]
        else:
            hand.is_silent = True

    def _end(self, done: _Done) -> None:
        hand = self._hands.get(done.shift.worker)
        if hand is None or hand.shift is not done.shift or hand.is_silent:
            return
        ended = [lease for lease in (done.lease, *self._ended_with(done)) if lease in hand.running]
        if ended:
            self._report(hand, *[self._result(lease, hand.running.pop(lease)) for lease in ended])

    def _ended_with(self, done: _Done) -> Iterator[LeaseId]:
        """What ended there at the same time is told in the same breath."""
        while self._agenda and self._agenda[0][0] <= self._now + BREATH_SECONDS:
            happening = self._agenda[0][-1]
            if not isinstance(happening, _Done) or happening.shift is not done.shift:
                return
            heappop(self._agenda)
            yield happening.lease

    def _result(self, lease: LeaseId, job: JobId) -> Result:
        outcome = self._outcome(lease)
        return Result(job=job, lease=lease, exit_code=outcome.exit_code, error=outcome.error)

    def _report(self, hand: _Hand, *results: Result, introduces: bool = False, leaving: bool = False) -> None:
        """A heartbeat; whoever reported last is asked last whether it has room."""
        shift = hand.shift
        self._idle.pop(shift.worker, None)
        self._idle[shift.worker] = None
        report = Heartbeat(
            worker=shift.worker,
            slots_free=hand.room,
            running=tuple(hand.running) if shift.native else tuple(hand.running.values()),
            finished=results,
            added=tuple(shift.holds) if introduces else (),
            digests=shift.holds if introduces else {},
            session=shift.session,
            slots=shift.slots if introduces else 0,
            labels=shift.labels if introduces else {},
            native=shift.native,
            leaving=leaving,
        )
        self._take(hand, self._submit(report, self._context()))

    def _take(self, hand: _Hand, records: Iterable[Record]) -> None:
        """Begin what was given."""
        for record in records:
            event = record.event
            if isinstance(event, JobLeased) and event.reason != Why.SHARED:
                hand.running[event.lease] = event.job
                self._plan(self._now + self._outcome(event.lease).seconds, _Done(hand.shift, event.lease))

    def _outcome(self, id_: LeaseId) -> Outcome:
        lease = self.state.leases[id_]
        known = (self._outcomes.get((build, lease.job)) for build in lease.builds)
        return next((outcome for outcome in known if outcome), Outcome(self._past.usual_seconds))

    # --- the coordinator

    def _submit(self, command: Command, context: Context) -> list[Record]:
        try:
            records = execute(self.state, command, context)
        except Rejected:
            return []  # in the past it was granted, since things stood otherwise
        self.records += records
        if any(isinstance(record.event, JobCancelled | JobFailed | JobReleased) for record in records):
            self._let_go()
        return records

    def _let_go(self) -> None:
        """Workers stop what nobody wants any more; a silent one does not hear of it."""
        for hand in self._hands.values():
            for lease in [id_ for id_ in hand.running if id_ not in self.state.leases]:
                del hand.running[lease]

    def _offer(self) -> None:
        """Whoever has room is asked as long as there is work; then see when there may be again."""
        for id_ in list(self._idle) if self.state.rotation else ():
            hand = self._hands[id_]
            if hand.room:
                asked = RequestWork(worker=id_, slots_free=hand.room)
                self._take(hand, self._submit(asked, self._context()))
                if not self.state.rotation:
                    break
        self._look_again()

    def _look_again(self) -> None:
        times = [self._deadline(hand) for hand in self._hands.values() if hand.is_silent]
        opens = opens_at(self.state, self._now)
        if opens is not None:
            times.append(opens)
        if times and (self._looks_at is None or min(times) < self._looks_at):
            self._looks_at = min(times)
            self._plan(self._looks_at, _Look())

    def _deadline(self, hand: _Hand) -> float:
        return deadline(self.state, self.state.workers[hand.shift.worker]) + HAIR_SECONDS

    def _ring(self) -> None:
        """The silent are found out; whoever else is there was heard of."""
        heard = tuple(id_ for id_, hand in self._hands.items() if not hand.is_silent)
        if len(heard) == len(self._hands):
            return
        self._submit(HearWorkers(workers=heard), self._context())
        self._submit(Tick(), self._context())
        for id_, hand in list(self._hands.items()):
            if hand.is_silent and not self.state.workers[id_].alive:
                del self._hands[id_], self._idle[id_]

    def _context(self) -> Context:
        return Context(self._now, lambda size: f"{next(self._ids):x}".rjust(2 * size, "f"))
