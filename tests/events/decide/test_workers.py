"""What a heartbeat brings about, and what its absence does."""

import pytest
from attrs import evolve

from events.catalog import (
    ArtifactCached,
    ArtifactDropped,
    BuildFailed,
    BuildSucceeded,
    HeartbeatReceived,
    JobBlocked,
    JobCancelled,
    JobLeased,
    JobQueued,
    JobReleased,
    JobReopened,
    JobSucceeded,
    TimePassed,
    WorkerJoined,
    WorkerLost,
    WorkerRestarted,
    WorkRequested,
)
from events.commands import FinishUpload, Heartbeat, RequestWork, Result, Settings, Tick
from events.decide.workers import WORKER_ID_MAX, deadline, next_deadline
from events.errors import MALFORMED, WORKER_UNKNOWN
from events.ids import JobId, LeaseId, SpecDigest, WorkerId
from tests.events.story import (
    BUILD,
    JOB_SECONDS_MAX,
    LEASE,
    LEASE_SECONDS,
    A,
    B,
    C,
    Story,
    V,
    W,
    beat,
    failed,
    heard,
    job,
    joined,
    lease_id,
    leased,
    plain,
    start,
)

READY = FinishUpload(build=BUILD)


def queued(*ids: JobId, seconds: float = 0.0) -> Story:
    """A build of independent jobs that wait for a worker."""
    return Story().given(start(*(job(id_, seconds=seconds) for id_ in ids)), READY)


def done(id_: JobId = A, number: int = 1) -> Result:
    return Result(job=id_, lease=lease_id(number), stdout_bytes=3, stderr_bytes=4)


# --- meeting


def test_a_new_worker_joins_with_what_it_says_of_itself() -> None:
    """Its first report is one of a stranger."""
    hello = beat(slots=4, free=4, labels={"arch": "arm64"})
    Story().when(hello).then(
        WorkerJoined(worker=W, session="1", slots=4, labels={"arch": "arm64"}, native=True), heard(free=4)
    )


def test_a_known_worker_only_reports() -> None:
    """Nothing is said twice."""
    Story().given(beat()).when(beat()).then(heard())


def test_a_worker_of_others_has_as_many_slots_as_it_was_seen_to_use() -> None:
    """Plain distbuild names no number of slots: it is what is free and what runs."""
    story = queued(A).given(plain(free=2))
    assert story.state.workers[W].slots == 2
    story.given(plain(free=2, running=(A,)))
    assert story.state.workers[W].slots == 3


@pytest.mark.parametrize(
    ("report", "word"),
    [
        (beat(WorkerId("")), "WorkerID"),
        (beat(WorkerId("w" * (WORKER_ID_MAX + 1))), "WorkerID"),
        (beat(free=-1), "FreeSlots"),
        (evolve(beat(), slots=-1), "FreeSlots"),
    ],
    ids=["no id", "long id", "free slots", "slots"],
)
def test_a_malformed_report_is_refused(report: Heartbeat, word: str) -> None:
    """Before anything of it is believed."""
    assert Story().refused(report, MALFORMED, word).records == []


# --- granting


def test_no_more_is_given_than_there_are_free_slots() -> None:
    """The first jobs of the build go first."""
    queued(A, B, C).when(beat(slots=2, free=2)).then(
        joined(slots=2), heard(free=2), leased(A, 1), leased(B, 2)
    )


def test_without_free_slots_nothing_is_given() -> None:
    """A full worker reports all the same."""
    queued(A).when(beat(free=0)).then(joined(), heard(free=0))


def test_slots_that_are_taken_are_not_given_again() -> None:
    """Neither to an older heartbeat that was held meanwhile, nor to a worker that names no jobs."""
    story = queued(A, B, C).given(beat(slots=2, free=2))
    story.when(RequestWork(worker=W, slots_free=2)).then()
    story = queued(A, B, C).given(plain(free=2))
    story.when(plain(free=1, running=None)).then(heard(mute=True))


def test_a_draining_worker_gets_nothing_new() -> None:
    """It keeps what it runs, hands back at once what it does not, and may stop draining."""
    story = queued(A, B).given(beat(slots=2, free=1)).when(beat(slots=2, free=2, draining=True))
    handed_back = JobReleased(build=BUILD, job=A, lease=LEASE, reason="handed-back")
    story.then(heard(free=2, unreported=(LEASE,), draining=True), handed_back)
    story.when(RequestWork(worker=W, slots_free=1)).then()
    story.when(beat(slots=2, free=1)).then(heard(), leased(B, 2))


