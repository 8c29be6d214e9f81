"""A build from its start to the moment it is forgotten, as far as its client has a say in it."""

from collections.abc import Callable

import pytest
from attrs import evolve

from events.catalog import (
    BuildCancelled,
    BuildForgotten,
    BuildStarted,
    BuildSucceeded,
    JobCancelled,
    JobQueued,
    JobReused,
    SignalReceived,
    SourcesDeclared,
    SourcesReady,
)
from events.commands import CancelBuild, Command, FinishUpload, ForgetBuild, Result, StartBuild
from events.decide import builds
from events.errors import BAD_GRAPH, BUILD_ENDED, BUILD_UNKNOWN, SOURCES_MISSING, Code
from events.ids import SourceId
from tests.events.story import (
    BUILD,
    LEASE,
    OTHER,
    A,
    B,
    C,
    S,
    Story,
    T,
    added,
    beat,
    build_id,
    heard,
    job,
    joined,
    leased,
    start,
    store,
)

READY = FinishUpload(build=BUILD)
CANCEL = CancelBuild(build=BUILD, reason="enough")


def cancelled() -> Story:
    return Story().given(start(job(A)), CANCEL)


def succeeded() -> Story:
    done = beat(finished=(Result(job=A, lease=LEASE),))
    return Story().given(start(job(A)), READY, beat(), done)


def failed() -> Story:
    done = beat(finished=(Result(job=A, lease=LEASE, exit_code=1, error="exit status 1"),))
    return Story().given(start(job(A)), READY, beat(), done)


def test_start_tells_the_whole_graph() -> None:
    """The log alone rebuilds a build: its sources and a record for each job, in the client's order."""
    base, top = job(A, inputs=("s",)), job(B, A, inputs=("t",), seconds=5.0)
    Story().when(start(base, top, key="k", keep_going=True)).then(
        BuildStarted(build=BUILD, jobs=2, key="k", keep_going=True),
        SourcesDeclared(build=BUILD, files={S: "s", T: "t"}),
        added(base),
        added(top),
    )


