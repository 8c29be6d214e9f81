"""How a build ended, and what of its records says so."""

from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path

from attrs import frozen

from clients.distbuild import Job
from clients.live import Line
from events.ids import BuildId, JobId

# A job that reached its time limit says so with an error that begins like this.
TIMED_OUT = "timed out"


class Verdict(Enum):
    """UNKNOWN means that nobody here can say: it is never to be reported as success."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class FailedJob:
    """A job that failed, with the last part of what it printed."""

    id: JobId
    name: str
    exit_code: int
    error: str
    stdout: bytes = b""
    stderr: bytes = b""


@frozen(kw_only=True)
class Outcome:
    """The end of a build. `build` is None if it was cancelled before it was known to have started.

    `fetched` are the directories that got artifacts; `unfetched` says for each artifact that did not come
    why not, or for all of them.
    """

    build: BuildId | None
    verdict: Verdict
    reason: str = ""
    failed: tuple[FailedJob, ...] = ()
    fetched: tuple[Path, ...] = ()
    unfetched: tuple[str, ...] = ()


class Tally:
    """What a build's records add up to, for the client that waits for its end."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.verdict = Verdict.UNKNOWN
        self.reason = ""
        self.failures: dict[JobId, Line] = {}
        self.succeeded: set[JobId] = set()
        self._names = {job.id: job.name for job in jobs}

    def add(self, line: Line) -> None:
        """Take the next record into account."""
        job = JobId(str(line.fields.get("job", "")))
        match line.type:
            case "JobSucceeded" | "JobReused":
                self.succeeded.add(job)
            case "JobReopened":
                self.succeeded.discard(job)
            case "JobFailed":
                self.failures[job] = line
            case "BuildSucceeded":
                self.verdict = Verdict.SUCCEEDED
            case "BuildFailed":
                self.verdict = Verdict.TIMED_OUT if self._only_timed_out() else Verdict.FAILED
                self.reason = str(line.fields.get("error", ""))
            case "BuildCancelled":
                self.verdict = Verdict.CANCELLED
                self.reason = str(line.fields.get("reason", ""))
            case _:
                pass  # the log may know more kinds than an older client

    def failed_jobs(self, outputs: Mapping[JobId, tuple[bytes, bytes]]) -> tuple[FailedJob, ...]:
        """`failures`, with the ends of stdout and stderr where they are known."""
        return tuple(
            FailedJob(
                id=job,
                name=self._names.get(job, ""),
                exit_code=_integer(line.fields.get("exit_code")),
                error=str(line.fields.get("error", "")),
                stdout=outputs.get(job, (b"", b""))[0],
                stderr=outputs.get(job, (b"", b""))[1],
            )
            for job, line in self.failures.items()
        )

    def _only_timed_out(self) -> bool:
        errors = [str(line.fields.get("error", "")).lower() for line in self.failures.values()]
        return bool(errors) and all(error.startswith(TIMED_OUT) for error in errors)


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0
