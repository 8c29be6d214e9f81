"""Typed jobs: asked for by type and channel, heard of lease by lease, given up after three silent workers."""

import pytest
from attrs import evolve

from events.catalog import (
    BuildFailed,
    BuildSucceeded,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobQueued,
    JobReleased,
    JobReused,
    JobSucceeded,
    LeaseHeard,
    TimePassed,
    WorkerJoined,
    WorkerLost,
    WorkRequested,
)
from events.commands import (
    AnswerLease,
    CancelBuild,
    FinishUpload,
    ForgetBuild,
    ForgetResults,
    HearLease,
    HearWorkers,
    RegisterWorker,
    RequestWork,
    Result,
    ReturnLease,
    Settings,
    StartCoordinator,
    Tick,
)
from events.decide.jobs import GIVEN_UP
from events.decide.workers import next_deadline
from events.errors import BAD_GRAPH, LEASE_ENDED, MALFORMED, SOURCES_MISSING
from events.ids import ANONYMOUS, COORDINATOR, LeaseId, WorkerId
from tests.events.story import (
    BUILD,
    OTHER,
    A,
    B,
    C,
    D,
    P,
    Story,
    W,
    ask,
    beat,
    build_id,
    job,
    joined,
    single,
    start,
    typed_lease,
)

LEASE, SECOND, THIRD = (typed_lease(number) for number in (1, 2, 3))
SECONDS = 120.0
REGISTER = RegisterWorker(worker=P, labels={"arch": "s390x"})
OF_A = job(A, job_type="depsolve", args='{"a": 1}')


def result(error: str | None = None, size: int = 9) -> Result:
    return Result(job=A, lease=LEASE, exit_code=0 if error is None else 1, error=error, stdout_bytes=size)


def said(word: str, lease: LeaseId = LEASE, worker: WorkerId = P) -> LeaseHeard:
    return LeaseHeard(worker=worker, lease=lease, said=word)


def leased() -> Story:
    return Story().given(REGISTER, single(OF_A), ask(P, "depsolve"))


def test_a_job_is_given_to_whoever_asks_for_its_type() -> None:
    """And its result ends it; what it made lies with the coordinator."""
    story = Story().given(REGISTER, single(OF_A))
    story.when(ask(P, "file", "depsolve"))
    story.then(
        WorkRequested(worker=P, slots_free=1, types=("file", "depsolve"), channels=("",)),
        JobLeased(build=BUILD, job=A, lease=LEASE, worker=P, attempt=1, reason="first-come"),
    )
    story.when(AnswerLease(lease=LEASE, result=result()))
    story.then(
        said("answered"),
        JobSucceeded(build=BUILD, job=A, lease=LEASE, stdout_bytes=9),
        BuildSucceeded(build=BUILD),
    )
    assert story.state.locate(A, story.digest(A)) == COORDINATOR


def test_types_and_channels_must_both_fit() -> None:
    """Who asks for nothing gets nothing, and commands are no type of job."""
    story = Story().given(REGISTER, start(job(B)), FinishUpload(build=BUILD))
    story.given(single(job(C, job_type="file", channel="org-1")))
    for request in (
        ask(P),
        ask(P, ""),
        ask(P, "file"),
        ask(P, "depsolve", channel="org-1"),
        RequestWork(worker=P, slots_free=1, types=("file",)),
    ):
        story.when(request).then()
    assert [lease.job for lease in _given(story, ask(P, "file", channel="org-1"))] == [C]
    assert story.given(beat()).leases() == [(B, W, "first-come")]


def _given(story: Story, request: RequestWork) -> list[JobLeased]:
    return [event for event in story.when(request).last if isinstance(event, JobLeased)]


def test_first_come_first_served_across_builds() -> None:
    """Also past jobs of other types; what is given back goes to the end."""
    story = Story().given(REGISTER, single(job(A, job_type="x")), single(job(B, job_type="y")))
    story.given(single(job(C, job_type="x")), single(job(D, job_type="x")))
    assert [lease.job for lease in _given(story, ask(P, "x"))] == [A]
    story.given(ReturnLease(lease=LEASE))
    order = [_given(story, ask(P, "y", "x"))[0].job for _ in range(4)]
    assert order == [B, C, D, A]


def test_a_lease_that_nobody_received_is_nobodys_fault() -> None:
    """However often that happens, the job is not given up."""
    story = leased().when(ReturnLease(lease=LEASE))
    story.then(
        said("handed-back"),
        JobReleased(build=BUILD, job=A, lease=LEASE, reason="handed-back"),
    )
    for number in range(2, 30):
        story.given(ask(P, "depsolve"), ReturnLease(lease=typed_lease(number)))
    assert story.state.graphs[BUILD].jobs[A].losses == 0


