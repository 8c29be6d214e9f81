"""What the log tells of workers, clients and how long jobs took."""

from typing import Any

from attrs import evolve

from events.commands import (
    CancelBuild,
    HearWorkers,
    RequestWork,
    ResumeAfterStall,
    Settings,
    StartCoordinator,
    Tick,
)
from events.fold import replay
from events.hindsight.inputs import Given
from events.hindsight.past import SECONDS, Outcome, Past, gather
from events.state import State
from tests.events.story import BUILD, A, B, C, D, S, Story, V, W, X, beat, job, lease_id, plain, start, store
from tests.golden.scenarios import READY, done


def past(story: Story, after: int = 0) -> Past:
    return gather(replay(story.records[:after]), story.records[after:])


def shifts(found: Past, *names: str) -> list[Any]:
    return [(s.worker, *(getattr(s, name) for name in names)) for s in found.shifts]


def test_what_clients_wish_is_told_with_its_time() -> None:
    """What workers say, and what time does, is not a wish."""
    graph, cancel = start(job(A, inputs=("s",))), CancelBuild(build=BUILD, reason="enough")
    story = Story().given(beat(), graph, store(S), READY).when(RequestWork(worker=W, slots_free=1), at=2.0)
    story.when(beat(session="2"), at=3.0).when(HearWorkers(workers=(W,)), at=4.0)
    story.when(Tick(), at=99.0).when(cancel, at=100.0)
    assert past(story).wishes == [
        Given(graph, 0.0, (BUILD,)),
        Given(store(S), 0.0, ()),
        Given(READY, 0.0, ()),
        Given(cancel, 100.0, ()),
    ]


def test_workers_come_and_go() -> None:
    """One stays, one leaves, one drains, one restarts, one falls silent and comes back."""
    story = Story(Settings(lease_seconds=5.0, worker_silence_seconds=8.0)).given(beat(), beat(V))
    story.when(beat(V, leaving=True), at=1.0).when(beat(V, session="2", slots=3), at=2.0)
    story.when(beat(V, session="2", draining=True), at=3.0).when(beat(V, session="2", draining=True), at=4.0)
    story.when(beat(session="2"), at=5.0).when(HearWorkers(workers=(V, W)), at=6.0)
    story.when(plain(X, 2), at=7.0).when(Tick(), at=14.5).when(beat(session="2"), at=16.0)
    assert shifts(past(story), "session", "slots", "native", "since", "until", "leaves") == [
        (W, "1", 1, True, 0.0, 0.0, False),
        (V, "1", 1, True, 0.0, 1.0, True),
        (V, "2", 3, True, 2.0, 3.0, True),
        (W, "2", 1, True, 5.0, 6.0, False),
        (X, "", 2, False, 7.0, None, False),
        (W, "2", 1, True, 16.0, None, False),
    ]


def test_whoever_lets_a_lease_run_out_has_fallen_silent() -> None:
    """Even if the records end before it is lost."""
    story = Story(Settings(lease_seconds=5.0)).given(start(job(A)), READY, beat()).when(Tick(), at=6.0)
    assert shifts(past(story), "since", "until") == [(W, 0.0, 0.0)]


def test_workers_bring_artifacts_along() -> None:
    """What they make is not among them."""
    story = Story().given(start(job(A), job(B)), READY, beat(added=(D,), digests={D: "f" * 64}))
    story.given(beat(finished=(done(A, 1),), added=(A, C)))
    assert [shift.holds for shift in past(story).shifts] == [{D: "f" * 64, C: ""}]


def test_workers_that_were_there_before_are_there() -> None:
    story = Story().given(beat(slots=2, labels={"arch": "arm64"})).when(start(job(A)), at=5.0)
    found = past(story, len(story.records))
    assert shifts(found, "slots", "labels", "since", "until") == [(W, 2, {"arch": "arm64"}, 5.0, None)]


def test_jobs_take_as_long_as_they_had_a_slot() -> None:
    """Of those that never ended: as long as usual, or as long as they ran."""
    story = Story().given(start(*map(job, (A, B, C, D))), READY, beat(slots=2, free=3))
    story.when(beat(slots=2, free=3, finished=(done(A, 1),), running=(lease_id(2), lease_id(3))), at=2.0)
    story.when(beat(slots=2, free=3, finished=(done(C, 3),), running=(lease_id(2), lease_id(4))), at=9.0)
    story.when(CancelBuild(build=BUILD, reason="enough"), at=10.0)
    found = past(story)
    assert found.outcomes == {
        (BUILD, A): Outcome(2.0),
        (BUILD, C): Outcome(7.0),
        (BUILD, B): Outcome(10.001),
        (BUILD, D): Outcome(4.5),
    }
    assert found.usual_seconds == 4.5
    assert found.ends == {(lease_id(1), A): 2.0, (lease_id(3), C): 9.0}
    assert found.ready_at == {BUILD: 0.0}


def test_failures_are_outcomes_if_a_worker_says_so() -> None:
    """The coordinator's own verdict on a job that kills workers is not one."""
    story = Story(Settings(losses_max=1)).given(start(job(A), job(B), keep_going=True), READY, beat())
    story.when(beat(finished=(evolve(done(A, 1, "exit status 3"), exit_code=3),)), at=2.0)
    story.when(beat(session="2"), at=3.0)
    assert past(story).outcomes == {(BUILD, A): Outcome(2.0, 3, "exit status 3"), (BUILD, B): Outcome(2.0)}


def test_the_coordinator_is_away_between_its_lives() -> None:
    """And while it stood still; its first start ends no absence."""
    story = Story(Settings()).when(beat(), at=1.0).when(StartCoordinator(version="2"), at=7.0)
    story.when(beat(), at=9.0).when(ResumeAfterStall(seconds=4.0), at=14.0)
    story.when(ResumeAfterStall(seconds=4.0), at=16.0)
    assert past(story).absences == [(1.0, 7.0), (10.0, 14.0), (14.0, 16.0)]


def test_nothing_is_known_of_nothing() -> None:
    found = gather(State(), [])
    assert (found.wishes, found.shifts, found.outcomes) == ([], [], {})
    assert found.usual_seconds == SECONDS
