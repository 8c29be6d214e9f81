"""The fewest records of a log that still show what is wrong with it.

Whole commands are left out first, then builds, jobs and workers with all that speaks of them, then single
records, until nothing more can be; each time the rest is renumbered and has to show the same fault. What
the fault is, a predicate says.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import evolve, frozen

from events.catalog import BuildStarted, JobAdded, Record
from events.fold import fold
from events.hindsight.audit import NONSENSE
from events.hindsight.groups import groups
from events.hindsight.watches import WATCHES
from events.ids import Position
from events.state import State
from events.validate import problems

Fails = Callable[[Sequence[Record]], bool]
# What differs between faults of one kind: ids, numbers, names in quotes.
_PARTICULAR = re.compile(r"[0-9a-f]{8,}|\d+(?:\.\d+)?|'[^']*'")


@frozen(kw_only=True)
class Fault:
    """What an invariant's break looks like, whatever it is about: `kind` is its text without particulars."""

    invariant: str
    kind: str
    text: str

    def is_shown(self, records: Sequence[Record]) -> bool:
        """Does the last record, and none before it, show this fault?"""
        return any(_kind(text) == self.kind for text in _faults(records, self.invariant))


def find(records: Iterable[Record], invariant: str) -> Fault | None:
    """The fault that the last of the records show; None if they show none."""
    text = next(iter(_faults(list(records), invariant)), None)
    return None if text is None else Fault(invariant=invariant, kind=_kind(text), text=text)


def minimize(
    records: Sequence[Record], fails: Fails, goes_on: Callable[[], bool] = lambda: True
) -> list[Record]:
    """The fewest records, renumbered, that still fail; `goes_on` says whether there is time for more."""
    kept = renumbered(records)
    assert fails(kept), "there is nothing to show"
    trial = _Trial(fails, goes_on)
    before = len(kept) + 1
    while len(kept) < before and goes_on():
        before = len(kept)
        kept = trial.fewer(list(groups(kept)))
        for dropped in _things(kept):
            kept = trial.try_(kept, dropped(kept))
        kept = trial.fewer([[record] for record in kept])
    return kept


def renumbered(records: Iterable[Record]) -> list[Record]:
    """The records at positions 1, 2, 3 …"""
    return [record._replace(position=Position(n)) for n, record in enumerate(records, start=1)]


class _Trial:
    def __init__(self, fails: Fails, goes_on: Callable[[], bool]) -> None:
        self._fails = fails
        self._goes_on = goes_on

    def try_(self, kept: list[Record], fewer: Iterable[Record]) -> list[Record]:
        """The fewer records, if they fail as well."""
        candidate = renumbered(fewer)
        if len(candidate) < len(kept) and self._goes_on() and self._fails(candidate):
            return candidate
        return kept

    def fewer(self, parts: Sequence[Sequence[Record]]) -> list[Record]:
        """Leave out halves, quarters and so on of the parts, down to each alone (delta debugging)."""
        kept, size = list(parts), max(1, len(parts) // 2)
        while kept and self._goes_on():
            begin, had = 0, len(kept)
            while begin < len(kept):
                rest = [*kept[:begin], *kept[begin + size :]]
                if self._goes_on() and rest and self._fails(renumbered(_flat(rest))):
                    kept = rest
                else:
                    begin += size
            if size == 1 and len(kept) == had:
                break
            size = max(1, size // 2)
        return renumbered(_flat(kept))


def _flat(parts: Iterable[Sequence[Record]]) -> Iterator[Record]:
    for part in parts:
        yield from part


def _things(records: Sequence[Record]) -> Iterator[Callable[[Sequence[Record]], Iterator[Record]]]:
    """A way to do without each build, worker and job."""
    found: dict[tuple[str, str], None] = {}
    for record in records:
        for name in ("build", "worker", "job"):
            if value := getattr(record.event, name, ""):
                found[name, value] = None
    for name, value in found:
        yield lambda kept, name=name, value=value: _without(kept, name, value)  # type: ignore[misc]  # bound now


def _without(records: Sequence[Record], name: str, value: str) -> Iterator[Record]:
    """The records that are not about it; what only mentions a job forgets that."""
    added = [record.event for record in records if isinstance(record.event, JobAdded)]
    builds = {event.build for event in added if event.job == value}
    for record in records:
        event = record.event
        if getattr(event, name, "") == value:
            continue
        if name == "job" and isinstance(event, JobAdded) and value in event.deps:
            event = evolve(event, deps=tuple(dep for dep in event.deps if dep != value))
        if name == "job" and isinstance(event, BuildStarted) and event.build in builds:
            event = evolve(event, jobs=event.jobs - 1)
        yield record._replace(event=event)


def _faults(records: Sequence[Record], invariant: str) -> list[str]:
    """What is wrong after the last of the records, if nothing is with those before it."""
    if not records:
        return []
    if invariant in WATCHES:
        watch = WATCHES[invariant]()
        wrong = [watch(record) for record in records]
        return [wrong[-1]] if wrong[-1] and not any(wrong[:-1]) else []
    state = State()
    try:
        for record in records:
            fold(state, record)
    except NONSENSE:
        return []
    return problems(state, invariant)


def _kind(text: str) -> str:
    return _PARTICULAR.sub("#", text)
