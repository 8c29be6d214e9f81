"""Reports that say nothing new: which are, and what is left of them."""

import pytest

from events.catalog import TimePassed, WorkerLost, WorkersHeard
from events.commands import FinishUpload, Heartbeat, HearWorkers, Result, Settings, Tick
from events.decide import Context, execute
from events.decide.quiet import WORKERS_PER_RECORD, is_quiet
from events.decide.workers import next_deadline
from events.ids import WorkerId
from events.state import State
from tests.events.story import BUILD, LEASE, A, B, Story, V, W, X, beat, heard, job, lease_id, plain, start

SETTINGS = Settings(lease_seconds=30.0, worker_silence_seconds=30.0)
READY = FinishUpload(build=BUILD)


def quiet(story: Story, command: Heartbeat) -> bool:
    return is_quiet(story.state, command, story.now)


@pytest.mark.parametrize(
    "command", [beat(), beat(slots=0), beat(running=None), plain(), plain(running=None)], ids=repr
)
def test_an_idle_worker_that_says_the_same_again_is_quiet(command: Heartbeat) -> None:
    """Once it is known, whatever its dialect's way to say that it runs nothing."""
    story = Story()
    assert not quiet(story, command)
    assert quiet(story.given(command), command)


@pytest.mark.parametrize(
    "command",
    [
        beat(free=2),
        beat(slots=2),
        beat(labels={"os": "linux"}),
        beat(session="2"),
        beat(running=("stray",)),
        beat(finished=(Result(job=A),)),
        beat(added=(A,)),
        beat(dropped=(A,)),
        beat(draining=True),
        beat(leaving=True),
        beat(free=0, running=None),
        beat(V),
    ],
    ids=repr,
)
def test_whoever_says_anything_new_is_not(command: Heartbeat) -> None:
    """Even where it changes little."""
    assert not quiet(Story().given(beat()), command)


def test_a_lost_worker_that_reports_again_is_news() -> None:
    """So is one that no longer drains."""
    story = Story(SETTINGS).given(beat()).when(Tick(), at=30.0)
    assert not quiet(story, beat())
    assert not quiet(Story().given(beat(draining=True)), beat())


def test_a_worker_at_work_is_quiet_from_its_second_report_on() -> None:
    """The first one shows that it beats while it works; all that it was given must be named."""
    story = Story(SETTINGS).given(start(job(A), job(B)), READY, beat(slots=2, free=2))
    busy = beat(slots=2, free=0, running=(LEASE, lease_id(2)))
    assert not quiet(story, busy)
    assert quiet(story.given(busy), busy)
    assert not quiet(story, beat(slots=2, free=0, running=(LEASE,)))
    assert not quiet(story, beat(slots=2, free=0, running=None))
    assert not quiet(story, beat(slots=2, free=1, running=(LEASE, lease_id(2))))


def test_a_worker_for_which_there_is_work_is_not_quiet() -> None:
    """It is given a job; one without a free slot is not."""
    story = Story().given(beat(), beat(V, free=0), start(job(A)), READY)
    assert not quiet(story, beat())
    assert quiet(story, beat(V, free=0))


def test_a_worker_that_is_to_let_go_of_a_lease_is_not_quiet() -> None:
    """Until it no longer runs it."""
    story = Story(SETTINGS).given(start(job(A)), READY, beat())
    story.when(Tick(), at=30.0).given(beat(free=0, running=(LEASE,)))
    assert story.state.revoked
    assert not quiet(story, beat(free=0, running=(LEASE,)))


def test_those_who_were_heard_are_not_silent() -> None:
    """In the order in which they reported; the others are lost."""
    story = Story(SETTINGS).given(beat(V), beat(W), beat(X)).when(HearWorkers(workers=(X, V)), at=20.0)
    story.then(WorkersHeard(workers=(X, V)))
    assert list(story.state.silence) == [W, X, V]
    story.when(Tick(), at=30.0).then(TimePassed(), WorkerLost(worker=W, reason="silent"))
    assert next_deadline(story.state) == 50.0


def test_a_lease_lives_on_while_its_worker_is_heard() -> None:
    story = Story(SETTINGS).given(start(job(A)), READY, beat(), beat(free=0, running=(LEASE,)))
    for _ in range(5):
        story.when(HearWorkers(workers=(W,)), at=story.now + 29.0).when(Tick()).then()
    assert LEASE in story.state.leases
    story.when(beat(free=0, running=(LEASE,))).then(heard(free=0))


def test_nobody_is_heard_who_is_not_here() -> None:
    """Lost meanwhile, or never seen."""
    story = Story(SETTINGS).given(beat(V), beat(W)).given(beat(V, leaving=True))
    story.when(HearWorkers(workers=(V, W, X, W))).then(WorkersHeard(workers=(W,)))
    story.when(HearWorkers(workers=(V, X))).then()


def test_no_record_grows_with_the_farm() -> None:
    """Of so many that they would make a long record, there are two."""
    state, workers = State(), tuple(WorkerId(f"w{number}") for number in range(WORKERS_PER_RECORD + 1))
    context = Context(1.0, lambda _size: "")
    for worker in workers:
        execute(state, beat(worker), context)
    events = [record.event for record in execute(state, HearWorkers(workers=workers), context)]
    assert events == [WorkersHeard(workers=workers[:-1]), WorkersHeard(workers=workers[-1:])]
