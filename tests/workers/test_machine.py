"""The pure machine, as stories: what it starts and stops, and what the next heartbeat says."""

from clients.distbuild import HeartbeatRequest, HeartbeatResponse, JobResult, JobSpec
from events.ids import JobId, WorkerId
from workers.machine import RESULT_BYTES_MAX, Decision, Key, Machine, Start, Stop

A, B, C = (JobId(name * 20) for name in ("aa", "bb", "cc"))
DIGEST = "d" * 64


def _spec(job: JobId, lease: str = "") -> JobSpec:
    return JobSpec(id=job, lease=lease, digest=DIGEST if lease else "")


def _result(job: JobId, lease: str = "", stdout: str = "", error: str | None = None) -> JobResult:
    return JobResult(id=job, lease=lease, stdout=stdout, error=error)


class Story:
    """A machine and the coordinator it talks to, exchange by exchange."""

    def __init__(self, slots: int = 2) -> None:
        self.machine = Machine(worker=WorkerId("http://w"), slots=slots, session="s", labels={"os": "linux"})
        self.held: dict[JobId, str] = {}

    def given(
        self, *specs: JobSpec, revoked: tuple[str, ...] = (), unknown_session: bool = False
    ) -> list[Decision]:
        """A heartbeat is sent and answered with `specs`."""
        return self.answer(self.machine.request(), *specs, revoked=revoked, unknown_session=unknown_session)

    def answer(
        self,
        request: HeartbeatRequest,
        *specs: JobSpec,
        revoked: tuple[str, ...] = (),
        unknown_session: bool = False,
    ) -> list[Decision]:
        jobs = {spec.id: spec for spec in specs}
        response = HeartbeatResponse(
            jobs_to_run=jobs, revoked_leases=revoked, unknown_session=unknown_session
        )
        return self.machine.answered(request, response, lambda: self.held)

    def ended(self, job: JobId, lease: str = "", *, seconds: float = 1.0, stdout: str = "") -> list[Start]:
        return self.machine.finished(Key(lease or job), _result(job, lease, stdout=stdout), seconds)


def test_the_first_heartbeat_introduces_the_worker() -> None:
    """Slots and labels are said once; when that was answered, not again."""
    story = Story()
    first = story.machine.request()
    assert first == HeartbeatRequest(
        worker_id="http://w", running_jobs=(), free_slots=2, session="s", slots=2, labels={"os": "linux"}
    )
    story.answer(first)
    assert story.machine.request() == HeartbeatRequest(
        worker_id="http://w", running_jobs=(), free_slots=2, session="s"
    )


def test_leases_are_started_and_reported() -> None:
    """What was given runs, takes slots, and is named in the next heartbeat."""
    story = Story()
    assert story.given(_spec(A, "la"), _spec(B, "lb")) == [Start(_spec(A, "la")), Start(_spec(B, "lb"))]
    request = story.machine.request()
    assert (request.running_jobs, request.running_leases, request.free_slots) == ((A, B), ("la", "lb"), 0)


def test_a_lease_that_is_given_again_is_not_started_again() -> None:
    """The answer was lost or crossed our report: the job runs once, and its result is sent once more."""
    story = Story()
    story.given(_spec(A, "la"))
    assert story.given(_spec(A, "la")) == []
    sent_before = story.machine.request()
    story.ended(A, "la")
    assert story.answer(sent_before, _spec(A, "la")) == []
    assert story.given(_spec(A, "la")) == []
    assert story.machine.running == ()


def test_results_are_repeated_until_a_heartbeat_with_them_was_answered() -> None:
    """A request that got no answer may not have arrived: everything in it is said again."""
    story = Story()
    story.given(_spec(A, "la"))
    story.ended(A, "la")
    lost, again = story.machine.request(), story.machine.request()
    assert lost.finished_job == again.finished_job == (_result(A, "la"),)
    story.answer(again)
    assert story.machine.request().finished_job == ()
    assert not story.machine.has_news


def test_only_what_the_answered_heartbeat_said_is_forgotten() -> None:
    """A job that ends while a heartbeat is on its way is reported with the next."""
    story = Story()
    story.given(_spec(A, "la"), _spec(B, "lb"))
    story.ended(A, "la")
    request = story.machine.request()
    story.ended(B, "lb")
    story.answer(request)
    assert story.machine.request().finished_job == (_result(B, "lb"),)