def test_many_sources_are_told_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No record grows with the build."""
    monkeypatch.setattr(builds, "PATHS_PER_RECORD", 2)
    files = {SourceId(f"{n:040x}"): f"src/{n}" for n in range(5)}
    story = Story().when(StartBuild(jobs=(), sources=files))
    pages = [event.files for event in story.last if isinstance(event, SourcesDeclared)]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert story.state.graphs[BUILD].sources == {path: id_ for id_, path in files.items()}


def test_the_same_key_is_the_same_build() -> None:
    """A client that lost the answer asks again and gets no second build."""
    story = Story().given(start(job(A), key="k")).when(start(job(A), key="k")).then()
    assert story.state.keys == {"k": BUILD}


def test_without_a_key_every_start_is_a_build() -> None:
    """No key, no memory."""
    Story().given(start(job(A))).when(start(job(A))).then(
        BuildStarted(build=OTHER, jobs=1), added(job(A), OTHER)
    )


def test_a_forgotten_key_is_free_again() -> None:
    """The key goes with the build it named."""
    story = Story().given(start(job(A), key="k"), CANCEL, ForgetBuild(build=BUILD))
    story.when(start(job(A), key="k")).then(BuildStarted(build=OTHER, jobs=1, key="k"), added(job(A), OTHER))


def test_a_bad_graph_is_refused_with_all_its_faults() -> None:
    """The client learns in one go what to correct, and nothing of it is recorded."""
    story = Story().refused(
        start(job(A, B, inputs=("s",)), job(A, C)), BAD_GRAPH, "no job of this graph", "same id"
    )
    assert story.records == []


def test_upload_done_early_names_what_is_missing() -> None:
    """The build goes on waiting; each missing id is named once."""
    story = Story().given(start(job(A, inputs=("s",)), job(B, inputs=("s", "t"))))
    story.refused(READY, SOURCES_MISSING, "2 source files", S, T)
    story.given(store(S)).refused(READY, SOURCES_MISSING, "1 source files", T)


def test_upload_done_frees_the_jobs_that_wait_for_nothing() -> None:
    """Jobs with dependencies go on waiting."""
    story = Story().given(start(job(A, inputs=("s",)), job(B, A)), store(S)).when(READY)
    story.then(
        SignalReceived(build=BUILD, signal="upload-done"),
        SourcesReady(build=BUILD),
        JobQueued(build=BUILD, job=A, digest=story.digest(A)),
    )


def test_upload_done_again_changes_nothing() -> None:
    """It is recorded that it was said."""
    story = Story().given(start(job(A)), READY)
    story.when(READY).then(SignalReceived(build=BUILD, signal="upload-done"))


def test_an_empty_build_succeeds_at_once() -> None:
    """Nothing to do is done when the client says go."""
    Story().given(start()).when(READY).then(
        SignalReceived(build=BUILD, signal="upload-done"),
        SourcesReady(build=BUILD),
        BuildSucceeded(build=BUILD),
    )


def test_cancel_while_uploading() -> None:
    """Every job is cancelled before the build is."""
    Story().given(start(job(A), job(B, A))).when(CANCEL).then(
        SignalReceived(build=BUILD, signal="cancel", reason="enough"),
        JobCancelled(build=BUILD, job=A, reason="build-cancelled"),
        JobCancelled(build=BUILD, job=B, reason="build-cancelled"),
        BuildCancelled(build=BUILD, reason="enough"),
    )


def test_cancel_while_running_revokes_the_lease() -> None:
    """A running, a queued and a blocked job are cancelled alike; the worker is told to let go."""
    story = Story().given(start(job(A), job(B), job(C, A)), READY, beat()).when(CANCEL)
    story.then(
        SignalReceived(build=BUILD, signal="cancel", reason="enough"),
        *(JobCancelled(build=BUILD, job=id_, reason="build-cancelled") for id_ in (A, B, C)),
        BuildCancelled(build=BUILD, reason="enough"),
    )
    assert story.state.leases == {}
    assert story.state.revoked == {"w": {LEASE: None}}


def test_cancel_leaves_finished_jobs_alone() -> None:
    """What has succeeded stays so."""
    done = beat(finished=(Result(job=A, lease=LEASE),), free=0)
    Story().given(start(job(A), job(B, A)), READY, beat(), done).when(CANCEL).then(
        SignalReceived(build=BUILD, signal="cancel", reason="enough"),
        JobCancelled(build=BUILD, job=B, reason="build-cancelled"),
        BuildCancelled(build=BUILD, reason="enough"),
    )


def test_cancelling_twice_changes_nothing() -> None:
    """Who cancels wants it cancelled, and it is."""
    cancelled().when(CANCEL).then()


@pytest.mark.parametrize("told", [succeeded, failed])
def test_an_ended_build_cannot_be_cancelled(told: Callable[[], Story]) -> None:
    """The refusal says how it ended."""
    story = told()
    story.refused(CANCEL, BUILD_ENDED, str(story.state.builds[BUILD].status))


@pytest.mark.parametrize("told", [succeeded, failed, cancelled])
def test_an_ended_build_takes_no_upload(told: Callable[[], Story]) -> None:
    """The refusal says how it ended."""
    story = told()
    story.refused(READY, BUILD_ENDED, str(story.state.builds[BUILD].status))


@pytest.mark.parametrize("told", [succeeded, failed, cancelled])
def test_an_ended_build_can_be_forgotten(told: Callable[[], Story]) -> None:
    """Nothing of it is left in State but what its jobs made."""
    story = told().when(ForgetBuild(build=BUILD)).then(BuildForgotten(build=BUILD))
    assert (story.state.builds, story.state.graphs, story.state.keys) == ({}, {}, {})


def test_an_active_build_cannot_be_forgotten() -> None:
    """Neither while it uploads nor while it runs."""
    story = Story().given(start(job(A))).refused(ForgetBuild(build=BUILD), BUILD_ENDED, "uploading")
    story.given(READY).refused(ForgetBuild(build=BUILD), BUILD_ENDED, "running")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (FinishUpload(build=build_id(9)), BUILD_UNKNOWN),
        (CancelBuild(build=build_id(9), reason=""), BUILD_UNKNOWN),
        (ForgetBuild(build=build_id(9)), BUILD_UNKNOWN),
    ],
    ids=["upload", "cancel", "forget"],
)
def test_an_unknown_build_is_refused(command: Command, code: Code) -> None:
    """The id is named, so that the client sees which it got wrong."""
    Story().refused(command, code, build_id(9))


def test_a_build_whose_work_is_known_runs_nothing() -> None:
    """Jobs are reused one after the other, and the build ends with the signal."""
    story = succeeded().given(start(job(A), job(B, A)))
    story.when(FinishUpload(build=OTHER)).then(
        SignalReceived(build=OTHER, signal="upload-done"),
        SourcesReady(build=OTHER),
        JobReused(build=OTHER, job=A, digest=story.digest(A), lease=LEASE),
        JobQueued(build=OTHER, job=B, digest=story.digest(B, OTHER)),
    )
    assert story.state.graphs[OTHER].reused == 1


def test_cancel_of_one_build_leaves_a_shared_lease_to_the_other() -> None:
    """The work goes on for who still wants it, and is revoked with the last."""
    story = Story().given(start(job(A)), READY, start(job(A)), FinishUpload(build=OTHER))
    story.when(beat()).then(joined(), heard(), leased(A), leased(A, build=OTHER, reason="shared"))
    story.when(CANCEL)
    assert story.state.leases[LEASE].builds == (OTHER,)
    assert story.state.revoked == {}
    story.when(CancelBuild(build=OTHER, reason="too"))
    assert story.state.leases == {}
    assert story.state.revoked == {"w": {LEASE: None}}


def test_a_job_is_typed_or_runs_commands() -> None:
    """What is both, or neither and yet has what only a typed job has, is refused."""
    typed = job(A, job_type="osbuild", args="{}", channel="org-1")
    Story().when(start(typed)).then(BuildStarted(build=BUILD, jobs=1), added(typed))
    Story().refused(start(evolve(typed, cmds=job(A).cmds)), BAD_GRAPH, "job a", "neither commands nor inputs")
    Story().refused(start(evolve(typed, job_type="")), BAD_GRAPH, "job a", "but no type")
