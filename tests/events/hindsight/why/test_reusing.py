"""Why was no earlier result of a job reused, or why was one?"""

from attrs import evolve

from events.catalog import JobQueued
from events.commands import CancelBuild, Command, FinishUpload, StartBuild
from events.hindsight.why import Question
from events.ids import BuildId
from tests.events.hindsight.why.asking import READY, READY_TOO, answers, bad, done
from tests.events.story import (
    BUILD,
    OTHER,
    A,
    B,
    C,
    S,
    Story,
    V,
    beat,
    build_id,
    job,
    plain,
    start,
    store,
)


def built_before(*steps: Command) -> Story:
    """A was asked for; this happened; A is asked for again."""
    return Story().given(start(job(A)), READY, beat(), *steps, start(job(A)), READY_TOO)


def not_reused(story: Story, build: BuildId = OTHER) -> tuple[str, str]:
    """The code and the words."""
    [answer] = answers(story, A, Question.NOT_REUSED, build=build)
    return answer.code, answer.text


def test_it_never_ran() -> None:
    """Nothing of this name did."""
    story = Story().given(start(job(B)), start(job(A)), READY, READY_TOO)
    text = "it never ran before: no earlier build has a job of this name"
    assert not_reused(story) == ("never-done", text)
    assert answers(story, A, Question.NOT_REUSED, build=OTHER)[0].records == (10,)


def test_it_was_done_but_its_artifact_is_gone() -> None:
    """When, where, and how the artifact was lost."""
    story = built_before(beat(finished=(done(A, 1),)), beat(dropped=(A,)))
    when = "the same work was done 0 ms before on worker w, in build 00000000, at record 10"
    gone = f"{when}, but its artifact is gone"
    assert not_reused(story) == ("artifact-gone", f"{gone}: worker w had dropped it (record 13)")
    story = built_before(beat(finished=(done(A, 1),)), beat(free=0, session="2"))
    lost = "worker w, which held it, was lost: it came back as a new process (record 13)"
    assert not_reused(story) == ("artifact-gone", f"{gone}: {lost}")
    story = built_before(beat(finished=(done(A, 1),)), beat(added=(A,), digests={A: "e" * 64}))
    other = "worker w made other work under the same id (record 13)"
    assert not_reused(story) == ("artifact-gone", f"{gone}: {other}")


def test_the_last_of_several_holders_counts() -> None:
    """As long as one has it, it is there."""
    story = Story().given(start(job(A)), READY, beat(), beat(finished=(done(A, 1),)))
    story.given(beat(V, 0, added=(A,), digests={A: story.digest(A)}), beat(dropped=(A,)))
    story.given(beat(V, 0, session="2"), start(job(A)), READY_TOO)
    lost = "worker v, which held it, was lost: it came back as a new process (record 18)"
    assert not_reused(story)[1].endswith(lost)


def test_the_same_work_did_not_succeed() -> None:
    """It failed, was cancelled, or was still going on."""
    text = "the same work failed in build 00000000, at record 10 (exit status 2), and failures are not kept"
    assert not_reused(built_before(beat(finished=(bad(A, 1),)))) == ("never-done", text)
    text = "the same work was cancelled in build 00000000, at record 10"
    assert not_reused(built_before(CancelBuild(build=BUILD, reason="enough"))) == ("never-done", text)
    text = "nobody had done it yet: build 00000000 wanted the same work, too"
    assert not_reused(built_before()) == ("never-done", text)


def test_a_result_that_is_not_remembered() -> None:
    """A coordinator may forget results that nobody holds."""
    story = built_before(beat(finished=(done(A, 1),)), beat(dropped=(A,)))
    queued = story.records[-1].event
    assert isinstance(queued, JobQueued)
    story.records[-1] = story.records[-1]._replace(event=evolve(queued, reason=""))
    text = "it was done in build 00000000, at record 10, which is no longer remembered"
    assert not_reused(story) == ("never-done", text)


def test_an_artifact_that_nobody_remembers_making() -> None:
    """A worker brought it along."""
    story = Story().given(plain(free=0, added=(A,)), start(job(A)), READY)
    text = "a worker holds the artifact, but nobody remembers how it was made"
    assert not_reused(story, BUILD) == ("result-unknown", text)


def test_the_id_stood_for_other_work() -> None:
    """What is different is told."""
    graph = start(job(A, inputs=("s",)))
    story = Story().given(graph, store(S, "0"), READY, beat(), beat(finished=(done(A, 1),)), graph)
    story.given(store(S, "1"), READY_TOO)
    text = "in build 00000000 the same id stood for other work (record 3): s has other contents"
    assert not_reused(story) == ("spec-changed", text)


def test_the_job_of_that_name_was_other_work() -> None:
    """In the latest build of the same name; or if there was none lately, in the latest at all."""
    story, ids = Story(), (A, B, C)
    for number, (id_, name) in enumerate(zip(ids, ("ours", "theirs", "ours"), strict=True), start=1):
        new = evolve(job(id_, say=name), name="compile")
        story.given(StartBuild(name=name, jobs=(new,)), FinishUpload(build=build_id(number)))
    [answer] = answers(story, C, Question.NOT_REUSED, build=build_id(3))
    assert answer.text == (
        "in build 00000000 (ours), the last with a job of this name (record 2), it was other work: nothing in"
        " it differs but its id, which its client chose"
    )
    [answer] = answers(story, B, Question.NOT_REUSED, build=OTHER)
    assert answer.text == (
        "in build 00000000 (ours), the last with a job of this name (record 2), it was other work: its"
        " command has theirs where it had ours"
    )


def test_a_result_is_reused() -> None:
    """By whom, when and for whom it was made."""
    story = Story().given(StartBuild(jobs=(job(A),), name="nightly"), READY, beat())
    story.when(beat(finished=(done(A, 1),)), at=2.0).given(start(job(A))).when(READY_TOO, at=9.0)
    [answer] = answers(story, A, Question.REUSED, build=OTHER)
    assert answer.text == (
        "the same work was done on worker w for build 00000000 (nightly), from record 8 on, 9.0 s earlier;"
        " its artifact is held"
    )
    assert answer.records == (16, 8)
    assert answers(story, A, Question.NOT_REUSED, build=OTHER) == []
    story.given(start(job(A))).when(FinishUpload(build=build_id(3)), at=12.0)
    [answer] = answers(story, A, Question.REUSED, build=build_id(3))
    assert "for build 00000000 (nightly), from record 8 on" in answer.text


def test_an_artifact_turns_up_while_the_job_is_queued() -> None:
    """Both are told: why it was queued, and why it did not have to run."""
    story = Story().given(start(job(A), job(B, A)), READY, beat(), beat(free=0, finished=(done(A, 1),)))
    of_a = story.digest(A)
    story.when(beat(free=0, session="2"), at=5.0)
    story.when(beat(free=0, session="2", added=(A,), digests={A: of_a}), at=6.0)
    [answer] = answers(story, A, Question.REUSED)
    assert answer.text == (
        "the same work was done on worker w for this build, from record 9 on, 6.0 s earlier; its artifact is"
        " held and turned up while the job was queued: worker w told of it at record 21"
    )
    assert answers(story, A, Question.NOT_REUSED)[0].code == "never-done"