def test_revoked_leases_are_stopped_and_their_results_dropped() -> None:
    """A running one is killed, once; an ended one's result is not reported; a waiting one never starts."""
    story = Story(slots=1)
    story.given(_spec(A, "la"), _spec(B, "lb"))
    assert story.given(revoked=("la", "lb", "unknown")) == [Stop(Key("la"))]
    assert story.given(revoked=("la",)) == []
    assert story.machine.finished(Key("la"), _result(A, "la"), 1.0) == []
    assert not story.machine.has_news
    story.given(_spec(C, "lc"))
    story.ended(C, "lc")
    story.given(revoked=("lc",))
    assert story.machine.request().finished_job == ()


def test_a_stopped_job_has_no_result() -> None:
    """Its slot is free again, and that is all."""
    story = Story(slots=1)
    story.given(_spec(A, "la"))
    story.given(revoked=("la",))
    assert story.machine.finished(Key("la"), None, 1.0) == []
    assert story.machine.request().free_slots == 1
    assert story.given(_spec(A, "la2")) == [Start(_spec(A, "la2"))]


def test_more_leases_than_slots_wait_their_turn() -> None:
    """They are reported as running, since they are ours, and start in order as slots come free."""
    story = Story(slots=1)
    assert story.given(_spec(A, "la"), _spec(B, "lb"), _spec(C, "lc")) == [Start(_spec(A, "la"))]
    assert story.machine.request().running_leases == ("la", "lb", "lc")
    assert story.machine.request().free_slots == 0
    assert story.ended(A, "la") == [Start(_spec(B, "lb"))]


def test_very_short_jobs_are_asked_for_ahead() -> None:
    """With jobs of a millisecond, a busy worker asks for 50 ms of work; an idle one for what it has slots."""
    story = Story(slots=1)
    story.given(_spec(A, "la"))
    story.ended(A, "la", seconds=0.005)
    assert story.machine.request().free_slots == 11
    story.given()
    assert story.machine.request().free_slots == 1
    story.given(_spec(B, "lb"))
    assert story.machine.request().free_slots == 10
    story.ended(B, "lb", seconds=10.0)
    assert story.machine.request().free_slots == 1


def test_artifacts_are_announced_until_acknowledged() -> None:
    """New ones with the digests of their specs, gone ones by id."""
    story = Story()
    story.machine.artifact_changed(A, DIGEST)
    story.machine.artifact_changed(B, "")
    request = story.machine.request()
    assert request.added_artifacts == (A, B)
    assert request.artifact_digests == {A: DIGEST}
    story.machine.artifact_changed(A, None)
    story.answer(request)
    assert story.machine.has_news
    assert story.machine.request().dropped_artifacts == (A,)
    story.given()
    assert not story.machine.has_news


def test_an_artifact_that_changed_meanwhile_is_announced_again() -> None:
    """The answer to a report with the old digest says nothing about the new one."""
    story = Story()
    story.machine.artifact_changed(A, DIGEST)
    request = story.machine.request()
    story.machine.artifact_changed(A, "e" * 64)
    story.answer(request)
    assert story.machine.request().artifact_digests == {A: "e" * 64}


def test_an_unknown_session_is_told_everything_again() -> None:
    """The coordinator has forgotten us: slots, labels and every artifact go with the next heartbeat."""
    story = Story()
    story.held = {A: DIGEST, B: DIGEST}
    story.given()
    story.given(unknown_session=True)
    request = story.machine.request()
    assert (request.slots, request.labels, request.added_artifacts) == (2, {"os": "linux"}, (A, B))


def test_many_artifacts_are_announced_in_parts() -> None:
    """A worker that comes back with a full cache does not send one enormous heartbeat."""
    story = Story()
    for number in range(5000):
        story.machine.artifact_changed(JobId(f"{number:040x}"), DIGEST)
    counts = []
    while story.machine.has_news:
        counts.append(len(story.machine.request().added_artifacts))
        story.given()
    assert counts == [2000, 2000, 1000]


