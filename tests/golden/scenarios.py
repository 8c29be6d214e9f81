"""How the golden logs were made: each scenario is driven once and its log kept for ever.

    python -m tests.golden.scenarios

writes the logs that are not there yet. A log that exists is never written again, also when the core
would decide otherwise today: it is the record of what an earlier Terzetto left on a disk. What the logs
add up to is rewritten by `pytest --update-golden`.
"""

from collections.abc import Callable
from pathlib import Path

from attrs import evolve

from events.catalog import Container
from events.codec import encode
from events.commands import (
    AnswerLease,
    CancelBuild,
    DropFile,
    DropSource,
    FinishRequest,
    FinishUpload,
    ForgetBuild,
    ForgetResults,
    ForgetWorker,
    HearLease,
    HearWorkers,
    KeepOutputs,
    LogRequest,
    NewFile,
    PrioritiseBuild,
    PublishRequest,
    RegisterWorker,
    ReportContainer,
    ReportUnhealthy,
    RequestWork,
    Result,
    ResumeAfterStall,
    ReturnLease,
    Settings,
    StartCoordinator,
    StoreFile,
    Tick,
)
from events.ids import ANONYMOUS, BlobDigest, JobId, RequestId, source_of
from tests.events.story import (
    BUILD,
    OTHER,
    A,
    B,
    C,
    D,
    E,
    F,
    P,
    S,
    Story,
    T,
    V,
    W,
    X,
    ask,
    beat,
    build_id,
    file_id,
    job,
    lease_id,
    plain,
    single,
    start,
    store,
    typed_lease,
)

HERE = Path(__file__).parent
READY, READY_TOO = FinishUpload(build=BUILD), FinishUpload(build=OTHER)
ONE = RequestId(1)
BEGINNING = 1763770000.0
ENGINE = {"engine": "docker"}


def done(id_: JobId, number: int, error: str | None = None) -> Result:
    code = 0 if error is None else 1
    return Result(
        job=id_, lease=lease_id(number), error=error, exit_code=code, stdout_bytes=12, stderr_bytes=3
    )


def opened() -> Story:
    story = Story()
    story.now = BEGINNING
    return story.given(StartCoordinator(version="0.1.0", settings=Settings()))


def two_builds_share_and_reuse() -> Story:
    """A diamond on two workers, a second build that joins a lease, a third that reuses everything."""
    story = opened().given(store(S), beat(V, slots=2, free=2), beat(W, labels={"arch": "arm64"}))
    diamond = start(job(A, inputs=("s",)), job(B, A), job(C, A, inputs=("t",)), job(D, B, C), key="nightly")
    story.given(diamond, store(T, "1"), READY, start(job(A, inputs=("s",)), job(B, A)))
    story.given(RequestWork(worker=V, slots_free=2), READY_TOO)
    story.when(
        beat(V, 0, slots=2, finished=(done(A, 1),), added=(A,), digests={A: story.digest(A)}),
        at=story.now + 1,
    )
    story.when(beat(V, 1, slots=2), at=story.now + 1).when(beat(W), at=story.now + 1)
    story.when(beat(V, 2, slots=2, finished=(done(B, 2),)), at=story.now + 1)
    story.when(beat(W, 0, finished=(done(C, 3),)), at=story.now + 1)
    story.when(beat(W), at=story.now + 1).when(beat(W, finished=(done(D, 4),)), at=story.now + 1)
    story.given(diamond, start(job(A, inputs=("s",)), job(B, A)), FinishUpload(build=build_id(3)))
    return story.given(ForgetBuild(build=OTHER))


def workers_are_lost_and_artifacts_with_them() -> Story:
    """Leases run out, a chain runs again, a job loses three workers; a stall, a restart."""
    story = opened().given(start(job(A), job(B, A), job(C, B), keep_going=True), READY, beat(V))
    story.given(beat(V, finished=(done(A, 1),)), beat(V, 0, finished=(done(B, 2),)))
    story.when(Tick(), at=story.now + 30)
    story.when(ResumeAfterStall(seconds=9.0), at=story.now + 9).given(plain(W), plain(W, 0, running=(A,)))
    story.given(plain(W, finished=(Result(job=A),), added=(A,)))
    story.given(plain(W, 0, finished=(Result(job=B),)), plain(W, 0, dropped=(B,)))
    story.when(plain(W), at=story.now + 1).when(plain(W, 0, finished=(Result(job=B),)))
    for session in ("1", "2", "3", "4"):
        story.when(beat(V, session=session), at=story.now + 1)
    return story.given(StartCoordinator(version="0.1.0", settings=Settings(lease_seconds=5.0)))


