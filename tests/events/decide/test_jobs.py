"""What becomes of jobs: freed, reused, shared, failed, taken back, and in every case ended."""

import pytest
from attrs import evolve

from events.catalog import (
    ArtifactCached,
    ArtifactDropped,
    BuildFailed,
    BuildSucceeded,
    Command,
    JobBlocked,
    JobCancelled,
    JobQueued,
    JobReleased,
    JobReopened,
    JobReused,
    JobSucceeded,
    SignalReceived,
    SourcesReady,
    TimePassed,
    WorkerLost,
    WorkerRestarted,
)
from events.commands import CancelBuild, FinishUpload, Heartbeat, NewJob, Result, Tick
from events.decide.jobs import ATTEMPTS_MAX
from events.ids import JobId
from tests.events.story import (
    BUILD,
    LEASE,
    LEASE_SECONDS,
    OTHER,
    A,
    B,
    C,
    D,
    S,
    Story,
    V,
    W,
    X,
    beat,
    build_id,
    failed,
    heard,
    job,
    joined,
    lease_id,
    leased,
    plain,
    start,
    store,
)

READY, READY_TOO = FinishUpload(build=BUILD), FinishUpload(build=OTHER)
SIGNAL = SignalReceived(build=OTHER, signal="upload-done")


def done(id_: JobId, number: int) -> Result:
    return Result(job=id_, lease=lease_id(number))


def bad(id_: JobId, number: int) -> Result:
    return Result(job=id_, lease=lease_id(number), exit_code=1, error="exit status 1")


def succeeded(id_: JobId, number: int, build: str = BUILD) -> JobSucceeded:
    return JobSucceeded(build=build_id(int(build, 16)), job=id_, lease=lease_id(number))


def alone(*results: Result, running: tuple[str, ...] = (), free: int = 1) -> Heartbeat:
    return beat(free=free, finished=results, running=running)


# --- freeing


def test_a_success_frees_those_whose_last_dependency_it_was() -> None:
    """A diamond: the middle is freed by the base, the top by the later of the two."""
    story = Story().given(start(job(A), job(B, A), job(C, A), job(D, B, C)), READY, beat(slots=2, free=1))
    story.when(beat(slots=2, free=0, finished=(done(A, 1),)))
    story.then(
        heard(free=0, finished=(LEASE,)),
        succeeded(A, 1),
        JobQueued(build=BUILD, job=B, digest=story.digest(B)),
        JobQueued(build=BUILD, job=C, digest=story.digest(C)),
    )
    story.given(beat(slots=2, free=2)).when(
        beat(slots=2, free=0, running=(lease_id(3),), finished=(done(B, 2),))
    )
    story.then(heard(free=0, finished=(lease_id(2),)), succeeded(B, 2))
    story.when(beat(slots=2, free=0, finished=(done(C, 3),)))
    story.then(
        heard(free=0, finished=(lease_id(3),)),
        succeeded(C, 3),
        JobQueued(build=BUILD, job=D, digest=story.digest(D)),
    )


def test_a_dependency_named_twice_counts_once() -> None:
    """The graph's edges are a set."""
    story = Story().given(start(job(A), job(B, A, A)), READY, beat()).when(alone(done(A, 1), free=0))
    story.then(
        heard(free=0, finished=(LEASE,)),
        succeeded(A, 1),
        JobQueued(build=BUILD, job=B, digest=story.digest(B)),
    )


# --- the digest of a spec


def test_a_digest_covers_all_that_the_output_depends_on() -> None:
    """Commands, the contents of inputs and the digests of dependencies; not the name, not the time limit."""

    top = job(B, A, inputs=("s",))

    def digest(top: NewJob = top, content: str = "0", base: str = "a") -> str:
        story = Story().given(start(job(A, say=base), top), store(S, content), READY, beat())
        return story.when(alone(done(A, 1), free=0)).digest(B)

    assert digest() == digest(evolve(top, name="other")) == digest(evolve(top, timeout_seconds=9.0))
    environ = evolve(top, cmds=(Command(exec=("echo", "b"), environ=("X=1",)),))
    variants = [digest(), digest(job(B, A)), digest(content="1"), digest(base="x"), digest(environ)]
    assert len(set(variants)) == len(variants)