def test_a_worker_that_leaves_takes_its_artifacts_out_of_reach() -> None:
    """What only it holds is made again where it is still needed, before anybody looks for it in vain."""
    story = Story().given(beat(), start(job(A), job(B, A)), READY, beat())
    story.given(beat(free=0, finished=(Result(job=A, lease=LEASE),)))
    made_of = story.digest(A)
    story.when(beat(free=0, draining=True, leaving=True)).then(
        heard(free=0, draining=True, leaving=True),
        WorkerLost(worker=W, reason="left"),
        JobBlocked(build=BUILD, job=B, reason="artifact-lost"),
        JobReopened(build=BUILD, job=A, reason="artifact-lost"),
        JobQueued(build=BUILD, job=A, digest=made_of, reason="artifact-gone"),
    )
    assert not story.state.workers[W].alive


def test_a_worker_may_say_later_what_it_has() -> None:
    """After it was taken for lost it is known by its session alone, until it introduces itself again."""
    story = Story().given(beat(slots=0, free=2)).when(beat(slots=2, free=2, labels={"os": "linux"}))
    story.then(
        WorkerJoined(worker=W, session="1", slots=2, labels={"os": "linux"}, native=True), heard(free=2)
    )
    story.when(beat(slots=0, free=2)).then(heard(free=2))
    assert (story.state.workers[W].slots, story.state.workers[W].labels) == (2, {"os": "linux"})


def test_a_worker_of_ours_may_ask_for_more_than_its_slots() -> None:
    """While jobs are very short it keeps some waiting; its slots stay what it said."""
    story = queued(A, B).when(beat(slots=1, free=2))
    story.then(
        WorkerJoined(worker=W, session="1", slots=1, native=True), heard(free=2), leased(A), leased(B, 2)
    )
    assert (story.state.workers[W].slots, story.state.workers[W].capacity) == (1, 2)


def test_a_held_heartbeat_asks_again() -> None:
    """Work that came up meanwhile is leased; it is recorded that the worker was heard of."""
    story = Story().given(beat(), start(job(A)), READY)
    story.when(RequestWork(worker=W, slots_free=1), at=5.0).then(
        WorkRequested(worker=W, slots_free=1), leased(A)
    )
    assert story.state.workers[W].last_seen == 5.0


def test_asking_again_in_vain_is_no_fact() -> None:
    """Neither without work, nor without room, nor from one that is lost."""
    Story().given(beat()).when(RequestWork(worker=W, slots_free=1)).then()
    story = queued(A, B).given(beat())
    story.when(RequestWork(worker=W, slots_free=0)).then()
    story.when(RequestWork(worker=W, slots_free=1)).then()
    Story().given(beat()).when(Tick(), at=30.0).given(start(job(A)), READY).when(
        RequestWork(worker=W, slots_free=1)
    ).then()


def test_a_stranger_cannot_ask_again() -> None:
    """Only who reported can have been held."""
    Story().refused(RequestWork(worker=W, slots_free=1), WORKER_UNKNOWN, W)


def test_a_worker_that_takes_slots_back_keeps_the_leases_it_has() -> None:
    """It gets no new ones until it has room."""
    story = queued(A, B, C).given(beat(slots=2, free=2))
    story.when(beat(slots=1, free=1)).then(joined(), heard(unreported=(LEASE, lease_id(2))))
    assert len(story.state.leases_of[W]) == 2


# --- lost answers


def test_a_lease_whose_answer_was_lost_is_owed_and_not_granted_twice() -> None:
    """The worker does not report it, so its slot is taken and no other job is put there."""
    story = queued(A, B).given(beat()).when(beat()).then(heard(unreported=(LEASE,)))
    assert story.state.leases_of[W] == {A: LEASE}


def test_an_owed_lease_and_a_new_one_share_the_free_slots() -> None:
    """Two slots, one owed: one more."""
    story = queued(A, B).given(beat(slots=2, free=1))
    story.when(beat(slots=2, free=2)).then(heard(free=2, unreported=(LEASE,)), leased(B, 2))


def test_a_lease_that_is_never_taken_goes_to_somebody_else() -> None:
    """A worker that reports and reports, but not this lease, is not going to run it."""
    story = queued(A).given(beat()).when(beat(), at=LEASE_SECONDS).then(heard(unreported=(LEASE,)))
    story.when(beat(V), at=LEASE_SECONDS + 1).then(joined(V), heard(V))
    story.when(beat(free=0)).then(
        heard(free=0, unreported=(LEASE,)),
        JobReleased(build=BUILD, job=A, lease=LEASE, reason="never-taken"),
    )
    assert story.state.graphs[BUILD].jobs[A].losses == 1, "it may be what makes workers vanish"
    story.when(beat(V)).then(heard(V), leased(A, 2, V, attempt=2))


