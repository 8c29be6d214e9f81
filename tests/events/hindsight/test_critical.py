"""Which jobs determined the end of a build, what the others could have taken longer, and what would help."""

from typing import Any

import pytest
from hypothesis import given

from events.catalog import Record
from events.commands import CancelBuild, Settings, Tick
from events.fold import replay
from events.hindsight.critical import Saving, chain, savings, slack
from events.hindsight.past import Past, gather
from events.hindsight.whatif import simulate
from events.ids import BuildId
from events.state import State
from tests.events.farms import past, shift
from tests.events.hindsight.test_whatif import pasts
from tests.events.story import BUILD, OTHER, A, B, C, D, Story, V, W, beat, job, lease_id, start
from tests.golden.scenarios import READY, READY_TOO, done

# A, and then B beside C; D needs both.
DIAMOND = start(job(A), job(B, A), job(C, A), job(D, B, C))


def looked_at(records: list[Record], before: int = 0) -> tuple[State, Past]:
    end = replay(records[:before])
    return end, gather(end, records[before:])


def ran(imagined: Past) -> list[Record]:
    return list(simulate(State(), imagined, [BUILD]).records)


def links(records: list[Record], build: BuildId = BUILD) -> list[Any]:
    """Job, why it began just then, for how long it waited in vain, and ran."""
    end, found = looked_at(records)
    return [(link.attempt.job, link.why, link.gap, link.seconds) for link in chain(end, found, build).links]


def test_the_longer_way_is_the_critical_one() -> None:
    """On a farm with slots for all."""
    records = ran(past(DIAMOND, {A: 1.0, B: 2.0, C: 5.0, D: 1.0}, shift(W, 4)))
    assert links(records) == [
        (A, "sources-ready", 0.0, 1.0),
        (C, "dependency", 0.0, 5.0),
        (D, "dependency", 0.0, 1.0),
    ]
    end, found = looked_at(records)
    assert slack(end, found, BUILD) == {A: 0.0, B: 3.0, C: 0.0, D: 0.0}


def test_a_job_may_wait_for_a_slot_of_what_it_does_not_need() -> None:
    """Then what had the slot is in the chain."""
    records = ran(past(start(job(A), job(B), job(C)), {A: 4.0, B: 1.0, C: 2.0}, shift(W)))
    assert links(records) == [
        (A, "sources-ready", 0.0, 4.0),
        (B, "slot", 0.0, 1.0),
        (C, "slot", 0.0, 2.0),
    ]
    end, found = looked_at(records)
    assert slack(end, found, BUILD) == {A: 0.0, B: 0.0, C: 0.0}


def test_waiting_for_a_holder_or_for_any_worker_is_a_gap() -> None:
    """Half a second for the one that has the dependency, three until there was a worker at all."""
    records = ran(past(DIAMOND, {A: 1.0, B: 4.0, C: 4.0, D: 1.0}, shift(V, since=3.0), shift(W, since=3.5)))
    assert links(records) == [
        (A, "sources-ready", 3.0, 1.0),
        (C, "dependency", 0.5, 4.0),
        (D, "dependency", 0.0, 1.0),
    ]


def test_what_was_lost_is_in_the_chain() -> None:
    """With the time until it was missed, and what had to be done again."""
    story = Story(Settings(lease_seconds=5.0)).given(start(job(A), job(B, A)), READY, beat())
    story.when(beat(finished=(done(A, 1),)), at=2.0).when(Tick(), at=7.0).when(beat(V), at=8.0)
    story.when(beat(V, finished=(done(B, 3),)), at=11.0)
    assert links(story.records) == [
        (A, "sources-ready", 0.0, 2.0),
        (B, "dependency", 0.0, 5.0),
        (B, "lease-ran-out", 1.0, 3.0),
    ]