def test_a_digest_is_the_same_for_ever() -> None:
    """Another way to compute it would forget every result that there is."""
    story = Story().given(start(job(A, inputs=("s",)), job(B, A)), store(S), READY, beat())
    story.given(alone(done(A, 1), free=0))
    assert story.digest(A) == "9cbc055db841eec6db89163114cfc2143538361bad590662b9bb996d7a0a172a"
    assert story.digest(B) == "2cddcd35ff9ad6d7c17ba79e95a1bc719d7555b2c29c05a8d69550db67414ba2"


# --- reuse


def test_known_work_is_reused_all_the_way_up() -> None:
    """The whole build ends with the signal, naming the leases that did the work and what they printed."""
    printed = Result(job=A, lease=LEASE, stdout_bytes=3, stderr_bytes=4)
    story = Story().given(start(job(A), job(B, A)), READY, beat(), alone(printed), alone(done(B, 2)))
    story.given(start(job(A), job(B, A))).when(READY_TOO).then(
        SIGNAL,
        SourcesReady(build=OTHER),
        JobReused(build=OTHER, job=A, digest=story.digest(A), lease=LEASE, stdout_bytes=3, stderr_bytes=4),
        JobReused(build=OTHER, job=B, digest=story.digest(B), lease=lease_id(2)),
        BuildSucceeded(build=OTHER),
    )


def test_the_same_id_with_another_spec_is_other_work() -> None:
    """A job's id is its client's word; one client's id does not answer for another's."""
    story = Story().given(start(job(A)), READY, beat(), alone(done(A, 1)), start(job(A, say="other")))
    story.when(READY_TOO).then(
        SIGNAL,
        SourcesReady(build=OTHER),
        JobQueued(build=OTHER, job=A, digest=story.digest(A, OTHER), reason="spec-changed"),
    )
    assert story.digest(A) != story.digest(A, OTHER)


def test_other_contents_of_a_source_are_other_work() -> None:
    """Even under the same source id."""
    graph = start(job(A, inputs=("s",)))
    story = Story().given(graph, store(S, "0"), READY, beat(), alone(done(A, 1)), graph)
    story.given(store(S, "1")).when(READY_TOO)
    digest = story.digest(A, OTHER)
    assert JobQueued(build=OTHER, job=A, digest=digest, reason="spec-changed") in story.last


def test_a_result_without_its_artifact_is_not_reused() -> None:
    """Nobody could fetch it."""
    story = Story().given(start(job(A)), READY, beat(), alone(done(A, 1)), beat(dropped=(A,)), start(job(A)))
    story.when(READY_TOO)
    assert JobQueued(build=OTHER, job=A, digest=story.digest(A), reason="artifact-gone") in story.last


def test_an_artifact_that_nobody_remembers_making_is_not_reused() -> None:
    """What its job printed is not known. Its holder is asked first, and will know."""
    story = Story().given(plain(free=0, added=(A,)), start(job(A))).when(READY)
    assert JobQueued(build=BUILD, job=A, digest=story.digest(A), reason="result-unknown") in story.last
    story.when(plain())
    assert story.leases() == [(A, W, "holds-result")]


def test_failures_are_not_reused() -> None:
    """Who builds again wants it tried again."""
    story = Story().given(start(job(A)), READY, beat(), alone(bad(A, 1)), start(job(A))).when(READY_TOO)
    assert JobQueued(build=OTHER, job=A, digest=story.digest(A)) in story.last


# --- sharing


def both(*, keep_going: bool = False) -> Story:
    """Two builds wait for the same job, which one worker runs under one lease."""
    story = Story().given(
        start(job(A), job(B, A), keep_going=keep_going), start(job(A), job(C, A)), READY, READY_TOO
    )
    return story.when(beat()).then(joined(), heard(), leased(A), leased(A, build=OTHER, reason="shared"))


