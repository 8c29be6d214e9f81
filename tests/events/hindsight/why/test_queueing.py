"""Why does a queued job not run?"""

from events.catalog import Container
from events.commands import Result, Settings, Tick
from events.hindsight.why import Question
from events.ids import BuildId, JobId, WorkerId
from tests.events.hindsight.why.asking import READY, READY_TOO, answers, done
from tests.events.story import BUILD, OTHER, A, B, C, Story, V, beat, job, lease_id, plain, start

SLOW = Settings(cache_timeout=5.0, deps_timeout=10.0)
NEXT = "it is the next of its build"


def waiting(story: Story, id_: JobId = A, build: BuildId = BUILD) -> tuple[str, str]:
    """The code and the words."""
    [answer] = answers(story, id_, Question.WAITING, build=build)
    return answer.code, answer.text


def test_nobody_is_there() -> None:
    """Nor was, or the last was lost."""
    story = Story().given(start(job(A)), READY)
    assert waiting(story) == ("no-worker", f"no worker is there, nor ever was; {NEXT}")
    story.when(beat(free=0), at=1.0).when(Tick(), at=40.0)
    silent = "nothing was heard of it for too long"
    lost = f"the last, worker w, was lost at record 9, 0 ms ago: {silent}"
    assert waiting(story) == ("no-worker", f"no worker is there: {lost}; {NEXT}")


def test_everybody_is_busy() -> None:
    """How many stand before it, in its own build and in others."""
    story = Story().given(start(job(A), job(B)), start(job(C)), READY, READY_TOO, beat(free=0))
    full, others = (
        "every slot is taken (1 slot of 1 worker)",
        "beside it 1 job of 1 other build, and builds take turns",
    )
    assert waiting(story, A) == ("no-room", f"{full}; {NEXT}; {others}")
    assert waiting(story, B) == ("no-room", f"{full}; 1 job of this build came before it; {others}")


def test_workers_that_do_not_say_how_many_slots_they_have() -> None:
    """Plain distbuild has no word for it."""
    story = Story().given(start(job(A)), READY, plain(free=0), plain(V, free=0))
    assert waiting(story) == ("no-room", f"2 workers are there, and none has room; {NEXT}")


def test_everybody_is_leaving() -> None:
    """They take no more jobs."""
    story = Story().given(start(job(A)), READY, beat(draining=True))
    text = f"1 worker is there, about to leave and taking no more jobs; {NEXT}"
    assert waiting(story) == ("draining", text)


def test_it_is_kept_for_a_holder() -> None:
    """Of a dependency or of its result, for a while; then it is anybody's."""
    story = Story(SLOW).given(start(job(A), job(B, A)), READY, beat())
    story.when(beat(free=0, finished=(done(A, 1),)), at=1.0).when(beat(V), at=3.0)
    then = "then any worker may have it"
    assert waiting(story, B) == ("held", f"it is kept for another 8.0 s for worker w (holds a); {then}")
    story = Story(SLOW).given(plain(free=0, added=(A,)), start(job(A)), READY)
    text = f"it is kept for another 15.0 s for worker w (holds its result); {then}"
    assert waiting(story) == ("held", text)
    story.when(beat(V, free=0), at=16.0)
    assert waiting(story)[0] == "no-room"


def test_what_many_hold_is_kept_for_nobody() -> None:
    """More than eight holders of a dependency make no difference."""
    story = Story(SLOW).given(start(job(A), job(B, A)), READY, beat())
    digests = {A: story.digest(A)}
    crowd = [WorkerId(f"h{number}") for number in range(8)]
    story.given(*(beat(id_, 0, added=(A,), digests=digests) for id_ in crowd))
    story.given(beat(free=0, finished=(done(A, 1),)))
    assert waiting(story, B)[0] == "no-room"


def test_a_worker_that_has_room_will_speak() -> None:
    """Between the moment in which the job was queued and that in which somebody is given it."""
    story = Story().given(beat(slots=2, free=2), start(job(A))).when(READY, at=1.5)
    heard = "it was last heard of at record 2, 1.5 s ago"
    text = f"worker w has room for 2 jobs and gets some when it speaks next; {heard}"
    assert waiting(story) == ("not-asked", text)


def test_a_policy_may_prefer_another() -> None:
    """Or nobody, for want of room: whoever has a slot free is not simply next."""
    story = Story(Settings(placement="epvm"))
    disk = {"engine": "docker", "disk": "1"}
    box = Container(image="box:1", disk=2)
    story.given(beat(labels=disk), start(job(A, container=box))).when(READY, at=1.5)
    story.when(beat(labels=disk), at=2.0)
    code, text = waiting(story)
    assert code == "placed"
    assert text.startswith("jobs are placed by the policy epvm: ")


def test_no_worker_has_what_the_job_needs() -> None:
    """How many are there does not matter."""
    story = Story().given(start(job(A, needs=("gpu=yes", "os=linux"))), READY)
    story.given(beat(slots=2, free=2, labels={"gpu": "yes"}))
    assert waiting(story) == ("unable", "1 worker is there, but none has gpu=yes, os=linux")


def test_a_worker_runs_other_work_under_the_same_id() -> None:
    """One at a time, since plain distbuild names jobs by id alone."""
    story = Story().given(start(job(A)), start(job(A, say="other")), READY, beat(slots=2, free=1), READY_TOO)
    story.when(beat(slots=2, free=1, running=(lease_id(1),)), at=1.0)
    text = "worker w has room, but it runs other work under the same id (record 10)"
    assert waiting(story, build=OTHER) == ("unsuitable", text)


def test_a_worker_of_others_holds_other_work_under_the_same_id() -> None:
    """It would answer with that."""
    story = Story().given(start(job(A), job(B, A)), start(job(A, say="other")), READY, plain(free=2))
    story.given(plain(free=1, finished=(Result(job=A),), added=(A,)), READY_TOO)
    story.when(plain(free=1, running=(B,)), at=1.0)
    text = "worker w has room, but it holds another spec's artifact of this id, which it would answer with"
    assert waiting(story, build=OTHER) == ("unsuitable", text)


def test_a_worker_of_ours_holds_what_an_older_build_needs() -> None:
    """It would replace it. When the older build has ended, nothing is in the way."""
    story = Story().given(start(job(A), job(B, A)), start(job(A, say="other")), READY, beat(slots=2, free=1))
    story.given(beat(slots=2, free=0, finished=(done(A, 1),)), READY_TOO, beat(slots=2, free=1))
    story.when(beat(slots=2, free=1, running=(lease_id(2),)), at=1.0)
    text = "worker w has room, but it holds what build 00000000 still needs under the same id"
    assert waiting(story, build=OTHER) == ("unsuitable", text)
    story.given(beat(slots=2, free=2, finished=(done(B, 2),)))
    assert answers(story, A, Question.WAITING, build=OTHER) == []
