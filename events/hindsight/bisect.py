"""Where in a log does something stop being true? The first command after which an invariant does not hold.

What can be said of one record after the other is looked at with each of them. A check of the whole State
costs as much as State is large, so it is made whenever so many records have passed; and from the last look
that found all well to the first that did not, ever more closely, down to one command: before it the
invariant holds, after it not. What broke and healed between two looks only a thorough search sees, which
looks after every command. Halving the log would be wrong of what may heal.

Looks are between commands: within one a relation may be half done.
"""

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from events.catalog import Record
from events.hindsight.audit import fold_record
from events.hindsight.fork import fork
from events.hindsight.groups import groups
from events.hindsight.watches import WATCHES
from events.ids import Position
from events.state import State
from events.validate import CHECKS, problems

# Into so many parts a stretch is divided to be looked at more closely.
PARTS = 16
# Looks are at least so many records apart at first.
APART_MIN = 64

INVARIANTS: Mapping[str, str] = {
    "builds": "builds, their graphs, keys and statuses agree",
    "graphs": "counts, dependents and what jobs wait for are as the jobs say",
    "queues": "who is queued stands in line, and nobody else",
    "leases": "leases are those of the jobs that run",
    "typed": "leases of typed jobs are heard of by themselves, and those that were cancelled are over",
    "workers": "workers are in the order of their silence, with room for what they run",
    "artifacts": "who holds what is the same from both sides",
    "requests": "open requests have not ended, and each is numbered, as builds are",
    "files": "files are sources, and only declared outputs are still to be kept",
    "containers": "only what names an image runs in containers, and is not begun anew too often",
    "fold": "each record can follow from those before it",
    "time": "time does not fall",
    "positions": "positions count up without a hole",
    "attempts": "the attempts of a job count up by one",
    "grants": "a lease is for one job and one worker",
    "endings": "what has ended does not move",
}
assert INVARIANTS.keys() == CHECKS.keys() | WATCHES.keys()


@frozen(kw_only=True)
class Break:
    """The command, or the one record, from `began_at` to `position`, after which it does not hold."""

    began_at: Position
    position: Position
    problems: Sequence[str]


@frozen(kw_only=True)
class Search:
    """How many looks it took, and what was found; None if it holds in all of the records."""

    records: int
    looks: int
    found: Break | None


def first_break(records: Iterable[Record], name: str, *, is_thorough: bool = False) -> Search:
    """Search the log for the first break of an invariant; raises `CorruptLog` if State cannot be had."""
    if name in WATCHES:
        return _watched(records, name)
    return _Looks(name).search(records, is_thorough=is_thorough)


def _watched(records: Iterable[Record], name: str) -> Search:
    watch, count = WATCHES[name](), 0
    for count, record in enumerate(records, start=1):  # it is what is returned
        wrong = watch(record)
        if wrong:
            place = record.position
            found = Break(began_at=place, position=place, problems=[wrong])
            return Search(records=count, looks=count, found=found)
    return Search(records=count, looks=count, found=None)


class _Looks:
    """Checks of the whole State, and how many there were."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._looks = 0

    def search(self, records: Iterable[Record], *, is_thorough: bool) -> Search:
        """Look when as much has happened as there is to look at, so that it costs no more than a replay."""
        state, since, passed, count = State(), list[list[Record]](), 0, 0
        sound, due = fork(state), APART_MIN
        for group in groups(records):
            _fold(state, group)
            since.append(group)
            passed, count = passed + len(group), count + len(group)
            if not is_thorough and passed < due:
                continue
            if self._look(state):
                return self._found(state if is_thorough else None, sound, since, count)
            since, passed, due = [], 0, max(APART_MIN, _size(state))
            sound = sound if is_thorough else fork(state)
        if since and self._look(state):
            return self._found(None, sound, since, count)
        return Search(records=count, looks=self._looks, found=None)

    def _found(
        self, broken: State | None, sound: State, since: Sequence[Sequence[Record]], count: int
    ) -> Search:
        """`sound` is the state at the last look, `since` the commands after it, of which one broke it."""
        while len(since) > 1:
            sound, since = self._closer(sound, since)
        if broken is None:
            broken = fork(sound)
            _fold(broken, since[0])
        place = Break(
            began_at=since[0][0].position,
            position=since[0][-1].position,
            problems=problems(broken, self._name),
        )
        return Search(records=count, looks=self._looks, found=place)

    def _closer(
        self, sound: State, since: Sequence[Sequence[Record]]
    ) -> tuple[State, Sequence[Sequence[Record]]]:
        """The first part of the stretch in which it breaks."""
        state, step = fork(sound), -(-len(since) // PARTS)
        for begin in range(0, len(since), step):
            part = since[begin : begin + step]
            before = fork(state)
            for group in part:
                _fold(state, group)
            if begin + step >= len(since) or self._look(state):
                return before, part
        raise AssertionError("the last part ends where it was broken")

    def _look(self, state: State) -> bool:
        self._looks += 1
        return bool(problems(state, self._name))


def _fold(state: State, group: Iterable[Record]) -> None:
    for record in group:
        fold_record(state, record)


def _size(state: State) -> int:
    """How much there is to look at."""
    jobs = sum(len(graph.jobs) for graph in state.graphs.values())
    return jobs + len(state.workers) + len(state.leases) + len(state.holders)