def test_one_execution_serves_both_builds() -> None:
    """Each gets its own facts, so that its stream is whole."""
    story = both()
    assert story.state.leases[LEASE].builds == (BUILD, OTHER)
    story.when(alone(done(A, 1), free=0)).then(
        heard(free=0, finished=(LEASE,)),
        succeeded(A, 1),
        JobQueued(build=BUILD, job=B, digest=story.digest(B)),
        succeeded(A, 1, OTHER),
        JobQueued(build=OTHER, job=C, digest=story.digest(C, OTHER)),
    )


def test_a_build_joins_a_lease_that_runs_already() -> None:
    """It is told when, and the lease is not made younger by it."""
    story = Story().given(start(job(A)), READY, beat(), start(job(A, seconds=9000.0)))
    story.when(READY_TOO, at=7.0).then(
        SIGNAL,
        SourcesReady(build=OTHER),
        JobQueued(build=OTHER, job=A, digest=story.digest(A)),
        leased(A, build=OTHER, reason="shared"),
    )
    lease = story.state.leases[LEASE]
    assert (lease.leased_at, lease.seconds_max, lease.builds) == (0.0, 9000.0, (BUILD, OTHER))
    assert story.state.graphs[OTHER].jobs[A].started_at == 7.0


def test_a_failure_fails_both_builds() -> None:
    """Each in its own manner."""
    both(keep_going=True).when(alone(bad(A, 1))).then(
        heard(finished=(LEASE,)),
        failed(A),
        JobCancelled(build=BUILD, job=B, reason="dependency-failed"),
        BuildFailed(build=BUILD, error="job a failed: exit status 1"),
        failed(A, build=OTHER),
        JobCancelled(build=OTHER, job=C, reason="build-failed"),
        BuildFailed(build=OTHER, error="job a failed: exit status 1"),
    )


def test_a_lost_lease_is_released_for_both_and_given_again_to_both() -> None:
    """One lease again."""
    story = (
        both()
        .when(Tick(), at=LEASE_SECONDS)
        .then(
            TimePassed(),
            JobReleased(build=BUILD, job=A, lease=LEASE, reason="lease-ran-out"),
            JobReleased(build=OTHER, job=A, lease=LEASE, reason="lease-ran-out"),
            WorkerLost(worker=W, reason="silent"),
        )
    )
    story.when(beat(V)).then(
        joined(V),
        heard(V),
        leased(A, 2, V, attempt=2),
        leased(A, 2, V, build=OTHER, attempt=2, reason="shared"),
    )


def test_each_build_counts_its_own_attempts() -> None:
    """A build that comes later has not tried before, and none ever counts backwards."""
    story = Story().given(start(job(A)), READY, beat()).when(Tick(), at=LEASE_SECONDS)
    story.given(start(job(A)), READY_TOO).when(beat())
    assert story.last[2:] == [leased(A, 2, attempt=2), leased(A, 2, build=OTHER, reason="shared")]
    story.when(Tick(), at=2 * LEASE_SECONDS).given(CancelBuild(build=BUILD, reason=""), beat())
    assert story.last[2:] == [leased(A, 3, build=OTHER, attempt=2)]


def test_the_same_id_with_another_spec_is_not_shared() -> None:
    """Nor does one worker run both at a time, since others know jobs by id alone."""
    story = Story().given(start(job(A)), start(job(A, say="other")), READY, READY_TOO)
    story.when(beat(slots=2, free=2)).then(joined(slots=2), heard(free=2), leased(A))
    story.when(beat(V)).then(joined(V), heard(V), leased(A, 2, V, build=OTHER))


# --- failing


def test_the_first_failure_ends_the_build() -> None:
    """What runs is revoked, what waits is cancelled."""
    graph = start(job(A), job(B), job(C, B))
    story = Story().given(graph, READY, beat(slots=2, free=2))
    story.when(beat(slots=2, free=1, running=(lease_id(2),), finished=(bad(A, 1),))).then(
        heard(finished=(LEASE,)),
        failed(A),
        JobCancelled(build=BUILD, job=B, reason="build-failed"),
        JobCancelled(build=BUILD, job=C, reason="build-failed"),
        BuildFailed(build=BUILD, error="job a failed: exit status 1"),
    )
    assert story.state.revoked == {W: {lease_id(2): None}}