def test_a_lease_that_the_report_itself_ended_is_not_reclaimed() -> None:
    """The failure that comes with it cancelled the job that was never taken."""
    story = queued(A, B).given(beat(slots=2, free=2))
    bad = Result(job=A, lease=LEASE, exit_code=1, error="exit status 1")
    story.when(beat(slots=2, free=2, finished=(bad,)), at=LEASE_SECONDS + 1).then(
        heard(free=2, unreported=(lease_id(2),), finished=(LEASE,)),
        failed(A),
        JobCancelled(build=BUILD, job=B, reason="build-failed"),
        BuildFailed(build=BUILD, error="job a failed: exit status 1"),
    )


# --- workers that do not say what they run


def test_a_mute_worker_is_not_accused_of_having_lost_its_jobs() -> None:
    """RunningJobs null with a slot in use says nothing about which."""
    story = queued(A, B).given(plain(free=2), plain(free=0, running=None))
    story.then(heard(free=0, mute=True))
    assert list(story.state.leases_of[W]) == [A, B]


def test_null_with_all_slots_free_means_that_nothing_runs() -> None:
    """Go writes an empty list as null; the lease is owed."""
    queued(A).given(plain(free=2)).when(plain(free=2, running=None)).then(heard(free=2, unreported=(LEASE,)))


def test_a_mute_worker_keeps_a_lease_no_longer_than_the_jobs_time_limit() -> None:
    """The answer may have been lost, and it will never say so."""
    story = queued(A, seconds=50.0).given(plain(free=2))
    for at in (20.0, 40.0):
        story.when(plain(free=1, running=None), at=at).then(heard(mute=True))
    story.when(plain(free=0, running=None), at=51.0).then(
        heard(free=0, mute=True), JobReleased(build=BUILD, job=A, lease=LEASE, reason="lease-ran-out")
    )


# --- results


def test_a_result_ends_the_job_and_the_build() -> None:
    """Cause, then consequences, in reading order."""
    story = queued(A).given(beat()).when(beat(finished=(done(),), added=(A,)))
    story.then(
        heard(finished=(LEASE,)),
        JobSucceeded(build=BUILD, job=A, lease=LEASE, stdout_bytes=3, stderr_bytes=4),
        BuildSucceeded(build=BUILD),
    )
    assert story.state.holders == {A: {W: story.digest(A)}}


def test_a_result_of_others_names_the_job_alone() -> None:
    """Plain distbuild knows no leases."""
    queued(A).given(plain()).when(plain(finished=(Result(job=A),))).then(
        heard(finished=(LEASE,)), JobSucceeded(build=BUILD, job=A, lease=LEASE), BuildSucceeded(build=BUILD)
    )


def test_a_result_said_twice_counts_once() -> None:
    """The first word is the one that counts."""
    worse = Result(job=A, lease=LEASE, exit_code=1, error="exit status 1")
    queued(A).given(beat()).when(beat(finished=(done(), worse))).then(
        heard(finished=(LEASE,)),
        JobSucceeded(build=BUILD, job=A, lease=LEASE, stdout_bytes=3, stderr_bytes=4),
        BuildSucceeded(build=BUILD),
    )


def test_a_stray_result_changes_nothing() -> None:
    """Once a lease has run out, its holder's answer is recorded and ignored."""
    story = queued(A).given(beat()).when(Tick(), at=LEASE_SECONDS)
    story.when(beat(free=0, finished=(done(),))).then(joined(), heard(free=0, strays=(LEASE,)))
    assert story.state.graphs[BUILD].jobs[A].status == "queued"


def test_a_result_for_somebody_elses_lease_changes_nothing() -> None:
    """Only the worker that holds the lease can answer it."""
    queued(A).given(beat()).when(beat(V, free=0, finished=(done(),))).then(
        joined(V), heard(V, free=0, strays=(LEASE,))
    )


def test_an_answer_to_an_older_lease_of_the_same_job_changes_nothing() -> None:
    """The same worker, the same job, but not the attempt that it runs now."""
    story = queued(A).given(beat()).when(Tick(), at=LEASE_SECONDS).when(beat())
    story.then(joined(), heard(), leased(A, 2, attempt=2))
    story.when(beat(free=0, running=(lease_id(2),), finished=(done(),))).then(heard(free=0, strays=(LEASE,)))


def test_results_for_ids_that_nobody_knows_are_tolerated() -> None:
    """Some workers answer with a job id of zeros when a download fails."""
    queued(A).given(plain()).when(plain(free=0, running=(A,), finished=(Result(job=JobId("0" * 40)),))).then(
        heard(free=0, strays=("0" * 40,))
    )


