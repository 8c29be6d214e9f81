"""What is the status of a job, in words?"""

from events.hindsight.why import Question
from tests.events.hindsight.why.asking import READY, READY_TOO, bad, done, texts
from tests.events.story import OTHER, A, B, Story, V, beat, job, start


def status(story: Story, at: int = 0) -> str:
    [text] = texts(story, A, Question.STATUS, at=at)
    return text


def test_every_status_says_since_when() -> None:
    """And where the job runs or ran."""
    story = Story().given(start(job(A), job(B, A)))
    assert status(story) == "blocked since its build began at record 1, 0 ms ago"
    story.when(READY, at=1.0)
    assert status(story) == "queued since record 6, 0 ms ago"
    story.when(beat(), at=3.0).when(beat(free=0, running=("0" * 31 + "1",)), at=5.0)
    begun = "running on worker w since record 9"
    assert status(story, at=9) == f"{begun}, for 0 ms; worker w has not been heard of since"
    heard = "worker w was last heard of at record 10, 0 ms ago"
    assert status(story) == f"{begun}, for 2.0 s; {heard}"
    story.when(beat(free=0, finished=(done(A, 1),)), at=6.0)
    assert status(story) == "succeeded on worker w after 3.0 s, at record 12"
    story.when(beat(free=0, dropped=(A,)), at=7.0)
    assert status(story, at=17) == "has to run again since record 17, 0 ms ago"
    assert status(story) == "queued since record 18, 0 ms ago, for attempt 2"
    story.when(beat(V, 1, slots=1), at=8.0).when(beat(V, finished=(bad(A, 2),)), at=9.0)
    leased = status(story, at=21)
    assert leased.startswith("running on worker v since record 21, for 0 ms, attempt 2; ")
    assert status(story) == "failed on worker v after 1.0 s, at record 23"
    assert texts(story, B, Question.STATUS) == ["cancelled, at record 24"]


def test_a_job_that_is_blocked_again() -> None:
    """Its dependency was lost while it was queued."""
    story = Story().given(start(job(B), job(A, B)), READY, beat(), beat(free=0, finished=(done(B, 1),)))
    story.given(beat(free=0, dropped=(B,)))
    assert status(story) == "blocked again since record 15, 0 ms ago"


def test_a_result_that_was_reused() -> None:
    """Of an earlier build, or of this one, when the artifact turned up again."""
    story = Story().given(
        start(job(A)), READY, beat(), beat(finished=(done(A, 1),)), start(job(A)), READY_TOO
    )
    [text] = texts(story, A, Question.STATUS, build=OTHER)
    assert text == "did not run: an earlier result was reused, at record 16"
    story = Story().given(start(job(A), job(B, A)), READY, beat(), beat(free=0, finished=(done(A, 1),)))
    of_a = story.digest(A)
    story.given(beat(free=0, session="2")).given(beat(free=0, session="2", added=(A,), digests={A: of_a}))
    assert status(story) == "has its earlier result back, at record 22"
