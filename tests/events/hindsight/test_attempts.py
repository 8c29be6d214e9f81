"""For each attempt: what queued it, whose slot it got, and when it had one."""

from typing import Any

from events.commands import CancelBuild, Result, Settings, Tick
from events.fold import replay
from events.hindsight.attempts import Attempt, Attempts
from events.hindsight.groups import groups
from events.ids import JobId
from tests.events.story import BUILD, OTHER, A, B, C, D, Story, V, beat, job, lease_id, start
from tests.golden.scenarios import READY, READY_TOO, done


def attempts(story: Story, after: int = 0) -> list[Attempt]:
    """Of the records beyond a position."""
    watch = Attempts(replay(story.records[:after]))
    for group in groups(story.records[after:]):
        watch.fold(group)
    return watch.found


def told(found: list[Attempt], *names: str) -> list[Any]:
    """Job, what it waited for, and more fields."""
    return [
        (a.job[0], a.because, _name(a.after), _name(a.slot_after), *(getattr(a, name) for name in names))
        for a in found
    ]


def _name(attempt: Attempt | None) -> str | None:
    return None if attempt is None else f"{attempt.job[0]}{attempt.number}"


def test_a_job_waits_for_its_last_dependency() -> None:
    """And the first of them for the sources."""
    story = Story().given(start(job(A), job(B), job(C, A, B)), READY, beat(slots=2, free=2))
    story.when(beat(slots=2, free=1, running=(lease_id(2),), finished=(done(A, 1),)), at=1.0)
    story.when(beat(slots=2, free=2, finished=(done(B, 2, "exit status 1"),)), at=3.0)
    assert told(attempts(story), "ended_at", "result", "answered") == [
        ("a", "sources-ready", None, None, 1.0, "succeeded", True),
        ("b", "sources-ready", None, None, 3.0, "failed", True),
    ]
    story = Story().given(start(job(A), job(B), job(C, A, B)), READY, beat(slots=2, free=2))
    story.when(beat(slots=2, free=1, running=(lease_id(2),), finished=(done(A, 1),)), at=1.0)
    story.when(beat(slots=2, free=2, finished=(done(B, 2),)), at=3.0)
    assert told(attempts(story), "queued_at", "begun_at", "result")[-1] == (
        *("c", "dependency", "b1", None),
        *(3.0, 3.0, "running"),
    )


def test_a_job_waits_for_a_slot() -> None:
    """Of two that were freed at once, each gets its own."""
    story = Story().given(start(job(A), job(B), job(C), job(D)), READY, beat(slots=2, free=2))
    story.when(beat(slots=2, free=2, finished=(done(A, 1), done(B, 2))), at=2.0)
    assert told(attempts(story), "queued_at", "begun_at")[2:] == [
        ("c", "sources-ready", None, "b1", 0.0, 2.0),
        ("d", "sources-ready", None, "a1", 0.0, 2.0),
    ]


def test_a_slot_that_was_free_anyway_is_nobodys() -> None:
    """Another worker had room all the time, but did not ask."""
    story = Story().given(start(job(A), job(B)), READY, beat(slots=2, free=1))
    story.when(beat(slots=2, free=2, finished=(done(A, 1),)), at=2.0)
    assert told(attempts(story))[1] == ("b", "sources-ready", None, None)


def test_a_worker_that_was_given_more_than_it_has_slots_for_makes_jobs_wait() -> None:
    """They begin when a slot becomes free there, in order; what is taken back before never begins."""
    story = Story().given(start(job(A), job(B), job(C)), READY, beat(slots=1, free=3))
    story.when(beat(slots=1, free=2, running=(lease_id(2), lease_id(3)), finished=(done(A, 1),)), at=2.0)
    assert told(attempts(story), "leased_at", "begun_at") == [
        ("a", "sources-ready", None, None, 0.0, 0.0),
        ("b", "sources-ready", None, "a1", 0.0, 2.0),
        ("c", "sources-ready", None, None, 0.0, None),
    ]
    story.when(beat(slots=1, free=3, session="2"), at=3.0)
    assert told(attempts(story), "begun_at", "result")[1:3] == [
        ("b", "sources-ready", None, "a1", 2.0, "released"),
        ("c", "sources-ready", None, "b1", 3.0, "released"),
    ]


