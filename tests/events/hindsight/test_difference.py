"""What changed between two states: all of it, and nothing else."""

from collections import Counter
from itertools import combinations

import pytest

from events.fold import replay
from events.hindsight.difference import _KINDS, Change, differences, transitions
from events.state import State
from tests.events.hindsight.why.asking import READY, READY_TOO, done
from tests.events.story import BUILD, OTHER, A, B, S, Story, beat, job, start, store
from tests.events.test_golden import LOGS, records


def facts(state: State) -> dict[tuple[str, tuple[str, ...]], object]:
    """All that is compared."""
    return {(kind, ids): value for kind, of in _KINDS.items() for ids, value in of(state).items()}


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_what_was_and_what_changed_make_what_is(path: object) -> None:
    """Between any two positions of a golden log."""
    history = records(path)  # type: ignore[arg-type]  # a Path
    places = range(0, len(history) + 1, 4)
    states = {place: replay(history[:place]) for place in places}
    for first, second in combinations(places, 2):
        known = facts(states[first])
        for change in differences(states[first], states[second]):
            assert known.get((change.kind, change.ids)) == change.before
            assert change.before != change.after
            if change.after is None:
                del known[change.kind, change.ids]
            else:
                known[change.kind, change.ids] = change.after
        assert known == facts(states[second])
    assert list(differences(states[0], states[0])) == []


def between(story: Story, first: int) -> list[Change]:
    """From so many records on to the end of the story."""
    return list(differences(replay(story.records[:first]), replay(story.records)))


def test_a_job_that_ran() -> None:
    """The job, its lease, its worker and the artifact, by their names."""
    story = Story().given(start(job(A), job(B, A)), READY)
    queued = len(story.records)
    story.given(beat())
    changes = {(change.kind, change.name): change for change in between(story, queued)}
    assert set(changes) == {("build", ""), ("job", "a"), ("lease", "a"), ("worker", "")}
    assert changes["job", "a"].ids == (BUILD, A)
    assert changes["lease", "a"].before is None
    leased = len(story.records)
    story.given(beat(free=0, finished=(done(A, 1),)))
    changes = {(change.kind, change.name): change for change in between(story, leased)}
    assert changes["lease", "a"].after is None
    assert changes["artifact", "a"].after == {"digest": story.digest(A)}
    assert transitions(between(story, leased)) == Counter(
        {("running", "succeeded"): 1, ("blocked", "queued"): 1}
    )


def test_of_which_build_a_change_is() -> None:
    """A lease that several wait for is of each of them; a worker is of none."""
    story = Story().given(start(job(A)), start(job(A), job(B)), store(S), READY, READY_TOO)
    before = len(story.records)
    changes = between(story.given(beat()), before)
    of_first = [(change.kind, change.ids[-1][:1]) for change in changes if change.concerns(BUILD)]
    assert of_first == [("build", "0"), ("job", "a"), ("lease", "0")]
    assert [change.kind for change in changes if change.concerns(OTHER)] == ["build", "job", "lease"]
