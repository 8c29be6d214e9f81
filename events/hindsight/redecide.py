"""Would it be decided the same today? Each recorded command is given to today's deciders again.

Command by command, fact by fact, on the state as it was recorded. With the first fact that differs the
states part, and whatever follows would only follow from that; so it ends there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from attrs import evolve, frozen

from events.catalog import (
    BuildCancelled,
    BuildFailed,
    BuildSucceeded,
    Event,
    HeartbeatReceived,
    JobQueued,
    JobReused,
    Record,
    WorkerRestarted,
)
from events.decide import decide, execute
from events.errors import Rejected
from events.fold import fold
from events.hindsight.audit import NONSENSE
from events.hindsight.fork import fork
from events.hindsight.groups import groups
from events.hindsight.inputs import Given, recover
from events.hindsight.past import gather
from events.hindsight.whatif import Course, simulate
from events.ids import BuildId, Position
from events.state import State

# What older records do not tell: where it is left out it is no difference, whatever it would be today.
LATER: Mapping[type[Event], Sequence[str]] = {
    HeartbeatReceived: ("lost",),
    JobQueued: ("reason",),
    JobReused: ("stdout_bytes", "stderr_bytes"),
}


@frozen(kw_only=True)
class Difference:
    """The first command that would be decided otherwise, with all its records.

    `position` is that of the first record that differs; of the one after them, if today there were more.
    """

    position: Position
    given: Given
    recorded: Sequence[Record]


@frozen(kw_only=True)
class Verdict:
    """So many commands up to a position were decided again; `difference` is None if all were the same.

    `is_cut_off`: today there would be more after the last record; the log may have been cut off there.
    """

    commands: int
    position: Position
    difference: Difference | None = None
    is_cut_off: bool = False


class Today(NamedTuple):
    """What would be decided today, or why it would be refused, or what would break."""

    records: Sequence[Record]
    refusal: str


@frozen(kw_only=True)
class Effect:
    """What a difference does to the builds that were active then: when the last of them ends.

    In seconds after the command: as the log tells, as simulated from the recorded decision, and as
    simulated from today's; None for what does not end. Both simulations go on with today's deciders.
    """

    builds: Sequence[BuildId]
    logged: float | None
    recorded: float | None
    today: float | None


def redecide(state: State, records: Iterable[Record], since: Position) -> Verdict:
    """Fold the records onto `state`; from the command that has the record at `since` on, decide again.

    Raises `Unrecoverable` where records are no commands.
    """
    commands, doubt = 0, None
    for group in groups(records):
        if doubt is not None:
            return Verdict(commands=commands, position=Position(group[0].position - 1), difference=doubt)
        if group[-1].position < since:
            _fold_all(state, group)
            continue
        given = recover(state, group)
        place = _parting(state, group, given)
        if place is None:
            commands += 1
            continue
        difference = Difference(position=Position(group[0].position + place), given=given, recorded=group)
        if place < len(group):
            return Verdict(commands=commands, position=group[-1].position, difference=difference)
        doubt = difference
    return Verdict(commands=commands, position=state.position, is_cut_off=doubt is not None)


def today(state: State, given: Given) -> Today:
    """What is decided on `state`, which stays as it is."""
    forked = fork(state)
    try:
        return Today(execute(forked, given.command, given.context()), "")
    except Rejected as error:
        return Today((), str(error))
    except NONSENSE as error:
        return Today((), f"{type(error).__name__}: {error}")


def effect(state: State, difference: Difference, rest: Iterable[Record]) -> Effect:
    """What the difference does to the builds; `state` is that before it, `rest` the records after it."""
    recorded, decided = fork(state), fork(state)
    _fold_all(recorded, difference.recorded)
    _fold_all(decided, today(state, difference.given).records)
    builds, now = tuple(recorded.active), difference.given.at
    end = fork(recorded)
    past = gather(end, _until_ended(rest, builds))
    logged = {id_: end.builds[id_].ended_at for id_ in builds if end.builds[id_].has_ended}
    there = [id_ for id_ in builds if id_ in decided.builds]
    return Effect(
        builds=builds,
        logged=_after(now, Course(records=(), ended_at=logged), builds),
        recorded=_after(now, simulate(recorded, past, builds), builds),
        today=_after(now, simulate(decided, past, there), builds),
    )


def _parting(state: State, group: Sequence[Record], given: Given) -> int | None:
    """Fold the records of the group as far as the same is decided today.

    Returns the place of the first that is not; None if all are, their number if there would be more.
    """
    place = 0
    try:
        for event in decide(state, given.command, given.context()):
            if place == len(group):
                return place
            recorded = group[place].event
            if isinstance(event, WorkerRestarted) and type(recorded) is not WorkerRestarted:
                continue  # an older log goes without; it moves nothing
            if recorded != event and recorded != _as_told(recorded, event):
                return place
            fold(state, group[place])
            place += 1
    except (Rejected, *NONSENSE):
        return min(place, len(group) - 1)
    return None if place == len(group) else place


def _as_told(recorded: Event, event: Event) -> Event:
    """The event without what the recorded one may not tell because it is older."""
    if type(recorded) is not type(event):
        return event
    untold = [name for name in LATER.get(type(event), ()) if not getattr(recorded, name)]
    return evolve(event, **{name: getattr(recorded, name) for name in untold})


def _fold_all(state: State, records: Iterable[Record]) -> None:
    for record in records:
        fold(state, record)


def _until_ended(records: Iterable[Record], builds: Iterable[BuildId]) -> Iterator[Record]:
    """The records up to the end of the last of the builds."""
    left = set(builds)
    for record in records:
        if not left:
            return
        if isinstance(record.event, BuildCancelled | BuildFailed | BuildSucceeded):
            left.discard(record.event.build)
        yield record


def _after(now: float, course: Course, builds: Sequence[BuildId]) -> float | None:
    end = course.last_end(builds)
    return None if end is None else end - now