def test_a_build_that_keeps_going_cancels_only_what_depends_on_the_failure() -> None:
    """It fails when the rest is done, with the first failure."""
    graph = start(job(A), job(B, A), job(C, B), job(D), keep_going=True)
    story = Story().given(graph, READY, beat()).when(alone(bad(A, 1)))
    story.then(
        heard(finished=(LEASE,)),
        failed(A),
        JobCancelled(build=BUILD, job=B, reason="dependency-failed"),
        JobCancelled(build=BUILD, job=C, reason="dependency-failed"),
        leased(D, 2),
    )
    story.when(alone(done(D, 2))).then(
        heard(finished=(lease_id(2),)),
        succeeded(D, 2),
        BuildFailed(build=BUILD, error="job a failed: exit status 1"),
    )


def test_a_result_that_comes_with_the_end_of_its_build_is_not_counted() -> None:
    """The failure in the same report came first."""
    story = Story().given(start(job(A), job(B)), READY, beat(slots=2, free=2))
    story.when(beat(slots=2, free=2, finished=(bad(A, 1), done(B, 2)))).then(
        heard(free=2, finished=(LEASE, lease_id(2))),
        failed(A),
        JobCancelled(build=BUILD, job=B, reason="build-failed"),
        BuildFailed(build=BUILD, error="job a failed: exit status 1"),
    )


def test_a_job_that_keeps_losing_its_workers_fails() -> None:
    """It may be what kills them; three times is enough."""
    story = Story().given(start(job(A)), READY)
    for attempt, worker in enumerate((V, W), start=1):
        story.given(beat(worker)).when(Tick(), at=story.now + LEASE_SECONDS)
        assert JobReleased(build=BUILD, job=A, lease=lease_id(attempt), reason="lease-ran-out") in story.last
    story.given(beat(X)).when(Tick(), at=story.now + LEASE_SECONDS)
    error = "lost its worker 3 times, last: lease-ran-out (x)"
    story.then(
        TimePassed(),
        failed(A, 3, error, -1),
        BuildFailed(build=BUILD, error=f"job a failed: {error}"),
        WorkerLost(worker=X, reason="silent"),
    )


def test_a_failure_without_a_name_is_told_by_the_jobs_id() -> None:
    """Names are optional."""
    story = Story().given(start(evolve(job(A), name="")), READY, beat()).when(alone(bad(A, 1)))
    assert story.last[-1] == BuildFailed(build=BUILD, error=f"job {A} failed: exit status 1")


# --- artifacts that are lost


def chain() -> Story:
    """A is done and B is done on it; C waits for B, queued."""
    story = Story().given(start(job(A), job(B, A), job(C, B)), READY, beat())
    return story.given(alone(done(A, 1)), alone(done(B, 2), free=0))


def chain_at_its_end() -> Story:
    """V runs C; it could not wait for W, which holds B."""
    return chain().when(beat(V), at=1.0)


def test_a_lost_chain_of_artifacts_runs_again_from_its_start() -> None:
    """C waits again, B runs again, and since B needs A, so does A."""
    story = (
        chain()
        .when(Tick(), at=LEASE_SECONDS)
        .then(
            TimePassed(),
            WorkerLost(worker=W, reason="silent"),
            JobBlocked(build=BUILD, job=C, reason="artifact-lost"),
            JobReopened(build=BUILD, job=B, reason="artifact-lost"),
            JobReopened(build=BUILD, job=A, reason="artifact-lost"),
            JobQueued(build=BUILD, job=A, digest=chain().digest(A), reason="artifact-gone"),
        )
    )
    for number, id_ in enumerate((A, B, C), start=3):
        attempt = 1 if id_ == C else 2
        story.when(beat(V, free=1, finished=tuple(done(*last) for last in story_last(story))))
        assert leased(id_, number, V, attempt=attempt, reason=story.leases()[0][2]) == story.last[-1]
    story.when(beat(V, finished=(done(C, 5),)))
    assert story.last[-1] == BuildSucceeded(build=BUILD)