def test_a_worker_that_could_not_download_has_the_dependencies_made_again() -> None:
    """It says so with a job id of zeros: one that came back with an empty disk, say."""
    story = Story().given(start(job(A), job(B, A)), READY, plain())
    story.given(plain(finished=(Result(job=A),), added=(A,)))
    assert story.state.leases_of[W] == {B: lease_id(2)}
    story.when(plain(finished=(Result(job=JobId("0" * 40)),))).then(
        heard(unreported=(lease_id(2),), strays=("0" * 40,)),
        ArtifactDropped(worker=W, job=A, reason=f"not to be had by {W}"),
        JobReleased(build=BUILD, job=B, lease=lease_id(2), reason="artifact-unavailable"),
        JobBlocked(build=BUILD, job=B, reason="artifact-lost"),
        JobReopened(build=BUILD, job=A, reason="artifact-lost"),
        JobQueued(build=BUILD, job=A, digest=story.digest(A), reason="artifact-gone"),
        leased(A, 3, attempt=2),
    )


def test_running_leases_that_ended_are_revoked_until_the_worker_stops_naming_them() -> None:
    """It is told with every answer, since any answer may be lost."""
    story = queued(A).given(beat()).when(Tick(), at=LEASE_SECONDS)
    story.when(beat(free=0, running=(LEASE,))).then(joined(), heard(free=0, strays=(LEASE,)))
    assert story.state.revoked == {W: {LEASE: None}}
    story.when(beat(free=0, running=(LEASE,))).then(heard(free=0, strays=(LEASE,)))
    assert story.state.revoked == {W: {LEASE: None}}
    story.when(beat(free=0))
    assert story.state.revoked == {}


def test_a_live_lease_is_never_revoked_by_a_muddled_result() -> None:
    """The lease's own job goes on."""
    muddled = Result(job=B, lease=LEASE)
    story = queued(A).given(beat()).when(beat(free=0, running=(LEASE,), finished=(muddled,)))
    story.then(heard(free=0, strays=(LEASE,)))
    assert (story.state.revoked, story.state.leases_of[W]) == ({}, {A: LEASE})


# --- inventory


def test_artifacts_come_and_go() -> None:
    """Each id is news once, whatever is said of it twice in a report."""
    of_a = SpecDigest("d" * 64)
    story = Story().when(beat(added=(A, B, A), digests={A: of_a}, dropped=(B, B, C)))
    story.then(
        joined(),
        heard(),
        ArtifactCached(worker=W, job=A, digest=of_a),
        ArtifactCached(worker=W, job=B, digest=SpecDigest("")),
        ArtifactDropped(worker=W, job=B, reason="evicted"),
    )
    story.when(beat(added=(A,), digests={A: of_a})).then(heard())
    story.when(beat(added=(A,))).then(heard())
    assert story.state.holders == {A: {W: of_a}}


@pytest.mark.parametrize("when", ["while it runs", "with its result"])
def test_a_fetched_dependency_is_known_by_the_job_it_was_fetched_for(when: str) -> None:
    """Plain distbuild names no specs, but we know which one we sent the worker for."""
    story = Story().given(start(job(A), job(B, A)), READY, plain(V), plain(V, 0, finished=(Result(job=A),)))
    story.when(plain(), at=1.0)
    report = plain(free=0, running=(B,)) if when == "while it runs" else plain(finished=(Result(job=B),))
    story.when(evolve(report, added=(A,)))
    assert ArtifactCached(worker=W, job=A, digest=story.digest(A)) in story.last


# --- silence


def test_a_silent_worker_loses_its_leases_and_then_its_place() -> None:
    """Each at its own time; the alarm knows when."""
    story = Story(Settings(lease_seconds=10.0, worker_silence_seconds=30.0)).given(
        start(job(A)), READY, beat()
    )
    assert next_deadline(story.state) == 10.0
    story.when(Tick(), at=9.0).then()
    story.when(Tick(), at=10.0).then(
        TimePassed(), JobReleased(build=BUILD, job=A, lease=LEASE, reason="lease-ran-out")
    )
    assert next_deadline(story.state) == 30.0
    story.when(Tick(), at=30.0).then(TimePassed(), WorkerLost(worker=W, reason="silent"))
    assert next_deadline(story.state) is None


