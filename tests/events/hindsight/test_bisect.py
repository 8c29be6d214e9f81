"""The first command after which something does not hold, however long the log is."""

import pytest

from events.catalog import BuildSucceeded, Event, Record
from events.codec import decode
from events.commands import HearWorkers
from events.hindsight.bisect import APART_MIN, INVARIANTS, Search, first_break
from events.ids import Position
from events.log import CorruptLog
from tests.events.story import BUILD, LEASE, A, B, Story, W, beat, heard, job, lease_id, leased, start
from tests.golden.scenarios import HERE, READY, done

LOGS = sorted(HERE.glob("*.jsonl"))
BORED = [HearWorkers(workers=(W,))] * 5 * APART_MIN


def told(found: Search) -> tuple[int, int] | None:
    """From where to where."""
    return None if found.found is None else (found.found.began_at, found.found.position)


def lying(story: Story, *events: Event) -> list[Record]:
    """The records, with what no decider would write after them."""
    end = len(story.records)
    return [*story.records, *(Record(Position(end + n), story.now, e) for n, e in enumerate(events, start=1))]


def then(records: list[Record], *more: Record) -> list[Record]:
    """More records after them, at the places that are theirs there."""
    moved = [record._replace(position=Position(len(records) + n)) for n, record in enumerate(more, start=1)]
    return [*records, *moved]


@pytest.mark.parametrize("name", INVARIANTS)
def test_golden_logs_break_nothing(name: str) -> None:
    for path in LOGS:
        records = [decode(line) for line in path.read_bytes().splitlines()]
        for is_thorough in (False, True):
            found = first_break(records, name, is_thorough=is_thorough)
            assert (found.found, found.records) == (None, len(records))


def quiet(story: Story) -> list[Record]:
    """What comes of a worker that says nothing new, again and again."""
    before = len(story.records)
    return story.given(*BORED).records[before:]


def test_the_command_is_found_among_many() -> None:
    """The build is said to have succeeded although its job has not run; it never recovers."""
    story = Story().given(start(job(A)), READY, beat(free=0), *BORED)
    early = lying(story, heard(free=0), BuildSucceeded(build=BUILD))
    bored = quiet(Story().given(beat(free=0)))
    records = then(early, *bored)
    place = (len(early) - 1, len(early))
    assert told(first_break(records, "builds")) == place
    assert told(first_break(records, "builds", is_thorough=True)) == place
    found = first_break(records, "builds")
    assert found.found is not None
    assert any("has succeeded, some of its jobs have not ended" in line for line in found.found.problems)
    assert found.looks < 60


def test_what_heals_only_a_thorough_search_sees() -> None:
    """A worker was given more than it had room for, and did it."""
    story = Story().given(start(job(A), job(B)), READY, beat())
    over = lying(story, heard(free=0), leased(B, 2), heard(free=0, finished=(LEASE, lease_id(2))))
    ends = Story().given(start(job(A), job(B)), READY, beat(slots=2, free=2))
    ends.given(beat(slots=2, free=0, finished=(done(A, 1), done(B, 2))))
    records = then(over, *ends.records[-3:], *quiet(Story().given(beat(free=0))))
    assert told(first_break(records, "workers", is_thorough=True)) == (len(story.records) + 1, len(over) - 1)
    assert told(first_break(records, "workers")) is None


def test_a_break_at_the_end_is_seen() -> None:
    """However few records there are."""
    records = lying(Story().given(start(job(A)), READY), BuildSucceeded(build=BUILD))
    assert told(first_break(records, "builds")) == (3, len(records))


def test_a_record_that_breaks_it_is_found_by_itself() -> None:
    story = Story().given(start(job(A)), READY, beat())
    assert told(first_break(lying(story, leased(B, 1)), "grants")) == (len(story.records) + 1,) * 2


def test_what_cannot_be_folded_ends_the_search_for_anything_else() -> None:
    """It is found as what it is."""
    records = lying(Story().given(beat()), leased(A))
    assert told(first_break(records, "fold")) == (3, 3)
    with pytest.raises(CorruptLog, match="record 3 cannot follow"):
        first_break(records, "leases")