def story_last(story: Story) -> list[tuple[JobId, int]]:
    """The leases that worker V holds, as pairs of job and number."""
    return [(id_, int(lease, 16)) for id_, lease in story.state.leases_of.get(V, {}).items()]


def test_only_what_is_still_needed_runs_again() -> None:
    """A's artifact is lost, but B, which needed it, is done."""
    story = chain().when(beat(free=0, dropped=(A,)))
    story.then(heard(free=0), ArtifactDropped(worker=W, job=A, reason="evicted"))


def test_a_lost_result_of_the_build_runs_again() -> None:
    """A job that nobody depends on is what the build is for."""
    story = Story().given(start(job(A), job(B)), READY, beat(), alone(done(A, 1), free=0))
    story.when(beat(free=0, dropped=(A,))).then(
        heard(free=0),
        ArtifactDropped(worker=W, job=A, reason="evicted"),
        JobReopened(build=BUILD, job=A, reason="artifact-lost"),
        JobQueued(build=BUILD, job=A, digest=story.digest(A), reason="artifact-gone"),
    )


def test_nothing_runs_again_for_a_build_that_has_ended() -> None:
    """Its success is final."""
    Story().given(start(job(A)), READY, beat(), alone(done(A, 1))).when(beat(dropped=(A,))).then(
        heard(), ArtifactDropped(worker=W, job=A, reason="evicted")
    )


def test_a_second_holder_saves_the_rerun() -> None:
    """The artifact is not lost while somebody has it."""
    story = chain().given(beat(V, 0, added=(B,), digests={B: chain().digest(B)}))
    story.when(beat(free=0, dropped=(B,))).then(
        heard(free=0), ArtifactDropped(worker=W, job=B, reason="evicted")
    )


def test_a_running_dependent_goes_on_although_its_dependency_runs_again() -> None:
    """It has most likely fetched it by now; if not, it says so."""
    story = chain_at_its_end().given(beat(free=0, dropped=(B,)))
    story.when(beat(V, 0, finished=(Result(job=C, lease=lease_id(3)),)))
    story.then(heard(V, free=0, finished=(lease_id(3),)), succeeded(C, 3))
    assert story.state.graphs[BUILD].jobs[B].status == "queued"


def test_a_worker_that_cannot_fetch_says_what_it_lacks() -> None:
    """Whoever was said to hold it is believed no more; the job waits until it is made again."""
    story = chain_at_its_end()
    lacks = Result(job=C, lease=lease_id(3), exit_code=-1, error="cannot fetch", lost=(B, D))
    story.when(beat(V, 0, finished=(lacks,))).then(
        heard(V, free=0, finished=(lease_id(3),), lost={lease_id(3): (B, D)}),
        ArtifactDropped(worker=W, job=B, reason="not to be had by v"),
        JobReleased(build=BUILD, job=C, lease=lease_id(3), reason="artifact-unavailable"),
        JobBlocked(build=BUILD, job=C, reason="artifact-lost"),
        JobReopened(build=BUILD, job=B, reason="artifact-lost"),
        JobQueued(build=BUILD, job=B, digest=story.digest(B), reason="artifact-gone"),
    )
    assert story.state.graphs[BUILD].jobs[C].losses == 0


def test_a_release_finds_its_dependency_gone() -> None:
    """A job that loses its worker after its dependency was lost waits at once."""
    story = chain_at_its_end().given(beat(free=0, dropped=(B,))).when(beat(V, 0, session="2"))
    story.then(
        WorkerRestarted(worker=V),
        JobReleased(build=BUILD, job=C, lease=lease_id(3), reason="worker-lost"),
        JobBlocked(build=BUILD, job=C, reason="artifact-lost"),
        WorkerLost(worker=V, reason="restarted"),
        joined(V, "2"),
        heard(V, free=0),
    )


def test_an_artifact_that_turns_up_again_is_reused() -> None:
    """A worker that restarted tells what its disk still has; queued jobs need not run again."""
    story = chain()
    digests = {id_: story.digest(id_) for id_ in (A, B)}
    story.given(beat(session="2", free=0)).when(beat(session="2", free=0, added=(B, A), digests=digests))
    story.then(
        heard(free=0),
        ArtifactCached(worker=W, job=B, digest=digests[B]),
        ArtifactCached(worker=W, job=A, digest=digests[A]),
        JobReused(build=BUILD, job=A, digest=digests[A], lease=LEASE),
        JobReused(build=BUILD, job=B, digest=digests[B], lease=lease_id(2)),
        JobQueued(build=BUILD, job=C, digest=story.digest(C)),
    )


