"""Whatever a command brought is found again in its records, as far as it made a difference."""

from collections.abc import Callable

import pytest
from attrs import evolve, fields

from events.catalog import CoordinatorStarted, HeartbeatReceived, JobReleased, Record
from events.commands import (
    CancelBuild,
    Command,
    DropSource,
    FinishUpload,
    ForgetBuild,
    Heartbeat,
    HearWorkers,
    RequestWork,
    Result,
    ResumeAfterStall,
    Settings,
    StartCoordinator,
    Tick,
)
from events.fold import replay
from events.hindsight.groups import groups
from events.hindsight.inputs import NO_JOB, Unrecoverable, recover
from events.ids import LeaseId, Position
from tests.events.redecided import decided_again
from tests.events.story import (
    BUILD,
    A,
    B,
    C,
    D,
    S,
    Story,
    T,
    V,
    W,
    beat,
    build_id,
    job,
    lease_id,
    leased,
    plain,
    start,
    store,
)
from tests.golden.scenarios import READY, SCENARIOS, done

LONG_AGO = Settings(lease_seconds=1.0, worker_silence_seconds=2.0, deps_timeout=3.0, losses_max=4)
GRAPH = start(job(A, inputs=("s",), seconds=7.0), job(B, A, inputs=("s", "t")), key="k", keep_going=True)


def told(story: Story) -> Command:
    """The last command, as its records tell it."""
    *before, records = groups(story.records)
    return recover(replay(record for group in before for record in group), records).command


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_decision_can_be_made_again(scenario: Callable[[], Story]) -> None:
    """All that the scenarios hold; random ones are in `test_stateful.py`."""
    decided_again(groups(scenario().records))


@pytest.mark.parametrize(
    "command",
    [
        StartCoordinator(version="7", settings=LONG_AGO),
        ResumeAfterStall(seconds=2.5),
        GRAPH,
        store(T, "1"),
        DropSource(source=S, reason="missing on disk"),
        FinishUpload(build=BUILD),
        CancelBuild(build=BUILD, reason="no longer wanted"),
        HearWorkers(workers=(V,)),
        beat(slots=2, labels={"arch": "arm64"}, free=2, running=()),
        plain(running=(), draining=True),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_wish_is_told_whole(command: Command) -> None:
    story = Story().given(store(S), start(job(A)), beat(V))
    assert told(story.when(command)) == command


def test_a_wish_that_takes_effect_later_is_told_whole() -> None:
    story = Story(LONG_AGO).given(beat(free=0), start(job(A)), READY)
    assert told(story.when(RequestWork(worker=W, slots_free=1))) == RequestWork(worker=W, slots_free=1)
    assert told(story.when(Tick(), at=1.0)) == Tick()
    story.given(CancelBuild(build=BUILD, reason=""), ForgetBuild(build=BUILD))
    assert told(story) == ForgetBuild(build=BUILD)


def test_the_settings_are_told() -> None:
    """All of them, whatever is added."""
    names = {field.name for field in fields(Settings)}
    assert names <= {field.name for field in fields(CoordinatorStarted)}


def test_a_report_is_told_as_far_as_it_was_news() -> None:
    """What it says again, and the order in which it says things, made no difference."""
    story = Story().given(start(job(A), job(B), job(C), job(D, A)), READY, beat(slots=3, free=3))
    failed = evolve(done(B, 2, "exit status 1"), fetch_seconds=1.5)
    report = beat(
        slots=3,
        free=1,
        running=(lease_id(3), lease_id(8)),
        finished=(failed, done(D, 9)),
        added=(A, D),
        dropped=(A,),
    )
    assert told(story.when(report)) == evolve(
        report,
        slots=0,
        running=(lease_id(3),),
        finished=(
            failed,
            *(Result(job=NO_JOB, lease=lease_id(number)) for number in (8, 9)),
        ),
    )


def test_a_result_that_came_too_late_is_not_told() -> None:
    """The failure before it ended its lease; of it we know that it came."""
    story = Story().given(start(job(A), job(B)), READY, beat(slots=2, free=2))
    story.when(beat(slots=2, free=2, finished=(done(A, 1, "exit status 1"), done(B, 2, "exit status 2"))))
    report = told(story)
    assert isinstance(report, Heartbeat)
    assert report.finished == (done(A, 1, "exit status 1"), Result(job=B, lease=lease_id(2)))


def test_what_could_not_be_fetched_is_told_by_older_records_too() -> None:
    """As far as somebody was believed to hold it."""
    story = Story().given(start(job(A), job(B, A), job(C, A)), READY, beat())
    story.given(beat(finished=(done(A, 1),))).when(beat(V), at=story.now + 1)
    lacks = Result(job=C, lease=lease_id(3), exit_code=-1, error="", lost=(A, D))
    story.when(beat(V, 0, slots=0, finished=(lacks,)))
    assert told(story) == beat(V, 0, slots=0, finished=(lacks,))
    story.records = [_from_before(record) for record in story.records]
    assert told(story) == beat(V, 0, slots=0, finished=(evolve(lacks, lost=(A,)),))


def test_nobody_was_believed_to_hold_what_an_older_record_does_not_name() -> None:
    story = Story().given(start(job(A), job(B)), READY, beat())
    story.when(beat(free=0, finished=(evolve(done(A, 1), lost=(D,)),)))
    story.records = [_from_before(record) for record in story.records]
    report = told(story)
    assert isinstance(report, Heartbeat)
    assert report.finished[0].lost == (NO_JOB,)


def _from_before(record: Record) -> Record:
    event = record.event
    return record._replace(event=evolve(event, lost={})) if isinstance(event, HeartbeatReceived) else record


def test_ids_are_drawn_again_in_their_order() -> None:
    """Shared leases were not drawn; who draws more gets ids that never were."""
    story = Story().given(start(job(A), job(B)), start(job(A)), READY, FinishUpload(build=build_id(2)))
    story.when(beat(slots=3, free=3))
    *_, records = groups(story.records)
    given = recover(replay(story.records[: -len(records)]), records)
    assert given.ids == (lease_id(1), lease_id(2))
    context = given.context()
    assert [context.new_id(16) for _ in range(2)] == [lease_id(1), lease_id(2)]
    fresh = {context.new_id(16), context.new_id(16), context.new_id(20)}
    assert sorted(map(len, fresh)) == [32, 32, 40]
    assert given.context().new_id(20) not in fresh | set(given.ids)


@pytest.mark.parametrize(
    "event",
    [
        leased(A),
        HeartbeatReceived(worker=W, slots_free=0),
        HeartbeatReceived(worker=V, slots_free=0, finished=(LeaseId("gone"),)),
        JobReleased(build=BUILD, job=A, lease=lease_id(1), reason="worker-lost"),
    ],
)
def test_what_is_no_command_is_refused(event: object) -> None:
    """A part of one, or one that speaks of what is not there."""
    state = Story().given(beat(V)).state
    with pytest.raises(Unrecoverable):
        recover(state, [Record(Position(state.position + 1), 1.0, event)])  # type: ignore[arg-type]  # any event