def test_a_build_that_failed_ended_with_the_failure() -> None:
    """Not with what was cancelled because of it; if it kept going, with what it went on with."""
    graph = start(job(A), job(B), job(C))
    story = Story().given(graph, READY, beat(slots=3, free=3))
    story.when(beat(slots=3, free=2, finished=(done(B, 2, "no"),), running=(lease_id(1),)), at=2.0)
    assert [link[0] for link in links(story.records)] == [B]
    story = Story().given(start(job(A), job(B), keep_going=True), READY, beat(slots=2, free=2))
    story.when(beat(slots=2, free=1, finished=(done(B, 2, "no"),), running=(lease_id(1),)), at=2.0)
    story.when(beat(slots=2, free=2, finished=(done(A, 1),)), at=5.0)
    assert [link[0] for link in links(story.records)] == [A]


def test_a_build_that_has_not_ended_waits_for_what_runs_longest() -> None:
    """Up to now; and so does one that was cancelled."""
    story = Story().given(start(job(A), job(B), job(C, B)), READY, beat()).when(beat(V), at=1.0)
    story.when(beat(V, finished=(done(B, 2),)), at=3.0)
    assert links(story.records) == [(A, "sources-ready", 0.0, 3.0)]
    story.when(CancelBuild(build=BUILD, reason=""), at=4.0)
    assert links(story.records) == [(A, "sources-ready", 0.0, 4.0)]


def test_a_build_of_which_nothing_ran_has_no_chain() -> None:
    """It uploads, or has no jobs."""
    story = Story().given(start(job(A)), start())
    assert links(story.records) == []
    assert links(story.given(READY_TOO).records, OTHER) == []


def test_another_build_may_have_had_the_slot() -> None:
    """Counted from when the build's own jobs might run."""
    story = Story().given(start(job(A)), READY, beat(), start(job(B))).when(READY_TOO, at=2.0)
    story.when(beat(finished=(done(A, 1),)), at=5.0).when(beat(finished=(done(B, 2),)), at=6.0)
    assert links(story.records, OTHER) == [(A, "sources-ready", 0.0, 3.0), (B, "slot", 0.0, 1.0)]


def test_what_helps_is_found_by_trying() -> None:
    """To halve C saves no more than lets B be the longer way; reused, a job takes no time at all."""
    records = ran(past(DIAMOND, {A: 1.0, B: 3.0, C: 5.0, D: 1.0}, shift(W, 4)))
    end, found = looked_at(records)
    seconds, tried = savings(State(), end, found, BUILD, [A, B, C, D])
    assert seconds == 7.0
    assert tried == [
        Saving(job=A, halved=0.5, cached=1.0),
        Saving(job=B, halved=0.0, cached=0.0),
        Saving(job=C, halved=2.0, cached=2.0),
        Saving(job=D, halved=0.5, cached=1.0),
    ]


def test_what_cannot_be_told_is_not_told() -> None:
    """A job that was reused took no time; one that nobody ran has no artifact."""
    story = Story().given(start(job(A)), READY, beat(), beat(finished=(done(A, 1),)))
    before = len(story.records)
    story.given(start(job(A), job(B)), READY_TOO)
    end, found = looked_at(story.records, before)
    nothing = [Saving(job=id_, halved=None, cached=None) for id_ in (A, B)]
    assert savings(replay(story.records[:before]), end, found, OTHER, [A, B])[1] == nothing


@given(pasts())
def test_the_chain_covers_the_whole_time(imagined: Past) -> None:
    """Each second belongs to one link, and no job has less slack than none."""
    records = ran(imagined)
    end, found = looked_at(records)
    whole = chain(end, found, BUILD)
    assert sum(link.gap + link.seconds for link in whole.links) == pytest.approx(whole.seconds)
    assert all(link.gap >= 0 and link.seconds >= 0 for link in whole.links)
    spare = slack(end, found, BUILD)
    assert all(seconds >= -1e-9 for seconds in spare.values())
    if end.builds[BUILD].status == "succeeded":
        assert spare[whole.links[-1].attempt.job] == 0.0
