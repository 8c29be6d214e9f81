"""distbuild's words and ours: wire values become commands, answers become wire values."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from clients import codec
from clients import distbuild as wire
from clients.codec import Malformed
from coordinator.disk import RunSync
from coordinator.heartbeats import Answer, Assignment
from coordinator.results import Report
from coordinator.statuses import BuildEnded, JobEnded
from events.commands import Heartbeat, NewJob, Result, StartBuild
from events.ids import COORDINATOR, JobId, LeaseId, SourceId, SpecDigest, WorkerId, is_hex40

T = TypeVar("T")

# Bodies from this size on are decoded off the event loop, so that nobody's heartbeat waits for them.
LARGE_BYTES = 256 << 10


async def read(body: bytes, cls: type[T], run_sync: RunSync) -> T:
    """Decode as Go would; raises `Malformed`."""
    return await _off_the_loop(run_sync, len(body), partial(codec.read, body, cls, lenient=True))


async def read_build(body: bytes, run_sync: RunSync, *, key: str, detached: bool) -> StartBuild:
    """Decode a build request; raises `Malformed`."""
    return await _off_the_loop(run_sync, len(body), lambda: _build(_read_graph(body), key, detached))


def id_of(parameter: str, text: str | None) -> str:
    """An id from the query, in Go's words where it is none; raises `Malformed`."""
    if not text:
        raise Malformed(f"the query parameter {parameter} is missing")
    id_ = text.lower()
    if not is_hex40(id_):
        raise Malformed(f"{parameter}: invalid id size or digits: {text[:80]!r}; it must be 40 hex digits")
    return id_


def seconds(text: str | None) -> float | None:
    """A time from the query; raises `Malformed`."""
    try:
        value = None if text is None else float(text)
    except ValueError as error:
        raise Malformed(f"wait must be a number of seconds, not {text!r}") from error
    if value is not None and not 0 <= value < float("inf"):
        raise Malformed(f"wait must be a number of seconds from 0 on, not {text!r}")
    return value


def worker(sent: wire.HeartbeatRequest) -> WorkerId:
    return WorkerId(sent.worker_id)


def reports(sent: wire.HeartbeatRequest) -> list[Report]:
    """The results in a heartbeat; raises `Malformed`."""
    return [
        Report(
            job=JobId(result.id.lower()),
            lease=LeaseId(result.lease),
            exit_code=result.exit_code,
            error=result.error,
            stdout=wire.decode_bytes(result.stdout),
            stderr=wire.decode_bytes(result.stderr),
            stdout_offset=result.stdout_offset,
            stderr_offset=result.stderr_offset,
            fetch_seconds=_fetch_seconds(result),
            lost=tuple(JobId(id_.lower()) for id_ in result.lost_artifacts),
        )
        for result in sent.finished_job
    ]


def _fetch_seconds(result: wire.JobResult) -> float:
    if not 0 <= result.fetch_seconds < float("inf"):
        raise Malformed(f"FetchSeconds must be a number of seconds from 0 on, not {result.fetch_seconds}")
    return result.fetch_seconds


def heartbeat(sent: wire.HeartbeatRequest, finished: tuple[Result, ...]) -> Heartbeat:
    """A worker that names a session is one of ours and speaks of leases; others speak of jobs."""
    native = bool(sent.session)
    running = sent.running_leases if native else sent.running_jobs
    return Heartbeat(
        worker=worker(sent),
        slots_free=sent.free_slots,
        running=None if running is None else tuple(name.lower() for name in running),
        finished=finished,
        added=tuple(JobId(id_.lower()) for id_ in sent.added_artifacts),
        digests={JobId(id_.lower()): SpecDigest(digest) for id_, digest in sent.artifact_digests.items()},
        dropped=tuple(JobId(id_.lower()) for id_ in sent.dropped_artifacts),
        session=sent.session,
        slots=sent.slots,
        labels=sent.labels,
        native=native,
        draining=sent.draining,
        leaving=sent.leaving,
    )


def _build(sent: wire.BuildRequest, key: str, detached: bool) -> StartBuild:
    return StartBuild(
        jobs=tuple(_new_job(job) for job in sent.graph.jobs),
        sources={SourceId(id_.lower()): path for id_, path in sent.graph.source_files.items()},
        name=sent.name,
        key=key,
        keep_going=sent.keep_going,
        detached=detached,
        labels=sent.labels,
        priority=sent.priority,
    )


def answer(given: Answer, here: str) -> bytes:
    """The heartbeat's answer as JSON; `here` is the coordinator as this worker reached it."""
    return codec.write(
        wire.HeartbeatResponse(
            jobs_to_run={each.lease.job: _job_spec(each, here) for each in given.assignments},
            revoked_leases=given.revoked,
            unknown_session=given.is_stranger,
        )
    )


def update(status: JobEnded | BuildEnded) -> wire.StatusUpdate:
    if isinstance(status, JobEnded):
        return wire.StatusUpdate(
            job_finished=wire.JobResult(
                id=status.job,
                stdout=wire.encode_bytes(status.stdout),
                stderr=wire.encode_bytes(status.stderr),
                exit_code=status.exit_code,
                error=status.error,
            )
        )
    if status.error is None:
        return wire.StatusUpdate(build_finished=wire.BuildFinished())
    return wire.StatusUpdate(build_failed=wire.BuildFailed(error=status.error))


def line(value: Any) -> bytes:
    """One value of a stream, ended as Go's encoder ends it."""
    return codec.write(value) + b"\n"


async def _off_the_loop(run_sync: RunSync, size: int, decode: Callable[[], T]) -> T:
    return decode() if size < LARGE_BYTES else await run_sync(decode)


def _read_graph(body: bytes) -> wire.BuildRequest:
    """One client sends its graph without the `Graph` around it."""
    value = codec.loads(body)
    if isinstance(value, dict) and "graph" not in {name.lower() for name in value}:
        value = {"Graph": value}
    return codec.structure(value, wire.BuildRequest, lenient=True)


def _new_job(job: wire.Job) -> NewJob:
    if job.timeout_seconds < 0:
        raise Malformed(f"job {job.name or job.id}: TimeoutSeconds must not be negative")
    if job.args:
        codec.loads(job.args.encode())
    return NewJob(
        id=JobId(job.id.lower()),
        name=job.name,
        inputs=job.inputs,
        deps=tuple(JobId(id_.lower()) for id_ in job.deps),
        cmds=job.cmds,
        timeout_seconds=job.timeout_seconds,
        container=job.container,
        needs=tuple(sorted(set(job.needs))),
        job_type=job.job_type,
        channel=job.channel,
        args=job.args,
        after_failure=job.after_failure,
    )


def _job_spec(given: Assignment, here: str) -> wire.JobSpec:
    spec = given.spec
    return wire.JobSpec(
        source_files={id_: path for path, id_ in given.sources.items()},
        artifacts={str(id_): here if place == COORDINATOR else place for id_, place in given.places.items()},
        id=spec.job,
        name=spec.name,
        inputs=spec.inputs,
        deps=spec.deps,
        cmds=spec.commands,
        timeout_seconds=spec.timeout_seconds,
        container=spec.container,
        lease=given.lease.id,
        digest=given.lease.digest,
        artifact_digests={str(id_): digest for id_, digest in given.digests.items()},
    )
