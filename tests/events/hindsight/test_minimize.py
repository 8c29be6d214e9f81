"""A log shrinks to what shows a fault, and still shows that very fault."""

from collections.abc import Sequence

import pytest

from events.catalog import BuildStarted, BuildSucceeded, Event, JobAdded, JobLeased, Record
from events.hindsight.bisect import first_break
from events.hindsight.minimize import find, minimize, renumbered
from events.ids import Position
from tests.events.story import BUILD, OTHER, A, B, C, Story, V, W, beat, heard, job, leased, start
from tests.golden.scenarios import READY, READY_TOO, done


def story() -> Story:
    """Two builds, two workers, and much that does not matter."""
    told = Story().given(start(job(A), job(B, A)), start(job(C)), READY, READY_TOO, beat(), beat(V))
    return told.given(beat(finished=(done(A, 1),)))


def lying(event: Event) -> list[Record]:
    """With a last fact that no decider would write."""
    told = story()
    return [*told.records, Record(Position(len(told.records) + 1), told.now, event)]


def shrunk(records: Sequence[Record], invariant: str) -> list[Record]:
    fault = find(records, invariant)
    assert fault is not None
    kept = minimize(records, fault.is_shown)
    assert fault.is_shown(kept)
    assert [record.position for record in kept] == list(range(1, len(kept) + 1))
    return kept


def types(records: Sequence[Record]) -> list[str]:
    return [type(record.event).__name__ for record in records]


def test_a_contradiction_needs_few_records() -> None:
    """The other build, the workers and the dependency are gone, and the build counts its jobs anew."""
    kept = shrunk(lying(BuildSucceeded(build=BUILD)), "builds")
    assert types(kept) == ["BuildStarted", "JobAdded", "SourcesReady", "BuildSucceeded"]
    started, added = kept[0].event, kept[1].event
    assert isinstance(started, BuildStarted)
    assert isinstance(added, JobAdded)
    assert (started.build, started.jobs, added.deps) == (BUILD, 1, ())
    found = first_break(kept, "builds", is_thorough=True).found
    assert found is not None
    assert found.position == len(kept)


def test_an_invariant_of_records_needs_two() -> None:
    kept = shrunk(lying(leased(A, 1, worker=V, attempt=2)), "grants")
    assert types(kept) == ["JobLeased", "JobLeased"]


def test_the_fault_stays_the_same_one() -> None:
    """An illegal transition does not become a build that is not there."""
    kept = shrunk(lying(leased(A, 9)), "fold")
    assert types(kept)[-1] == "JobLeased"
    fault = find(kept, "fold")
    assert fault is not None
    assert fault.text.startswith("IllegalTransition")


def test_any_predicate_will_do() -> None:
    """It is asked of numbered records, never of none."""

    def two_leases(records: Sequence[Record]) -> bool:
        assert records == renumbered(records)
        assert records
        return sum(isinstance(record.event, JobLeased) for record in records) >= 2

    assert types(minimize(story().records, two_leases)) == ["JobLeased", "JobLeased"]


def test_it_ends_when_the_time_is_over() -> None:
    """With what there is by then, which fails."""
    asked: list[int] = []

    def fails(records: Sequence[Record]) -> bool:
        asked.append(len(records))
        return True

    records = story().records
    assert minimize(records, fails, goes_on=lambda: len(asked) < 2) == renumbered(records[-asked[-1] :])
    assert len(asked) == 2


def test_what_fails_not_cannot_be_shrunk() -> None:
    with pytest.raises(AssertionError, match="nothing to show"):
        minimize(story().records, lambda _: False)
    assert find(story().records, "builds") is None
    assert find([], "time") is None
    assert find(lying(heard(W)), "grants") is None
    assert OTHER