def test_a_lease_lives_as_long_as_it_is_heard_of() -> None:
    """Only now and then that is a fact; its worker's own silence does not matter meanwhile."""
    story = leased()
    story.when(HearLease(lease=LEASE), at=SECONDS / 4 - 1).then()
    story.when(HearLease(lease=LEASE), at=SECONDS / 4).then(said("alive"))
    story.when(Tick(), at=SECONDS).then()
    assert next_deadline(story.state) == SECONDS / 4 + SECONDS
    for time in range(100, 7300, 100):
        story.when(HearLease(lease=LEASE), at=float(time)).when(Tick()).then()


def test_three_silent_workers_and_the_job_has_failed() -> None:
    """Twice it is queued again, at the end."""
    story = leased()
    for number in (1, 2):
        story.when(Tick(), at=SECONDS * number)
        lease = typed_lease(number)
        story.then(TimePassed(), JobReleased(build=BUILD, job=A, lease=lease, reason="lease-ran-out"))
        story.given(ask(P, "depsolve"))
        story.refused(HearLease(lease=lease), LEASE_ENDED, lease)
    story.when(Tick(), at=SECONDS * 3)
    story.then(
        TimePassed(),
        JobFailed(build=BUILD, job=A, lease=THIRD, exit_code=-1, error=GIVEN_UP),
        BuildFailed(build=BUILD, error=f"job a failed: {GIVEN_UP}"),
    )


def test_it_is_one_job_for_all_builds_that_wait_for_it() -> None:
    """A build that came later does not get more retries."""
    story = leased().when(Tick(), at=SECONDS).given(ask(P, "depsolve")).when(Tick(), at=SECONDS * 2)
    story.given(single(evolve(OF_A, same_as=BUILD), key="b"), ask(P, "depsolve"))
    story.when(Tick(), at=SECONDS * 3)
    assert [event.build for event in story.last if isinstance(event, JobFailed)] == [BUILD, OTHER]


def test_restarts_and_stalls_are_nobodys_fault() -> None:
    """All leases and workers are as if they had been heard of just now."""
    story = leased().when(StartCoordinator(version="2"), at=SECONDS * 2)
    story.when(Tick(), at=SECONDS * 3 - 1).then()
    story.when(AnswerLease(lease=LEASE, result=result()))
    assert isinstance(story.last[1], JobSucceeded)


def test_what_ended_cannot_be_spoken_of() -> None:
    """Nor can the leases of jobs that run commands."""
    story = leased().given(AnswerLease(lease=LEASE, result=result()))
    story.given(start(job(B)), FinishUpload(build=OTHER), beat())
    [native] = story.state.leases
    for lease in (LEASE, native, LeaseId("0" * 32)):
        story.refused(HearLease(lease=lease), LEASE_ENDED)
        story.refused(AnswerLease(lease=lease, result=result()), LEASE_ENDED)
        story.refused(ReturnLease(lease=lease), LEASE_ENDED)


