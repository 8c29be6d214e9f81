"""A log as a trace: what is drawn of it, in the form that the drawers demand."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, settings

from events.catalog import Record
from events.commands import CancelBuild, ResumeAfterStall, Settings, StartBuild
from events.hindsight.trace import COORDINATOR, trace
from tests.events.hindsight.why.asking import READY, READY_TOO, bad, done
from tests.events.story import BUILD, OTHER, A, B, C, Story, V, beat, job, lease_id, start
from tests.events.test_golden import LOGS, records
from tests.events.test_stateful import Farm
from tests.events.tracing import check


def traced(history: list[Record]) -> list[Any]:
    events = list(trace(history))
    check(events)
    return events


def slices(story: Story) -> list[tuple[str, int, int, int, int, str]]:
    """Name, process, thread, begin and length in seconds, and outcome of each."""
    found = [event for event in traced(story.records) if event["ph"] == "X"]
    second = 1_000_000
    return [
        (e["name"], e["pid"], e["tid"], e["ts"] // second, e["dur"] // second, e["args"]["outcome"])
        for e in found
    ]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_every_beginning_of_a_golden_log_is_a_sound_trace(path: object) -> None:
    """What has not ended is cut off; a trace may begin anywhere."""
    history = records(path)  # type: ignore[arg-type]  # a Path
    for place in range(0, len(history) + 1, 3):
        traced(history[:place])
        traced(history[place:])


class TracedFarm(Farm):
    """Random runs make sound traces, too."""

    def teardown(self) -> None:
        super().teardown()
        leased = {e.event.lease for e in self.records if type(e.event).__name__ == "JobLeased"}  # type: ignore[union-attr]  # all of them have one
        assert len([event for event in traced(self.records) if event["ph"] == "X"]) == len(leased)


TestTracedFarm = TracedFarm.TestCase
TestTracedFarm.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_a_slice_for_each_attempt_on_the_slot_that_it_had() -> None:
    """The lowest that is free; how each ended."""
    story = Story(Settings()).given(start(job(A), job(B), job(C)), READY)
    story.when(beat(slots=2, free=2), at=1.0)
    story.when(beat(slots=2, free=1, running=(lease_id(2),), finished=(done(A, 1),)), at=3.0)
    story.when(beat(slots=2, free=0, session="2"), at=4.0).when(beat(V), at=9.0)
    assert slices(story) == [
        ("a", 2, 1, 1, 2, "succeeded"),
        ("b", 2, 2, 1, 3, "released"),
        ("c", 2, 1, 3, 1, "released"),
        ("b", 3, 1, 9, 0, "running"),
    ]
    events = traced(story.records)
    names = {(e["name"], e["pid"], e["tid"]): e["args"]["name"] for e in events if e["ph"] == "M"}
    assert names == {
        ("process_name", COORDINATOR, 0): "coordinator",
        ("process_name", 2, 0): "worker w",
        ("process_name", 3, 0): "worker v",
        ("thread_name", 2, 1): "slot 1",
        ("thread_name", 2, 2): "slot 2",
        ("thread_name", 3, 1): "slot 1",
    }


def test_what_is_told_of_an_attempt() -> None:
    """Enough to find it in the log."""
    story = Story().given(StartBuild(jobs=(job(A),), name="nightly"), READY)
    failed = evolve(bad(A, 1), fetch_seconds=0.5)
    story.when(beat(), at=2.0).when(beat(finished=(failed,)), at=3.0)
    [event] = [event for event in traced(story.records) if event["ph"] == "X"]
    assert event["args"] == {
        "build": "nightly 00000000",
        "attempt": 1,
        "reason": "first-come",
        "waited_seconds": 2.0,
        "record": 8,
        "outcome": "failed",
        "exit_code": 2,
        "error": "exit status 2",
        "fetch_seconds": 0.5,
        "end_record": 10,
    }


def test_a_shared_lease_is_one_slice() -> None:
    """Up to the end of the last build that waited for it; a result counts more than a cancellation."""
    story = Story().given(start(job(A)), start(job(A)), READY, READY_TOO, beat())
    story.when(CancelBuild(build=BUILD, reason="enough"), at=1.0)
    story.when(beat(finished=(done(A, 1),)), at=2.0)
    assert slices(story) == [("a", 2, 1, 0, 2, "succeeded")]


def test_builds_and_waits_are_spans_and_losses_are_instants() -> None:
    """A build from its start to its end, a job as long as it is queued."""
    story = Story(Settings()).given(start(job(A)), READY).when(beat(), at=1.0)
    story.when(ResumeAfterStall(seconds=9.0), at=10.0).when(beat(session="2", free=0), at=11.0)
    story.when(beat(V), at=12.0).when(beat(V, finished=(done(A, 2),)), at=13.0)
    events = traced(story.records)
    spans = [(e["cat"], e["ph"], e["name"], e["ts"] // 1_000_000) for e in events if e["ph"] in "be"]
    assert spans == [
        ("build", "b", "build 00000000", 0),
        ("queue", "b", "a", 0),
        ("queue", "e", "a", 1),
        ("queue", "b", "a", 11),
        ("queue", "e", "a", 12),
        ("build", "e", "build 00000000", 13),
    ]
    instants = [(event["name"], event["pid"], event["s"]) for event in events if event["ph"] == "i"]
    assert instants == [
        ("coordinator started (version 1)", COORDINATOR, "g"),
        ("coordinator stood still for 9.0 s", COORDINATOR, "g"),
        ("worker lost: it came back as a new process", 2, "p"),
    ]


def test_an_empty_log_is_an_empty_trace() -> None:
    assert traced([]) == []


def test_other_builds_do_not_matter() -> None:
    """Of a build whose beginning is not there nothing is drawn."""
    story = Story().given(start(job(A)), READY, beat(), start(job(B)), READY_TOO)
    after = next(r.position for r in story.records if getattr(r.event, "build", "") == OTHER) - 1
    events = traced(story.records[after:])
    assert {event["id"] for event in events if event["ph"] == "b" and event["cat"] == "build"} == {OTHER}