def builds_fail_and_are_cancelled() -> Story:
    """Fail-fast, keep-going, cancelled while uploading and while running, and a source that got lost."""
    story = opened().given(beat(V, slots=3, free=0))
    graph = (job(A, inputs=("s",)), job(B, A), job(C), job(D, C))
    story.given(store(S), start(*graph), READY, beat(V, 2, slots=3))
    story.when(
        beat(V, 1, slots=3, running=(lease_id(2),), finished=(done(A, 1, "exit status 1"),)), at=story.now + 1
    )
    story.given(start(*graph, keep_going=True), READY_TOO, beat(V, 2, slots=3))
    story.given(beat(V, 1, slots=3, running=(lease_id(4),), finished=(done(A, 3, "exit status 2"),)))
    story.given(beat(V, 3, slots=3, finished=(done(C, 4),)), beat(V, 3, slots=3, finished=(done(D, 5),)))
    story.given(start(job(A)), CancelBuild(build=build_id(3), reason="no longer wanted"))
    story.given(start(job(A), job(B), job(C, B)), FinishUpload(build=build_id(4)), beat(V, 1, slots=3))
    story.given(CancelBuild(build=build_id(4), reason="no longer wanted"))
    story.given(start(job(A, inputs=("s",)), job(B)), FinishUpload(build=build_id(5)))
    return story.given(DropSource(source=S, reason="missing on disk"), beat(V, 3, slots=3, draining=True))


def artifacts_come_and_go() -> Story:
    """Fetches fail, a queued job is blocked again, an artifact turns up in time for it to be reused."""
    story = opened().given(start(job(A), job(B, A), job(C, A)), READY, beat(V))
    story.given(beat(V, 0, finished=(done(A, 1),))).when(beat(W), at=story.now + 1)
    lacks = Result(job=B, lease=lease_id(2), exit_code=-1, error="cannot fetch", lost=(A,))
    story.when(beat(W, 0, finished=(lacks,)), at=story.now + 1)
    story.given(beat(V)).given(beat(V, 2, slots=2, finished=(done(A, 3),)))
    story.given(beat(V, 2, slots=2, finished=(done(B, 4),)))
    of_a, of_b = story.digest(A), story.digest(B)
    story.given(beat(V, 0, slots=2, session="2"))
    return story.given(
        beat(V, 0, session="2", added=(A, B), digests={A: of_a, B: of_b}), beat(W, 0, dropped=(B,))
    )


def some_builds_are_served_first() -> Story:
    """Two of one priority take turns after one of a higher; then the last gets the highest."""
    story = opened()
    for number, (id_, other, priority) in enumerate(((A, B, 0), (C, D, 0), (E, F, 2)), start=1):
        story.given(start(job(id_), job(other), priority=priority), FinishUpload(build=build_id(number)))
    story.given(beat(V, 3, slots=6)).when(PrioritiseBuild(build=OTHER, priority=7), at=story.now + 1)
    return story.given(RequestWork(worker=V, slots_free=3), PrioritiseBuild(build=BUILD, priority=-1))


def requests_are_carried_out_later() -> Story:
    """One is published and finished, one never gets that far, one is open; a build has a number."""
    story = opened().given(LogRequest(action="new_build_at_revision", who="ann", what='{"branch":"main"}'))
    story.given(LogRequest(action="cancel_build", who="bob", what='{"bid":1}'), PublishRequest(request=ONE))
    story.given(evolve(start(job(A)), labels={"branch": "main"}), READY, start(job(B)))
    story.when(FinishRequest(request=ONE, answer='{"request_id":1}'), at=story.now + 1)
    story.given(FinishRequest(request=RequestId(2), answer="{}", undelivered=True))
    return story.given(LogRequest(action="reprioritize", who="ann", what='{"brid":1,"priority":3}'))


def workers_say_nothing_new() -> Story:
    """Two idle workers and one at work are heard together; the one who falls silent is lost."""
    story = opened().given(start(job(A)), READY, beat(V), beat(W), plain(X))
    story.given(beat(V, 0, running=(lease_id(1),)))
    for heard in ((V, X, W), (X, V), (W, X, V), (X, V)):
        story.when(HearWorkers(workers=heard), at=story.now + 14)
    story.when(Tick(), at=story.now + 25)
    return story.given(HearWorkers(workers=(W, X)), beat(V, 0, finished=(done(A, 1),)))


def a_worker_restarts_and_another_cannot_fetch() -> Story:
    """A new process under a known name; what cannot be had is named; one worker says nothing, one goes."""
    story = opened().given(start(job(A), job(B, A), job(C, A)), READY, beat(V, 2, slots=2))
    story.given(beat(V, 2, slots=2, finished=(done(A, 1),))).when(plain(X, 2, running=None), at=story.now + 1)
    story.when(beat(V, 1, slots=2, session="2"), at=story.now + 1)
    story.given(beat(V, 1, slots=2, session="2", finished=(done(A, 4),))).when(beat(W), at=story.now + 1)
    lacks = Result(job=C, lease=lease_id(6), exit_code=-1, error="cannot fetch", lost=(A, D))
    story.when(beat(W, 0, finished=(lacks,)), at=story.now + 1).given(plain(X, 0, running=None))
    story.given(beat(V, 2, slots=2, session="2", running=(lease_id(5), lease_id(9)), leaving=True))
    return story.when(beat(V, 0, slots=2, session="3"), at=story.now + 1)