def test_a_cancelled_lease_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its worker learns of it; but not for ever."""
    monkeypatch.setattr("events.folding.jobs.CANCELLED_MAX", 1)
    story = leased().given(CancelBuild(build=BUILD, reason="enough"))
    assert list(story.state.cancelled) == [LEASE]
    story.refused(AnswerLease(lease=LEASE, result=result()), LEASE_ENDED)
    story.given(single(OF_A, key="b"), ask(P, "depsolve"), CancelBuild(build=OTHER, reason="enough"))
    assert list(story.state.cancelled) == [SECOND]


def test_a_failure_frees_who_does_not_need_success() -> None:
    """What does need it is cancelled, and what needs that, too: a cancelled job frees nobody."""
    after = job(B, A, job_type="x", after_failure=True)
    strict, below = job(C, A, job_type="x"), job(D, C, job_type="x", after_failure=True)
    story = Story().given(REGISTER, single(OF_A, after, strict, below), ask(P, "depsolve"))
    story.when(AnswerLease(lease=LEASE, result=result("broken")))
    assert [type(event).__name__ for event in story.last] == [
        "LeaseHeard",
        "JobFailed",
        "JobCancelled",
        "JobCancelled",
        "JobQueued",
    ]
    assert {event.job for event in story.last if isinstance(event, JobCancelled)} == {C, D}


def test_the_outcome_of_a_failure_is_like_no_other() -> None:
    """What came after one is not reused after another, though all were the same jobs."""
    after = job(B, A, job_type="x", after_failure=True)
    digests, story = [], Story().given(REGISTER)
    for build in (BUILD, OTHER):
        story.given(single(OF_A, after, key=build), ask(P, "depsolve"))
        lease = next(iter(story.state.heard))
        story.given(AnswerLease(lease=lease, result=result("broken")), ask(P, "x"))
        story.given(AnswerLease(lease=next(iter(story.state.heard)), result=result()))
        digests.append(story.digest(B, build))
    assert digests[0] != digests[1]


def test_the_very_same_job_has_the_same_end() -> None:
    """What succeeded is reused, what failed has failed, and neither runs again."""
    story = leased().given(AnswerLease(lease=LEASE, result=result("broken")))
    story.when(single(evolve(OF_A, same_as=BUILD), job(B, A, job_type="x", after_failure=True), key="b"))
    ends = [event for event in story.last if isinstance(event, JobFailed | JobQueued)]
    assert ends[0] == JobFailed(build=OTHER, job=A, lease=LEASE, exit_code=1, error="broken")
    assert [event.job for event in ends[1:]] == [B]
    story = leased().given(AnswerLease(lease=LEASE, result=result()))
    story.when(single(evolve(OF_A, same_as=BUILD), job(B, A, job_type="x", after_failure=True), key="b"))
    assert [event.job for event in story.last if isinstance(event, JobReused)] == [A]


def test_a_failure_that_is_no_copy_is_tried_again() -> None:
    """As with all jobs: failures are not kept."""
    story = leased().given(AnswerLease(lease=LEASE, result=result("broken")))
    story.when(single(OF_A, key="b"))
    assert [event.job for event in story.last if isinstance(event, JobQueued)] == [A]


def test_a_copied_failure_ends_a_build_that_does_not_keep_going() -> None:
    """At once, with all that was about to be queued with it."""
    story = leased().given(AnswerLease(lease=LEASE, result=result("broken")))
    graph = single(evolve(OF_A, same_as=BUILD), job(B, job_type="x"), job(C, A, job_type="x"), key="b")
    story.when(evolve(graph, keep_going=False))
    assert {event.job for event in story.last if isinstance(event, JobCancelled)} == {B, C}
    assert isinstance(story.last[-1], BuildFailed)


def test_a_worker_registers_and_is_lost_after_its_silence() -> None:
    """Unless it has a lease, whose own silence counts; nobody in particular is never lost."""
    story = Story().when(REGISTER)
    story.then(WorkerJoined(worker=P, labels={"arch": "s390x"}, asking=True))
    story.when(REGISTER).then()
    story.given(RegisterWorker(worker=ANONYMOUS))
    story.when(HearWorkers(workers=(P,)), at=1000.0).when(Tick(), at=4599.0).then()
    assert next_deadline(story.state) == 4600.0
    story.when(Tick(), at=4600.0).then(TimePassed(), WorkerLost(worker=P, reason="silent"))
    story.when(HearWorkers(workers=(P, ANONYMOUS))).then()
    assert [id_ for id_, worker in story.state.workers.items() if worker.alive] == [ANONYMOUS]
    story.when(ask(P, "x")).then()
    assert story.when(REGISTER).last == [WorkerJoined(worker=P, labels={"arch": "s390x"}, asking=True)]


def test_nobody_who_reports_is_called_like_one_who_asks() -> None:
    """Nor the other way round."""
    for name in (P, ANONYMOUS, COORDINATOR):
        Story().refused(beat(name), MALFORMED, name)
    Story().refused(RegisterWorker(worker=W), MALFORMED, W)


def test_commands_may_rest_on_typed_jobs() -> None:
    """Their worker fetches from the coordinator, and nobody is kept waiting for it to run them."""
    story = Story(Settings()).given(REGISTER, start(OF_A, job(B, A)), FinishUpload(build=BUILD))
    story.given(ask(P, "depsolve"), AnswerLease(lease=LEASE, result=result()))
    story.when(beat())
    assert story.last[0] == joined()
    assert story.leases() == [(B, W, "first-come")]


def test_what_makes_no_sense_is_refused() -> None:
    """Commands need what their dependencies make; what is to begin at once needs all of its sources."""
    story = Story()
    story.refused(start(OF_A, job(B, A, after_failure=True)), BAD_GRAPH, "commands")
    story.refused(evolve(start(job(B, inputs=("s",))), at_once=True), SOURCES_MISSING, "1" * 40)


def test_results_are_forgotten_with_what_they_made() -> None:
    """The coordinator lets go of it as soon as no known build asks for it."""
    story = leased().given(AnswerLease(lease=LEASE, result=result()))
    digest = story.digest(A)
    story.given(ForgetBuild(build=BUILD), ForgetResults(results={digest: A}))
    assert not story.state.holders
    assert not story.state.results


def test_leases_are_known_as_uuids() -> None:
    """Of version 4, whatever was drawn."""
    [lease] = leased().state.leases
    assert (lease[12], lease[16] in "89ab") == ("4", True)


def test_a_build_may_be_started_and_done_with_in_one() -> None:
    """Nothing is left to be uploaded."""
    story = Story().when(single(OF_A))
    assert [type(event).__name__ for event in story.last] == [
        "BuildStarted",
        "JobAdded",
        "SignalReceived",
        "SourcesReady",
        "JobQueued",
    ]
    assert build_id(1) in story.state.active
