"""Why did a job run where it ran?"""

from events.hindsight.why import Question
from events.ids import BuildId, JobId, WorkerId
from tests.events.hindsight.why.asking import READY, READY_TOO, answers, done
from tests.events.story import BUILD, OTHER, A, B, C, Story, V, beat, job, plain, start


def place(story: Story, id_: JobId, build: BuildId = BUILD) -> tuple[str, str]:
    """The code and the words."""
    [answer] = answers(story, id_, Question.PLACE, build=build)
    return answer.code, answer.text


def test_whoever_had_room_first() -> None:
    """The job needs nothing, or nobody held what it needs."""
    story = Story().given(start(job(A)), READY).when(beat(), at=2.0)
    text = "worker w got it after 2.0 s in the queue: it needs no other job, so whoever had room first got it"
    assert place(story, A) == ("first-come", text)
    story = Story().given(start(job(A), job(B, A)), READY, beat())
    digests, crowd = {A: story.digest(A)}, [WorkerId(f"h{number}") for number in range(8)]
    story.given(*(beat(id_, 0, added=(A,), digests=digests) for id_ in crowd))
    story.given(beat(free=0, finished=(done(A, 1),)), beat(V))
    text = "nobody held a dependency, or too many did, so whoever had room first got it"
    assert place(story, B) == ("first-come", f"worker v got it at once: {text}")


def test_it_held_the_dependency() -> None:
    """Which ones, and where it had them from: it ran them or fetched them."""
    story = Story().given(start(job(A), job(B, A), job(C, A, B)), READY, beat(), beat(finished=(done(A, 1),)))
    assert place(story, B) == (
        "holds-dependency",
        "worker w got it at once: it held its dependency: a (ran there, record 10)",
    )
    story.when(beat(V, 0, added=(A,), digests={A: story.digest(A)}), at=1.0)
    story.when(beat(free=0, finished=(done(B, 2),)), at=2.0).when(beat(V), at=2.05)
    assert place(story, C) == (
        "holds-dependency",
        "worker v got it after 50 ms in the queue: it held 1 of its 2 dependencies: a (there since record"
        " 17)",
    )
    story = Story().given(start(job(A), job(B), job(C, A, B)), READY, beat(slots=2, free=2))
    story.given(beat(slots=2, free=2, finished=(done(A, 1), done(B, 2))))
    assert place(story, C)[1].endswith(
        ": it held all of its dependencies: a (ran there, record 11), b (ran there, record 12)"
    )


def test_a_dependency_of_an_earlier_build() -> None:
    """That was reused, and lies where it was made."""
    story = Story().given(start(job(A)), READY, beat(), beat(free=0, finished=(done(A, 1),)))
    story.given(start(job(A), job(B, A)), READY_TOO, beat())
    assert place(story, B, OTHER) == (
        "holds-dependency",
        "worker w got it at once: it held its dependency: a (ran there, record 8)",
    )


def test_the_holders_had_no_room() -> None:
    """For as long as it was kept for them."""
    story = Story().given(start(job(A), job(B, A)), READY, beat(), beat(free=0, finished=(done(A, 1),)))
    story.when(beat(V), at=5.0)
    assert place(story, B) == (
        "waited-for-dependency",
        "worker v got it after 5.0 s in the queue: it was kept for 0.1 s for those who hold a dependency, but"
        " none had room by then",
    )
    story = Story().given(plain(free=0, added=(A,)), start(job(A)), READY).when(beat(V), at=5.0)
    assert place(story, A) == (
        "waited-for-result",
        "worker v got it after 5.0 s in the queue: it was kept for 0.1 s for those who hold its result, but"
        " none had room by then",
    )


def test_it_says_that_it_holds_the_result() -> None:
    """Since when."""
    story = Story().given(plain(free=0, added=(A,)), start(job(A)), READY).when(plain(), at=0.5)
    assert place(story, A) == (
        "holds-result",
        "worker w got it after 0.5 s in the queue: it says that it holds this very artifact since record 3",
    )


def test_it_was_given_the_same_work_already() -> None:
    """For another build."""
    story = Story().given(start(job(A)), start(job(A)), READY, beat()).when(READY_TOO, at=3.0)
    assert place(story, A, OTHER) == (
        "shared",
        "worker w got it at once: it had been given the same work for build 00000000, at record 10",
    )


def test_only_the_run_that_counts_is_explained() -> None:
    """Not one that was taken back, nor one whose result was."""
    story = Story().given(start(job(A), job(B, A)), READY, beat())
    assert place(story, A)[0] == "first-come"
    assert answers(story, B, Question.PLACE) == []
    story.given(beat(free=0, session="2"))
    assert answers(story, A, Question.PLACE) == []
    story.given(beat(session="2"), beat(free=0, session="2", finished=(done(A, 2),)))
    assert place(story, A)[0] == "first-come"
    story.given(beat(free=0, session="2", dropped=(A,)))
    assert answers(story, A, Question.PLACE) == []
