"""Why does a job wait: for sources, or for what its dependencies wait for?"""

from itertools import pairwise

from events.hindsight.why import Question
from events.ids import JobId
from tests.events.hindsight.why.asking import READY, codes, done, texts
from tests.events.story import A, B, C, D, S, Story, T, V, beat, job, start, store

MANY = tuple(JobId(f"{number:040x}") for number in range(16, 30))


def waiting(story: Story, id_: JobId, at: int = 0) -> list[str]:
    return texts(story, id_, Question.WAITING, at=at)


def test_source_files_that_are_not_there() -> None:
    """How many, which, and which of them the job itself reads."""
    story = Story().given(start(job(A, inputs=("s", "t")), job(B)), store(S))
    assert waiting(story, A) == ["1 of 2 source files of the build are not there: t; this job reads t"]
    assert waiting(story, B)[0].endswith(": t; this job reads none of them")
    assert codes(story, A, Question.WAITING) == ["sources-missing"]


def test_a_client_that_does_not_say_that_it_is_done() -> None:
    """Although everything is there."""
    story = Story().given(start(job(A, inputs=("s", "t"))), store(S), store(T))
    text = "all source files are there, but the client has not said that its upload is done"
    assert waiting(story, A) == [text]
    assert waiting(story, A, at=4) == ["1 of 2 source files of the build are not there: t; this job reads t"]


def test_the_chain_is_followed_to_its_end() -> None:
    """To the job that runs or could run; what waits for the same is told together."""
    story = Story().given(start(job(A), job(B, A), job(C, A), job(D, B, C)), READY)
    nobody = "no worker is there, nor ever was; it is the next of its build"
    assert waiting(story, D) == [f"for b, c ← a, which is queued since record 8, for 0 ms: {nobody}"]
    story.when(beat(), at=2.0)
    assert waiting(story, D) == ["for b, c ← a, which runs on worker w since record 11, for 0 ms"]
    story.when(beat(free=0, slots=2, finished=(done(A, 1),)), at=3.0).when(beat(slots=2, free=1), at=4.0)
    assert waiting(story, D) == [
        "for b, which runs on worker w since record 18, for 0 ms",
        f"for c, which is queued since record 16, for 1.0 s: {full(2)}; it is the next of its build",
    ]
    assert codes(story, D, Question.WAITING) == ["dependency", "dependency"]


def full(slots: int) -> str:
    return f"every slot is taken ({slots} slots of 1 worker)"


def test_a_long_chain_is_shortened() -> None:
    """Its beginning and its end are named."""
    chain = [job(MANY[0]), *(job(id_, below) for below, id_ in pairwise(MANY))]
    story = Story().given(start(*chain), READY, beat())
    [text] = waiting(story, MANY[-1])
    names = [short(MANY[place]) for place in (12, 11, 10, 0)]
    assert text.startswith(f"for {names[0]} ← {names[1]} ← {names[2]} ← … 9 more … ← {names[3]}, which runs")


def short(id_: JobId) -> str:
    """Jobs in these stories are named after the first digit of their id."""
    return id_[0]


def test_of_many_dependencies_the_first_are_told() -> None:
    """And how many more there are."""
    leaves = [job(id_) for id_ in MANY]
    story = Story().given(start(*leaves, job(A, *MANY)), READY, beat(V, slots=8, free=8))
    found = waiting(story, A)
    assert len(found) == 6
    assert found[-1] == "for 9 more of its 14 dependencies"


def test_a_job_that_is_about_to_be_queued() -> None:
    """Between two records of one command."""
    story = Story().given(start(job(A), job(B, A)), READY, beat(), beat(free=0, finished=(done(A, 1),)))
    succeeded = next(r.position for r in story.records if type(r.event).__name__ == "JobSucceeded")
    assert waiting(story, B, succeeded) == ["every dependency is there: it is queued with the next records"]
