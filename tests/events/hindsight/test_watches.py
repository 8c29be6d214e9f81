"""Invariants of the records themselves: each is broken by the record that breaks it, and by no other."""

import pytest

from events.catalog import BuildSucceeded, Event, JobCancelled, JobQueued, JobReopened, JobSucceeded, Record
from events.codec import decode
from events.hindsight.watches import WATCHES
from events.ids import Position, SpecDigest
from tests.events.story import BUILD, LEASE, OTHER, A, B, V, heard, leased
from tests.golden.scenarios import HERE

LOGS = sorted(HERE.glob("*.jsonl"))
DONE = JobSucceeded(build=BUILD, job=A, lease=LEASE)
OVER = BuildSucceeded(build=BUILD)
AGAIN = JobReopened(build=BUILD, job=A, reason="artifact-lost")
QUEUED = JobQueued(build=BUILD, job=A, digest=SpecDigest(""))


def broken(name: str, *events: Event) -> list[int]:
    """The positions that break it."""
    watch = WATCHES[name]()
    records = [Record(Position(place), 1.0, event) for place, event in enumerate(events, start=1)]
    return [record.position for record in records if watch(record)]


@pytest.mark.parametrize("name", WATCHES)
def test_golden_logs_break_none(name: str) -> None:
    for path in LOGS:
        watch = WATCHES[name]()
        assert not any(watch(decode(line)) for line in path.read_bytes().splitlines())


def test_attempts_count_up_by_one() -> None:
    """Each build counts its own."""
    others = leased(A, 2, build=OTHER), leased(B, 3), leased(A, 4, attempt=2)
    assert broken("attempts", leased(A), *others, leased(A, 5, attempt=2), leased(A, 6, attempt=4)) == [5, 6]


def test_a_lease_is_granted_once() -> None:
    """Builds share it, workers and jobs do not."""
    assert broken("grants", leased(A), leased(A, build=OTHER), leased(A, worker=V), leased(B)) == [3, 4]


def test_endings_are_final() -> None:
    """A success is taken back, as long as the build goes on."""
    assert broken("endings", DONE, AGAIN, QUEUED, DONE, OVER) == []
    assert broken("endings", DONE, QUEUED) == [2]
    assert broken("endings", JobCancelled(build=BUILD, job=A, reason=""), AGAIN) == [2]
    assert broken("endings", DONE, OVER, AGAIN, OVER) == [3, 4]


def test_time_and_positions() -> None:
    """Each is judged by the record before it."""
    watch = WATCHES["time"]()
    assert [bool(watch(Record(Position(1), at, heard()))) for at in (1.0, 3.0, 2.0, 2.0)] == [0, 0, 1, 0]
    watch = WATCHES["positions"]()
    assert [bool(watch(Record(Position(place), 1.0, heard()))) for place in (1, 2, 4)] == [0, 0, 1]


def test_what_cannot_follow_cannot_be_folded() -> None:
    assert broken("fold", DONE) == [1]