def test_a_job_is_tried_again_after_it_was_taken_back() -> None:
    story = Story(Settings(lease_seconds=5.0)).given(start(job(A)), READY, beat())
    story.when(Tick(), at=6.0).when(beat(V), at=7.0)
    assert told(attempts(story), "number", "queued_at", "begun_at", "error") == [
        ("a", "sources-ready", None, None, 1, 0.0, 0.0, "lease-ran-out"),
        ("a", "lease-ran-out", "a1", None, 2, 6.0, 7.0, ""),
    ]


def test_a_job_runs_again_because_its_artifact_was_lost() -> None:
    """With the worker that ran what needs it."""
    story = Story().given(start(job(A), job(B, A)), READY, beat(), beat(finished=(done(A, 1),)))
    story.when(beat(session="2"), at=4.0)
    assert told(attempts(story), "number") == [
        ("a", "sources-ready", None, None, 1),
        ("b", "dependency", "a1", None, 1),
        ("a", "artifact-lost", "b1", None, 2),
    ]


def test_what_is_reused_does_not_run() -> None:
    """What needs it goes on from there."""
    story = Story().given(start(job(A), job(B, A)), READY, beat(free=0), beat(), beat(finished=(done(A, 1),)))
    after = len(story.records)
    story.given(start(job(A), job(B, A, say="other")), READY_TOO)
    story.when(beat(finished=(done(B, 2),)), at=1.0)
    found = [attempt for attempt in attempts(story, after) if attempt.build == OTHER]
    assert told(found, "result", "begun_at", "ended_at") == [
        ("a", "sources-ready", None, None, "reused", 0.0, 0.0),
        ("b", "sources-ready", "a0", "b1", "running", 1.0, None),
    ]


def test_builds_that_share_a_lease_share_its_slot() -> None:
    """One of them may be cancelled; the slot is taken until the lease ends."""
    story = Story().given(start(job(A), job(B)), start(job(A)), READY, READY_TOO, beat(free=0), beat())
    story.given(CancelBuild(build=OTHER, reason="")).when(beat(finished=(done(A, 1),)), at=2.0)
    assert told(attempts(story), "build", "result", "ended_at") == [
        ("a", "sources-ready", None, None, BUILD, "succeeded", 2.0),
        ("a", "sources-ready", None, None, OTHER, "cancelled", 0.0),
        ("b", "sources-ready", None, "a1", BUILD, "running", None),
    ]


def test_what_ran_already_is_looked_at_from_the_middle() -> None:
    """With the times that State knows."""
    story = Story().given(start(job(A), job(B)), READY, beat()).when(beat(V), at=1.0)
    after = len(story.records)
    story.when(beat(finished=(done(A, 1),)), at=3.0)
    assert told(attempts(story, after), "leased_at", "begun_at", "ended_at") == [
        ("a", "dependency", None, None, 0.0, 0.0, 3.0),
        ("b", "dependency", None, None, 1.0, 1.0, None),
    ]


def test_only_a_workers_own_word_is_an_answer() -> None:
    """Not the failure of a job that lost too many workers, nor one that could not be tried."""
    story = Story(Settings(losses_max=1)).given(start(job(A), job(B, A), keep_going=True), READY, beat())
    story.when(beat(session="2"), at=1.0)
    assert told(attempts(story), "result", "answered") == [
        ("a", "sources-ready", None, None, "failed", False)
    ]
    story = Story().given(start(job(A), job(B, A)), READY, beat(), beat(finished=(done(A, 1),)))
    lacks = Result(job=B, lease=lease_id(2), exit_code=-1, error="", lost=(JobId("f" * 40),))
    story.when(beat(finished=(lacks,)), at=1.0)
    assert told(attempts(story), "result", "answered")[1:] == [
        ("b", "dependency", "a1", None, "released", False),
        ("b", "artifact-unavailable", "b1", None, "running", False),
    ]
