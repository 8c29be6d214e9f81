"""What became of a job in one line, from the beginning of its build on."""

import pytest

from events.commands import CancelBuild, Settings, Tick
from events.hindsight.why import Explanation, Step, why
from events.ids import BuildId, JobId, Position, WorkerId
from events.log import MemoryLog
from events.query import Scanned
from tests.events.hindsight.why.asking import READY, READY_TOO, bad, done
from tests.events.story import BUILD, OTHER, A, B, S, Story, V, beat, job, lease_id, plain, start, store

W1, W2 = WorkerId("http://w1:1"), WorkerId("http://w2:1")


def explained(story: Story, id_: JobId, build: BuildId = BUILD, at: int = 0) -> Explanation:
    log = MemoryLog()
    log.append(story.records)
    return why(Scanned(log), build, id_, Position(at or len(story.records)))


def line(story: Story, id_: JobId = A, build: BuildId = BUILD, at: int = 0) -> str:
    return explained(story, id_, build, at).line


def test_a_job_that_was_lost_and_failed() -> None:
    """Every wait with its reason, every attempt with its place and time, and how it ended."""
    story = Story().given(start(job(B)), READY, start(job(A)), beat(W2)).when(READY_TOO)
    story.when(beat(W2, free=0, finished=(done(B, 1),)), at=2.3).when(beat(W2), at=12.3)
    story.when(beat(W1, free=0), at=30.0).when(Tick(), at=53.3)
    story.when(beat(W1), at=53.3)
    lease = lease_id(3)
    assert story.state.leases[lease].worker == W1
    story.when(beat(W1, running=(lease,)), at=60.0)
    assert line(story, A, OTHER) == (
        "queued 12.3 s: no free slot (1/1 busy) → ran on w2:1 41.0 s → lost: worker w2:1 silent 41.0 s"
        " → attempt 2 on w1:1 6.7 s"
    )
    story.when(beat(W1, finished=(bad(A, 3),)), at=62.0)
    assert line(story, A, OTHER).endswith(" → attempt 2 on w1:1 8.7 s → failed exit 2")


def test_each_step_names_its_record() -> None:
    """And when that was, for who wants to look there."""
    story = Story().given(start(job(A)), READY).when(beat(), at=5.0)
    story.when(beat(free=0, finished=(done(A, 1),)), at=6.0)
    kinds = {type(record.event).__name__: record.position for record in story.records}
    assert explained(story, A).chain == (
        Step("queued", "queued 5.0 s: no worker is there", 0.0, kinds["JobQueued"]),
        Step("running", "ran on w 1.0 s", 5.0, kinds["JobLeased"]),
        Step("succeeded", "succeeded", 6.0, kinds["JobSucceeded"]),
    )


def test_what_it_waits_for_before_it_is_queued() -> None:
    """First its build's source files, then the last of its dependencies."""
    story = Story().given(start(job(A, inputs=("s",)), job(B, A)))
    assert line(story, B) == "waiting 0 ms for source files"
    story.when(store(S), at=3.0).when(READY, at=4.0).when(beat(slots=2, free=1), at=4.0)
    story.when(beat(V, free=0), at=9.0)
    assert line(story, B) == "waited 4.0 s for source files → waiting 5.0 s for a"
    story.when(beat(slots=2, free=2, finished=(done(A, 1),)), at=11.0)
    assert line(story, B) == ("waited 4.0 s for source files → waited 7.0 s for a → running on w 0 ms")


def test_a_dependency_that_failed() -> None:
    """The job never ran, and the chain says what it waited for."""
    story = Story().given(start(job(A), job(B, A)), READY, beat())
    story.when(beat(free=0, finished=(bad(A, 1),)), at=2.0)
    assert line(story, B) == "waited 2.0 s for its dependencies → cancelled: another job failed"


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (Story().given(start(job(A)), READY, beat(draining=True)), "every worker is leaving"),
        (Story().given(start(job(A)), READY, plain(free=0)), "no worker has room"),
        (Story().given(beat(), start(job(A)), READY), "the worker with room has not asked yet"),
        (
            Story(Settings(cache_timeout=50.0, deps_timeout=10.0)).given(
                plain(free=0, added=(A,)), start(job(A)), READY
            ),
            "kept for worker w (holds its result)",
        ),
    ],
)
def test_why_it_is_queued(story: Story, reason: str) -> None:
    """In few words, for each reason that there is."""
    story.when(store(S), at=7.0)
    assert line(story) == f"queued 7.0 s: {reason}"


def test_other_ends() -> None:
    """Cancelled, taken back, run again because its artifact is gone."""
    story = Story().given(start(job(A), job(B, A)), READY, beat())
    story.when(beat(free=0, finished=(done(A, 1),)), at=1.0)
    story.when(beat(free=1, session="2"), at=2.0)
    assert " → succeeded → its artifact was lost while it was needed → " in line(story)
    story.when(CancelBuild(build=BUILD, reason="enough"), at=3.0)
    assert line(story).endswith(" → attempt 2 on w 1.0 s → cancelled: the build was cancelled")


def test_a_long_story_is_shortened() -> None:
    """In the line; programs get all of it."""
    story = Story().given(start(job(A), job(B, A)), READY, beat())
    for number in range(1, 9):
        now = float(number)
        story.when(beat(free=0, session=str(number), finished=(done(A, number),)), at=now)
        story.when(beat(session=str(number + 1)), at=now)
    found = explained(story, A)
    assert len(found.chain) > 20
    texts = found.line.split(" → ")
    assert len(texts) == 17
    assert texts[8] == f"… {len(found.chain) - 16} more …"
    assert texts[-1] == "attempt 9 on w 0 ms"