def test_leases_may_outlive_the_patience_with_idle_workers() -> None:
    """Whichever of the two is longer."""
    story = Story(Settings(lease_seconds=30.0, worker_silence_seconds=10.0)).given(
        start(job(A)), READY, beat()
    )
    story.given(beat(V))
    assert next_deadline(story.state) == 10.0
    story.when(Tick(), at=10.0).then(TimePassed(), WorkerLost(worker=V, reason="silent"))
    assert next_deadline(story.state) == 30.0
    story.when(Tick(), at=30.0).then(
        TimePassed(),
        JobReleased(build=BUILD, job=A, lease=LEASE, reason="lease-ran-out"),
        WorkerLost(worker=W, reason="silent"),
    )


@pytest.mark.parametrize("seen", [0.1, 0.7, 1763770000.1, 1763770000.7])
def test_a_tick_at_the_deadline_is_late_enough(seen: float) -> None:
    """However the floating point falls: otherwise the alarm would ring for ever."""
    story = Story().when(beat(), at=seen)
    alarm = next_deadline(story.state)
    story.when(Tick(), at=alarm).then(TimePassed(), WorkerLost(worker=W, reason="silent"))


def test_every_report_puts_the_deadline_off() -> None:
    """A long job is no silence."""
    story = queued(A).given(beat())
    for at in (20.0, 40.0, 60.0):
        story.when(beat(free=0, running=(LEASE,)), at=at).then(heard(free=0))
    story.when(Tick(), at=89.0).then()
    assert next_deadline(story.state) == 90.0


def test_a_quiet_worker_of_others_keeps_its_lease_up_to_the_jobs_limit() -> None:
    """Some do not report while they run a job."""
    story = queued(A).given(plain())
    assert next_deadline(story.state) == JOB_SECONDS_MAX
    story.when(Tick(), at=JOB_SECONDS_MAX - 1).then()
    story.when(Tick(), at=JOB_SECONDS_MAX).then(
        TimePassed(),
        JobReleased(build=BUILD, job=A, lease=LEASE, reason="lease-ran-out"),
        WorkerLost(worker=W, reason="silent"),
    )


def test_a_quiet_worker_is_given_no_less_than_anybody_else() -> None:
    """A short time limit does not cut the patience with silence."""
    story = queued(A, seconds=1.0).given(plain())
    assert next_deadline(story.state) == LEASE_SECONDS
    story.when(Tick(), at=2.0).then()


def test_a_worker_of_others_that_reports_while_it_runs_is_held_to_it() -> None:
    """Once seen to report with a job running, its silence counts as anybody's."""
    story = queued(A).given(plain()).when(plain(free=0, running=(A,)), at=5.0)
    assert story.state.workers[W].beats
    story.when(Tick(), at=5.0 + LEASE_SECONDS)
    assert JobReleased(build=BUILD, job=A, lease=LEASE, reason="lease-ran-out") in story.last


def test_reporting_only_between_jobs_is_not_reporting() -> None:
    """A worker that comes with the result, or without having got the job, was not seen to report at work."""
    story = queued(A).given(plain(), plain(), plain(finished=(Result(job=A),)))
    assert not story.state.workers[W].beats


def test_deadline_is_the_latest_limit_of_a_quiet_workers_jobs() -> None:
    """They may run one after the other."""
    story = Story().given(start(job(A, seconds=40.0), job(B, seconds=90.0)), READY, plain(free=2))
    assert deadline(story.state, story.state.workers[W]) == 90.0


def test_a_lost_worker_may_come_back() -> None:
    """It is new here, with no leases."""
    story = queued(A).given(beat()).when(Tick(), at=LEASE_SECONDS)
    story.when(beat(free=0), at=31.0).then(joined(), heard(free=0))
    assert story.state.workers[W].joined_at == 31.0


# --- restart


def test_a_restarted_worker_has_lost_its_jobs_and_artifacts() -> None:
    """A new session is a new process: what the old one had is gone."""
    story = queued(A).given(beat(added=(B,))).when(beat(session="2"))
    story.then(
        WorkerRestarted(worker=W),
        JobReleased(build=BUILD, job=A, lease=LEASE, reason="worker-lost"),
        WorkerLost(worker=W, reason="restarted"),
        joined(session="2"),
        heard(),
        leased(A, 2, attempt=2),
    )
    assert story.state.holders == {}


def test_plain_workers_have_no_sessions() -> None:
    """They cannot be seen to restart; they merely stop naming what they ran."""
    story = queued(A).given(plain()).when(plain())
    assert story.last == [HeartbeatReceived(worker=W, slots_free=1, unreported=(LEASE,))]


def test_leases_are_secrets_of_128_bits() -> None:
    """A lease's id entitles to report."""
    story = queued(A).when(beat())
    assert [event.lease for event in story.last if isinstance(event, JobLeased)] == [LeaseId("0" * 31 + "1")]