def test_much_output_is_spread_over_heartbeats() -> None:
    """At least one result each; one that has to wait counts as running, so that it is not given again."""
    story = Story(slots=3)
    story.given(_spec(A, "la"), _spec(B, "lb"), _spec(C, "lc"))
    for job, lease in ((A, "la"), (B, "lb"), (C, "lc")):
        story.ended(job, lease, stdout="x" * (RESULT_BYTES_MAX // 2 + 1))
    seen = []
    while story.machine.has_news:
        request = story.machine.request()
        seen.append(([result.lease for result in request.finished_job], request.running_leases))
        story.answer(request)
    assert seen == [(["la"], ("lb", "lc")), (["lb"], ("lc",)), (["lc"], ())]


def test_a_refused_heartbeat_is_narrowed_down_to_the_result_at_fault() -> None:
    """One result at a time; the one that is refused alone is replaced by a failure that says so."""
    story = Story()
    story.given(_spec(A, "la"), _spec(B, "lb"))
    story.ended(A, "la", stdout="poison")
    story.ended(B, "lb")
    story.machine.refused(story.machine.request(), "too odd")
    alone = story.machine.request()
    assert [result.lease for result in alone.finished_job] == ["la"]
    for _ in range(3):
        assert story.machine.request().finished_job == alone.finished_job
        story.machine.refused(alone, "too odd")
    replaced = story.machine.request()
    assert replaced.finished_job == (
        JobResult(id=A, lease="la", exit_code=-1, error="the coordinator refused the job's result: too odd"),
    )
    story.answer(replaced)
    assert [result.lease for result in story.machine.request().finished_job] == ["lb"]


def test_a_coordinator_without_leases_is_served_by_job_ids() -> None:
    """Jobs are known by their ids; no lease is mentioned, and nothing is asked for ahead."""
    story = Story()
    assert story.given(_spec(A)) == [Start(_spec(A))]
    assert story.given(_spec(A)) == []
    story.ended(A, seconds=0.001)
    request = story.machine.request()
    assert (request.running_jobs, request.running_leases, request.free_slots) == ((), (), 2)
    assert request.finished_job == (_result(A),)
    assert not story.machine.is_native


def test_such_a_coordinator_gets_a_known_result_without_a_run() -> None:
    """It asks again for a job that succeeded here: the result is reported again at once."""
    story = Story()
    story.given(_spec(A))
    story.ended(A, stdout="b3V0")
    story.given()
    assert story.given(_spec(A)) == []
    assert story.machine.request().finished_job == (_result(A, stdout="b3V0"),)


def test_with_a_known_result_its_artifact_is_announced_again() -> None:
    """Such a coordinator has started anew: without the artifact's place it cannot run what depends on it."""
    story = Story()
    story.given(_spec(A))
    story.ended(A)
    story.machine.artifact_changed(A, "")
    story.given()
    assert story.machine.request().added_artifacts == ()
    story.given(_spec(A))
    assert story.machine.request().added_artifacts == (A,)


def test_an_artifact_that_was_here_before_its_job_ran_is_announced_with_the_result() -> None:
    """It had been fetched as a dependency, and whoever asks for the job does not know that."""
    story = Story()
    story.machine.artifact_changed(A, "")
    story.given(_spec(A))
    assert story.machine.request().added_artifacts == ()
    story.ended(A)
    assert story.machine.request().added_artifacts == (A,)


def test_an_artifact_that_was_dropped_at_once_is_not_announced() -> None:
    """There was no room for it in the cache."""
    story = Story()
    story.given(_spec(A))
    story.machine.artifact_changed(A, "")
    story.machine.artifact_changed(A, None)
    story.ended(A)
    request = story.machine.request()
    assert (request.added_artifacts, request.dropped_artifacts) == ((), (A,))


def test_a_failure_or_a_lost_artifact_is_run_again() -> None:
    """Only a success whose artifact is still here is as good as a run."""
    story = Story()
    story.given(_spec(A), _spec(B))
    story.machine.finished(Key(A), _result(A, error="exit status 1"), 1.0)
    story.ended(B)
    story.machine.artifact_changed(B, None)
    story.given()
    assert story.given(_spec(A), _spec(B)) == [Start(_spec(A)), Start(_spec(B))]


def test_with_leases_the_coordinator_decides_what_is_run_again() -> None:
    """It knows digests; if it gives a job that was done here, it wants it done anew."""
    story = Story()
    story.given(_spec(A, "la"))
    story.ended(A, "la")
    story.given()
    assert story.machine.is_native
    assert story.given(_spec(A, "la2")) == [Start(_spec(A, "la2"))]


def test_a_draining_worker_lets_go_of_its_jobs_and_takes_none() -> None:
    """Running ones are stopped, waiting ones dropped, ended ones reported; there is no room for more."""
    story = Story(slots=2)
    story.given(_spec(A, "la"), _spec(B, "lb"), _spec(C, "lc"))
    story.ended(A, "la")
    assert story.machine.drain() == [Stop(Key("lb")), Stop(Key("lc"))]
    for key in ("lb", "lc"):
        story.machine.finished(Key(key), None, 1.0)
    request = story.machine.request()
    assert request.draining
    assert (request.free_slots, request.running_leases) == (0, ())
    assert request.finished_job == (_result(A, "la"),)
    assert story.answer(request, _spec(B, "lb")) == []
