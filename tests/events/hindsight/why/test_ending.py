"""Why did a job fail, or why was it cancelled?"""

from events.commands import CancelBuild, DropSource, Result
from events.hindsight.why import Question
from events.ids import JobId
from tests.events.hindsight.why.asking import READY, answers, bad
from tests.events.story import BUILD, A, B, C, S, Story, beat, job, lease_id, start, store


def ended(story: Story, id_: JobId) -> tuple[str, str]:
    """The code and the words."""
    [answer] = answers(story, id_, Question.ENDED)
    return answer.code, answer.text


def test_a_failure_says_what_the_worker_said() -> None:
    """The exit code once."""
    story = Story().given(start(job(A)), READY, beat()).given(beat(finished=(bad(A, 1),)))
    assert ended(story, A) == ("failed", "exit status 2")
    story = Story().given(start(job(A)), READY, beat())
    story.given(beat(finished=(Result(job=A, lease=lease_id(1), exit_code=2, error="compiler error"),)))
    assert ended(story, A) == ("failed", "exit 2, compiler error")


def test_a_job_that_loses_its_workers() -> None:
    """It may be what kills them."""
    story = Story().given(start(job(A)), READY, *(beat(session=str(number)) for number in range(4)))
    assert ended(story, A) == ("failed", "lost its worker 3 times, last: worker-lost (w)")


def test_another_job_failed() -> None:
    """Which one, where and how."""
    story = Story().given(start(job(A), job(B)), READY, beat(slots=2, free=2))
    story.when(beat(slots=2, free=1, running=(lease_id(2),), finished=(bad(A, 1),)), at=4.0)
    failed = "a failed on worker w after 4.0 s, at record 13 (exit status 2)"
    assert ended(story, B) == ("build-failed", f"{failed}, and the build does not keep going")
    assert answers(story, B, Question.ENDED)[0].records == (14, 13)


def test_a_dependency_failed() -> None:
    """However far away."""
    story = Story().given(start(job(A), job(B, A), job(C, B), keep_going=True), READY, beat())
    story.when(beat(finished=(bad(A, 1),)), at=4.0)
    failed = "a failed on worker w after 4.0 s, at record 12 (exit status 2)"
    assert ended(story, B) == ("dependency-failed", f"it needs a: {failed}")
    assert ended(story, C) == ("dependency-failed", f"it needs b, which needs a: {failed}")


def test_somebody_cancelled_the_build() -> None:
    """And said why."""
    story = Story().given(start(job(A)), READY).when(CancelBuild(build=BUILD, reason="no longer wanted"))
    text = "the build was cancelled at record 6: no longer wanted"
    assert ended(story, A) == ("build-cancelled", text)


def test_a_source_file_was_lost() -> None:
    """By its path."""
    story = Story().given(start(job(A, inputs=("s",))), store(S), READY)
    story.when(DropSource(source=S, reason="missing on disk"))
    text = "the source file s was lost at record 8: missing on disk"
    assert ended(story, A) == ("source-lost", text)
