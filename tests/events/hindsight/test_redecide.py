"""Recorded decisions, made again today: no difference where there is none, and what a first one does."""

from pathlib import Path

import pytest

from events.catalog import (
    BuildForgotten,
    HeartbeatReceived,
    JobLeased,
    Record,
    SignalReceived,
    TimePassed,
    WorkerJoined,
)
from events.codec import decode
from events.digest import digest
from events.fold import replay
from events.hindsight.inputs import Unrecoverable
from events.hindsight.redecide import Effect, Verdict, effect, redecide, today
from events.hindsight.whatif import simulate
from events.ids import Position
from events.model import Worker
from events.queue import COMMANDS
from events.schedule import Offer, Pick
from events.state import State
from tests.events.farms import past, shift
from tests.events.story import BUILD, A, B, C, D, Story, V, W, beat, heard, job, joined, leased, start
from tests.golden.scenarios import HERE, READY

LOGS = sorted(HERE.glob("*.jsonl"))
# A and what needs it are longer than all the rest.
GRAPH = start(job(A), job(B, A), job(C), job(D))
TOOK = {A: 4.0, B: 4.0, C: 1.0, D: 1.0}


def newest_first(state: State, worker: Worker, now: float, _offer: Offer | None = None) -> Pick | None:
    """A scheduler that there never was."""
    for build in state.rotation.get(COMMANDS, ()):
        for why, line in state.graphs[build].queues[COMMANDS].lines_for(worker.id):
            for id_, opens_at in reversed(line.items()):
                if opens_at <= now:
                    return Pick(build, id_, why)
    return None


@pytest.fixture
def otherwise(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """A log of a coordinator that scheduled otherwise: C before A, on one slot."""
    with monkeypatch.context() as patched:
        patched.setattr("events.decide.workers.schedule", newest_first)
        return list(simulate(State(), past(GRAPH, TOOK, shift(W)), [BUILD]).records)


def again(records: list[Record], since: int = 1) -> Verdict:
    return redecide(State(), records, Position(since))


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_what_lies_on_disks_is_decided_the_same(path: Path) -> None:
    """A decision that is made otherwise on purpose leaves a log out of this, with the reason."""
    records = [decode(line) for line in path.read_bytes().splitlines()]
    verdict = again(records)
    assert (verdict.difference, verdict.position) == (None, len(records))


def test_the_first_difference_is_found(otherwise: list[Record]) -> None:
    """With the command, and what was recorded of it; nothing is looked at beyond."""
    verdict = again(otherwise)
    assert verdict.difference is not None
    given, recorded = verdict.difference.given, verdict.difference.recorded
    assert given.command == beat()
    assert [type(record.event) for record in recorded] == [WorkerJoined, HeartbeatReceived, JobLeased]
    assert getattr(recorded[2].event, "job", "") == D
    assert verdict.difference.position == verdict.position == recorded[2].position
    before = [record for record in otherwise if record.position < recorded[0].position]
    now = today(replay(before), verdict.difference.given)
    assert [getattr(record.event, "job", "") for record in now.records] == ["", "", A]


def test_what_a_difference_does_is_simulated(otherwise: list[Record]) -> None:
    """D, C, A and B one after the other took 10 s, as they would today; with two slots it matters."""
    assert consequences(otherwise) == Effect(builds=(BUILD,), logged=10.0, recorded=10.0, today=10.0)


def test_a_better_decision_ends_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first, beside D and then C, is done after 8 s; D and C first make it 9."""
    with monkeypatch.context() as patched:
        patched.setattr("events.decide.workers.schedule", newest_first)
        farm = past(GRAPH, TOOK, shift(W, 2))
        records = list(simulate(State(), farm, [BUILD]).records)
    assert consequences(records) == Effect(builds=(BUILD,), logged=9.0, recorded=9.0, today=8.0)


def consequences(records: list[Record]) -> Effect:
    """Neither the state before nor what comes after is touched."""
    difference = again(records).difference
    assert difference is not None
    began_at = difference.recorded[0].position
    state = replay(records[: began_at - 1])
    before = digest(state)
    found = effect(state, difference, records[difference.recorded[-1].position :])
    assert digest(state) == before
    return found


def test_one_may_begin_later() -> None:
    """With the command that has the record, even in its middle."""
    story = Story().given(start(job(A)), READY, beat(), beat(V))
    assert again(story.records).commands == 4
    assert again(story.records, since=len(story.records)).commands == 1
    assert again(story.records, since=4).commands == 3


def test_less_than_was_recorded_is_a_difference() -> None:
    """B was leased although the worker had no room."""
    story = Story().given(start(job(A), job(B)), READY, joined(), heard(), leased(A), leased(B, 2))
    difference = again(story.records).difference
    assert difference is not None
    assert difference.position == len(story.records)


def test_more_than_was_recorded_is_a_difference_unless_the_log_ends_there() -> None:
    """Then it may have been cut off."""
    story = Story().given(start(job(A)), READY, joined(), heard())
    end = len(story.records)
    assert again(story.records) == Verdict(commands=2, position=Position(end), is_cut_off=True)
    verdict = again(story.given(beat(free=0)).records)
    assert verdict.difference is not None
    assert (verdict.position, verdict.difference.position) == (end, end + 1)


def test_what_would_be_refused_is_a_difference() -> None:
    """An upload that was taken for done without its sources; and then no build is active."""
    graph = start(job(A, inputs=("s",)))
    story = Story().given(graph, SignalReceived(build=BUILD, signal="upload-done"))
    difference = again(story.records).difference
    assert difference is not None
    now = today(replay(story.records[:-1]), difference.given)
    assert now.records == ()
    assert "source files are missing" in now.refusal


def test_what_would_break_is_a_difference() -> None:
    """A build that was forgotten before it had ended breaks the fold."""
    story = Story().given(start(job(A)))
    story.records.append(Record(Position(len(story.records) + 1), 0.0, BuildForgotten(build=BUILD)))
    difference = again(story.records).difference
    assert difference is not None
    assert "cannot be forgotten yet" in today(replay(story.records[:-1]), difference.given).refusal


def test_without_builds_nothing_is_simulated() -> None:
    """A worker was given a job that nobody had."""
    story = Story().given(joined(), heard(), heard(strays=("f" * 32,)))
    records = [*story.records, Record(Position(4), 0.0, TimePassed())]
    difference = again(records).difference
    assert difference is not None
    assert effect(story.state, difference, []) == Effect(builds=(), logged=None, recorded=None, today=None)


def test_records_that_are_no_commands_cannot_be_decided_again() -> None:
    story = Story().given(start(job(A)), READY, beat())
    with pytest.raises(Unrecoverable):
        again(story.records[-1:])
