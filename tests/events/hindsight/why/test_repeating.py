"""Why did a job have to run again?"""

from events.catalog import Container
from events.commands import ReportUnhealthy, Result, Tick
from events.hindsight.why import Question
from events.ids import JobId
from tests.events.hindsight.why.asking import READY, READY_TOO, answers, bad, done, texts
from tests.events.story import OTHER, A, B, Story, V, beat, job, lease_id, start

LOST = "worker w, which held it, was lost: it came back as a new process"


def again(story: Story, id_: JobId = A) -> list[tuple[str, str]]:
    """The code and the words of each time."""
    return [(answer.code, answer.text) for answer in answers(story, id_, Question.AGAIN)]


def test_each_attempt_that_was_taken_back() -> None:
    """Where it ran, for how long, and what became of its worker."""
    story = Story().given(start(job(A)), READY, beat()).when(Tick(), at=30.0)
    silent = (
        "lease-ran-out",
        "attempt 1 on worker w, from record 8 on, was taken back after 30.0 s, at record 10: nothing was"
        " heard of the worker for 30.0 s, since record 7",
    )
    assert again(story) == [silent]
    story.when(beat(session="2"), at=31.0).when(beat(session="3", free=0), at=32.0)
    restarted = (
        "worker-lost",
        "attempt 2 on worker w, from record 14 on, was taken back after 1.0 s, at record 16: the worker was"
        " lost at record 17: it came back as a new process",
    )
    assert again(story) == [silent, restarted]
    assert answers(story, A, Question.AGAIN)[1].records == (16, 14, 17)


def test_nothing_is_said_of_what_was_not_known_yet() -> None:
    """The record after says what became of the worker."""
    story = Story().given(start(job(A)), READY, beat()).when(beat(session="2"), at=1.0)
    released = next(r.position for r in story.records if type(r.event).__name__ == "JobReleased")
    [text] = texts(story, A, Question.AGAIN, at=released)
    assert text.endswith("at record 10: the worker is gone or is a new process")


def test_a_lease_that_was_not_taken() -> None:
    """Although its worker is there; or is leaving."""
    story = Story().given(start(job(A)), READY, beat()).when(beat(), at=31.0)
    assert again(story) == [
        (
            "never-taken",
            "attempt 1 on worker w, from record 8 on, was taken back after 31.0 s, at record 10: the worker"
            " went on reporting, but never that it runs this job",
        )
    ]
    story = Story().given(start(job(A)), READY, beat()).when(beat(draining=True), at=1.0)
    [(code, text)] = again(story)
    assert code == "handed-back"
    assert text.endswith("was taken back after 1.0 s, at record 10: the worker is leaving")


def test_a_dependency_that_could_not_be_fetched() -> None:
    """The job waits again, and its dependency is made again."""
    story = Story().given(start(job(A), job(B, A)), READY, beat(), beat(free=0, finished=(done(A, 1),)))
    lacks = Result(job=B, lease=lease_id(2), exit_code=-1, error="cannot fetch", lost=(A,))
    story.when(beat(V), at=5.0).when(beat(V, 0, finished=(lacks,)), at=6.0)
    assert again(story, B) == [
        (
            "artifact-unavailable",
            "attempt 1 on worker v, from record 15 on, was taken back after 1.0 s, at record 18: the worker"
            " could not fetch a from worker w (record 16)",
        )
    ]
    assert again(story) == [
        (
            "artifact-lost",
            "it succeeded at record 11, but 6.0 s later, at record 20, its artifact was gone while the build"
            " still needed it: worker w was said to hold it, but it was not to be had by v (record 17)",
        )
    ]


def test_an_artifact_that_is_gone() -> None:
    """Dropped, lost with its worker, or replaced."""
    story = Story().given(start(job(A), job(B, A)), READY, beat(), beat(free=0, finished=(done(A, 1),)))
    story.when(beat(free=0, dropped=(A,)), at=5.0)
    gone = "its artifact was gone while the build still needed it"
    assert again(story) == [
        (
            "artifact-lost",
            f"it succeeded at record 11, but 5.0 s later, at record 16, {gone}: worker w had dropped it"
            " (record 14)",
        )
    ]
    story = Story().given(start(job(A), job(B, A)), READY, beat(), beat(free=0, finished=(done(A, 1),)))
    story.when(beat(free=0, session="2"), at=5.0)
    [(_, text)] = again(story)
    assert text.endswith(f"{gone}: {LOST} (record 14)")
    story = Story().given(start(job(A), job(B, A)), READY, beat(), beat(free=0, finished=(done(A, 1),)))
    story.when(beat(free=0, added=(A,), digests={A: "e" * 64}), at=5.0)
    [(code, text)] = again(story)
    assert code == "artifact-replaced"
    assert text.endswith(f"{gone}: worker w made other work under the same id (record 14)")


def test_a_reused_result_may_be_lost_too() -> None:
    """Then the job runs for the first time in this build."""
    story = Story().given(start(job(A)), READY, beat(), beat(free=0, finished=(done(A, 1),)))
    story.given(start(job(A), job(B, A)), READY_TOO).when(beat(free=0, dropped=(A,)), at=2.0)
    [text] = texts(story, A, Question.AGAIN, build=OTHER)
    assert text.startswith("an earlier result was reused at record 17, but 2.0 s later, at record 22, ")


def test_a_container_that_did_badly() -> None:
    """It failed, or was not healthy: what it said of that is in the record before."""
    engine, box = {"engine": "docker"}, Container(image="box:1", restarts=2)
    story = Story().given(start(job(A, container=box)), READY, beat(labels=engine))
    story.when(beat(labels=engine, finished=(bad(A, 1),)), at=1.0)
    story.when(ReportUnhealthy(lease=lease_id(2), error="answered 500"), at=61.0)
    [(failed, text), (unhealthy, other)] = again(story)
    assert (failed, unhealthy) == ("container-failed", "health-failed")
    assert text.endswith("it failed (exit status 2) and was begun anew")
    assert other.endswith("its health check failed (answered 500) and it was begun anew")