# --- one artifact for each id


def test_a_replaced_artifact_is_a_lost_one() -> None:
    """The older build's artifact is replaced by a worker that runs the younger's job all the same."""
    story = Story().given(start(job(A), job(B, A)), start(job(A, say="other")), READY, READY_TOO)
    story.given(beat(V), beat(W))  # V runs the first spec, W the second
    story.given(beat(V, 0, finished=(done(A, 1),)))
    of_first = story.digest(A)
    story.given(
        beat(W, 0, running=(lease_id(2),), added=(A,), digests={A: of_first}), beat(V, 0, dropped=(A,))
    )
    story.when(beat(W, 0, finished=(done(A, 2),)))
    story.then(
        heard(W, free=0, finished=(lease_id(2),)),
        succeeded(A, 2, OTHER),
        BuildSucceeded(build=OTHER),
        JobBlocked(build=BUILD, job=B, reason="artifact-replaced"),
        JobReopened(build=BUILD, job=A, reason="artifact-replaced"),
        JobQueued(build=BUILD, job=A, digest=of_first, reason="artifact-gone"),
    )


def test_an_inventory_may_replace_an_artifact_too() -> None:
    """A worker that says it now holds another spec's artifact no longer holds ours."""
    story = Story().given(start(job(A), job(B, A)), READY, beat(), alone(done(A, 1), free=0))
    story.when(beat(free=0, added=(A,), digests={A: "e" * 64}))
    assert story.last[2:] == [
        JobBlocked(build=BUILD, job=B, reason="artifact-replaced"),
        JobReopened(build=BUILD, job=A, reason="artifact-replaced"),
        JobQueued(build=BUILD, job=A, digest=story.digest(A), reason="artifact-gone"),
    ]


@pytest.mark.parametrize("worker", [plain(), beat()], ids=["of others", "of ours"])
def test_two_builds_that_want_different_work_under_one_id_both_end(worker: Heartbeat) -> None:
    """One worker with one slot: the younger build waits until the older no longer needs the artifact.

    One of others would answer with what it has, so it is not asked; one of ours comes to the rescue.
    """
    story = Story().given(start(job(A), job(B, A)), start(job(A, say="other"), job(B, A)), READY, READY_TOO)
    for _ in range(8):
        leases = story.state.leases_of.get(W, {})
        results = tuple(Result(job=id_, lease=lease) for id_, lease in leases.items())
        native = Heartbeat(worker=W, slots_free=1, finished=results, running=())
        story.when(native if not worker.native else beat(finished=results), at=story.now + 1)
    if not worker.native:
        assert list(story.state.active) == [OTHER]
        for _ in range(3):
            leases = story.state.leases_of.get(V, {})
            results = tuple(Result(job=id_, lease=lease) for id_, lease in leases.items())
            story.when(beat(V, finished=results), at=story.now + 1)
    assert not story.state.active
    assert [build.status for build in story.state.builds.values()] == ["succeeded", "succeeded"]


def test_a_job_that_nobody_gets_done_fails_in_the_end() -> None:
    """Whatever hands it back each time is not its worker's death, and still must not go on for ever."""
    story = Story().given(start(job(A)), READY)
    for attempt in range(1, ATTEMPTS_MAX):
        story.given(beat()).when(beat(draining=True))
        assert JobReleased(build=BUILD, job=A, lease=lease_id(attempt), reason="handed-back") in story.last
    error = f"was tried {ATTEMPTS_MAX} times, last: handed-back (w)"
    story.given(beat()).when(beat(draining=True)).then(
        heard(unreported=(lease_id(ATTEMPTS_MAX),), draining=True),
        failed(A, ATTEMPTS_MAX, error, -1),
        BuildFailed(build=BUILD, error=f"job a failed: {error}"),
    )
