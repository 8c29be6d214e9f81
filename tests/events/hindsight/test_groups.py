"""Where one command's records end and the next one's begin, by their types alone, and in older logs."""

import pytest

from events.catalog import EVENTS, Event, Record, WorkerLost, WorkerRestarted
from events.codec import decode
from events.hindsight.groups import INPUTS, groups
from events.ids import Position
from tests.events.story import A, B, Story, V, W, beat, heard, job, joined, start
from tests.golden.scenarios import HERE, READY, SCENARIOS, done

CONSEQUENCES = {
    "WorkerLost",
    "ContainerFailed",
    "ArtifactCached",
    "ArtifactDropped",
    "SourcesDeclared",
    "JobAdded",
    "SourcesReady",
    "BuildSucceeded",
    "BuildFailed",
    "BuildCancelled",
    *(name for name in EVENTS if name.startswith("Job")),
}


def firsts(records: list[Record]) -> list[int]:
    return [group[0].position for group in groups(records)]


def at_once(*events: Event) -> list[Record]:
    return [Record(Position(place), 1.0, event) for place, event in enumerate(events, start=1)]


def test_every_event_is_an_input_or_a_consequence() -> None:
    """A new one has to say which."""
    assert {cls.__name__ for cls in INPUTS} == EVENTS.keys() - CONSEQUENCES


def test_groups_are_the_records_of_commands() -> None:
    """All of them, in order, none of them empty."""
    for scenario in SCENARIOS:
        records = scenario().records
        found = list(groups(records))
        assert [record for group in found for record in group] == records
        assert all(isinstance(group[0].event, INPUTS) for group in found)


def test_joining_is_part_of_the_report() -> None:
    """And so is a restart; another worker's report is not."""
    restart = (WorkerRestarted(worker=W), WorkerLost(worker=W, reason="restarted"), joined(), heard())
    assert firsts(at_once(joined(), heard(), heard(V), *restart, heard())) == [1, 3, 4, 8]
    assert firsts(at_once(joined(), heard(), joined(V), heard(V), joined(), heard())) == [1, 3, 5]


@pytest.mark.parametrize("step", [0.0, 1.0])
def test_a_restart_that_nothing_announces_is_found(step: float) -> None:
    """As in older logs: by its time, or by its shape if the clock stood still."""
    story = Story().given(start(job(A), job(B), keep_going=True), READY, beat(V), beat(W, 2, slots=2))
    story.when(beat(W, 2, slots=2, finished=(done(A, 1), done(B, 2))), at=story.now + step)
    for session in ("2", "3"):
        story.when(beat(V, session=session), at=story.now + step)
        story.when(beat(W, 2, slots=2, session=session), at=story.now + step)
    now = [[event for event in group if not _is_marker(event)] for group in events(story.records)]
    assert events([record for record in story.records if not _is_marker(record.event)]) == now


def events(records: list[Record]) -> list[list[Event]]:
    return [[record.event for record in group] for group in groups(records)]


def _is_marker(event: Event) -> bool:
    return isinstance(event, WorkerRestarted)


def test_a_golden_log_from_before_falls_into_its_commands() -> None:
    """One has a restart at the very time of the command before it."""
    lines = (HERE / "artifacts_come_and_go.jsonl").read_bytes().splitlines()
    starts = firsts([decode(line) for line in lines])
    assert starts[-4:] == [34, 36, 44, 51]