def what_is_over_is_forgotten() -> Story:
    """A build, its worker, and then the result, which nobody can use any more."""
    story = opened().given(start(job(A), job(B)), READY, beat(V, slots=2, free=2), beat(W, 0))
    digests = {story.digest(id_): id_ for id_ in (A, B)}
    story.given(beat(V, 2, slots=2, finished=(done(A, 1), done(B, 2))), beat(W, 0, added=(B,)))
    story.given(ForgetResults(results=digests), beat(V, leaving=True), ForgetBuild(build=BUILD))
    return story.given(ForgetWorker(worker=V), ForgetResults(results=digests), beat(V, slots=2, free=2))


def files_are_stored_and_outputs_kept() -> Story:
    """A build of a stored file hands over an output; another could not; a third is cancelled before that."""
    tool, made = (NewFile(blob=BlobDigest(digit * 64), size=3, name=digit) for digit in "12")
    jobs = (job(A, inputs=("s",), outputs=("stdout", "x/y")), job(B, outputs=("stdout",)))
    story = opened().given(beat(V, 0), StoreFile(file=evolve(tool, executable=True), user="ada"))
    story.given(StoreFile(file=tool), start(jobs[0]), READY, beat(V))
    story.given(beat(V, 1, finished=(done(A, 3),)), KeepOutputs(build=BUILD, files=(made, made)))
    story.given(start(jobs[1]), READY_TOO, beat(V), beat(V, 1, finished=(done(B, 6),)))
    story.given(KeepOutputs(build=OTHER, error="the worker v was lost"))
    story.given(start(jobs[1]), CancelBuild(build=build_id(3), reason="no longer wanted"))
    story.given(DropFile(file=file_id(2), reason="deleted"), ForgetBuild(build=BUILD))
    story.given(DropFile(file=file_id(4), reason="expired"))
    return story.given(DropSource(source=source_of(tool.blob), reason="missing on disk"))


def jobs_in_containers_are_begun_anew() -> Story:
    """One fails and then serves; its health check fails until it may not be begun anew; a worker dies."""
    serves = Container(image="localhost/web:1", memory=64 << 20, ports=("80/tcp",), health="/", restarts=2)
    story = opened().given(beat(V, labels=ENGINE), start(job(A, container=serves)), READY)
    story.given(beat(W), beat(V, labels=ENGINE))
    story.when(beat(V, labels=ENGINE, finished=(done(A, 1, "exit status 1"),)), at=story.now + 1)
    for number in (2, 3):
        story.given(ReportContainer(lease=lease_id(number), container=f"c{number}", ports={"80/tcp": "h:1"}))
        story.when(ReportUnhealthy(lease=lease_id(number), error="answered 500"), at=story.now + 60)
        story.given(beat(V, labels=ENGINE))
    box = Container(image="localhost/box:1", restarts=1)
    story.given(start(job(B, container=box)), READY_TOO, beat(V, labels=ENGINE))
    story.when(beat(V, session="2", labels=ENGINE), at=story.now + 1)
    return story.given(beat(V, 1, session="2", labels=ENGINE, finished=(done(B, 5),)))


def typed_jobs_are_asked_for() -> Story:
    """One is given back unseen and then fails; who needs it goes on, and is given up. One is cancelled."""
    story = opened().given(
        RegisterWorker(worker=P, labels={"arch": "s390x"}), RegisterWorker(worker=ANONYMOUS)
    )
    story.given(single(job(A, job_type="depsolve", args='{"packages": ["a"]}'), key="a"))
    story.given(ask(P, "depsolve"), ReturnLease(lease=typed_lease(1)), ask(P, "depsolve"))
    story.when(HearLease(lease=typed_lease(2)), at=story.now + 40)
    broken = Result(job=A, lease=typed_lease(2), exit_code=1, error="no such package", stdout_bytes=60)
    story.given(AnswerLease(lease=typed_lease(2), result=broken))
    again = job(A, job_type="depsolve", args='{"packages": ["a"]}', same_as=BUILD)
    story.given(single(again, job(B, A, job_type="osbuild:s390x", after_failure=True), key="b"))
    for _ in range(3):
        story.given(ask(ANONYMOUS, "osbuild:s390x")).when(Tick(), at=story.now + 120)
    story.given(single(job(C, job_type="file", channel="org-1"), key="c"), ask(P, "file", channel="org-1"))
    story.given(CancelBuild(build=build_id(3), reason="asked for"), HearWorkers(workers=(P,)))
    return story.when(Tick(), at=story.now + 3600)


SCENARIOS: tuple[Callable[[], Story], ...] = (
    two_builds_share_and_reuse,
    workers_are_lost_and_artifacts_with_them,
    builds_fail_and_are_cancelled,
    artifacts_come_and_go,
    some_builds_are_served_first,
    requests_are_carried_out_later,
    workers_say_nothing_new,
    a_worker_restarts_and_another_cannot_fetch,
    what_is_over_is_forgotten,
    files_are_stored_and_outputs_kept,
    jobs_in_containers_are_begun_anew,
    typed_jobs_are_asked_for,
)


def main() -> None:
    for scenario in SCENARIOS:
        path = HERE / f"{scenario.__name__}.jsonl"
        if not path.exists():
            path.write_bytes(b"".join(encode(record) + b"\n" for record in scenario().records))


if __name__ == "__main__":
    main()
