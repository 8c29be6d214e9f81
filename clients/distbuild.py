"""distbuild's wire types, field for field as Go's encoding/json writes them.

Shapes from the protocol's own sources: names are Go's exported field names, ids are 40 hex digits,
bytes are standard base64, and any list or map may be `null`. Fields marked `extension` are ours: a Go
peer ignores them, and they are left out while they carry nothing.
"""

import base64
import binascii
from typing import TypeAlias

from attrs import frozen

from clients import codec
from clients.codec import Malformed, extension
from events.catalog import Command
from events.catalog import Container as Container  # as a job says it, on every wire

PATH_HEARTBEAT = "/heartbeat"
PATH_BUILD = "/build"
PATH_SIGNAL = "/signal"
PATH_FILE = "/file"
PATH_ARTIFACT = "/artifact"


# One command: `exec` runs a program, else `cat_template` is written to the file `cat_output`. It goes from
# the client through the log to the worker as it is, so all three share one type.
Cmd: TypeAlias = Command
# Some workers run whatever `Exec` is not null, and panic if it is empty.
codec.null_when_empty(Cmd, "exec", "environ")


@frozen(kw_only=True)
class Job:
    """One vertex of a graph; `inputs` are source paths, `deps` the ids of jobs whose artifacts it reads."""

    id: str
    name: str = ""
    inputs: tuple[str, ...] = ()
    deps: tuple[str, ...] = ()
    cmds: tuple[Cmd, ...] = ()
    timeout_seconds: float = extension(0.0)
    container: Container | None = extension(None)
    # Labels that a worker must have to be given the job, each NAME=VALUE.
    needs: tuple[str, ...] = extension(())
    # A job that is given to whoever asks for its type in its channel, with args, a JSON text.
    job_type: str = extension("")
    channel: str = extension("")
    args: str = extension("")
    # It waits for its dependencies to end, well or not.
    after_failure: bool = extension(False)


@frozen(kw_only=True)
class Graph:
    """A build's jobs, and its source files by id."""

    source_files: dict[str, str] = {}
    jobs: tuple[Job, ...] = ()


@frozen(kw_only=True)
class BuildRequest:
    graph: Graph
    name: str = extension("")
    keep_going: bool = extension(False)
    labels: dict[str, str] = extension({})
    priority: int = extension(0)


@frozen(kw_only=True)
class BuildStarted:
    """The first value of the stream that answers `POST /build`."""

    id: str
    missing_files: tuple[str, ...] = ()


@frozen(kw_only=True)
class JobResult:
    """What became of a job; `error` is None exactly when it succeeded. `stdout`, `stderr` are base64."""

    id: str
    stdout: str | None = None
    stderr: str | None = None
    exit_code: int = 0
    error: str | None = None
    # Which lease this answers, and how much output was streamed ahead of this result (bytes).
    lease: str = extension("")
    stdout_offset: int = extension(0)
    stderr_offset: int = extension(0)
    # How long fetching what the job reads took, before it ran.
    fetch_seconds: float = extension(0.0)
    # Dependencies whose artifacts could not be had: the job did not run and is to be tried again.
    lost_artifacts: tuple[str, ...] = extension(())


@frozen(kw_only=True)
class BuildFailed:
    error: str = ""


@frozen(kw_only=True)
class BuildFinished:
    pass


@frozen(kw_only=True)
class StatusUpdate:
    """A later value of the build's stream; the last one has `build_failed` or `build_finished`."""

    job_finished: JobResult | None = None
    build_failed: BuildFailed | None = None
    build_finished: BuildFinished | None = None


@frozen(kw_only=True)
class UploadDone:
    pass


@frozen(kw_only=True)
class Cancel:
    """Ours: a client asks for its build to be cancelled."""

    reason: str = ""


@frozen(kw_only=True)
class SignalRequest:
    upload_done: UploadDone | None = None
    cancel: Cancel | None = extension(None)


@frozen(kw_only=True)
class HeartbeatRequest:
    """A worker's report. `running_jobs` None means that the worker says nothing about them."""

    worker_id: str
    running_jobs: tuple[str, ...] | None = None
    free_slots: int = 0
    finished_job: tuple[JobResult, ...] = ()
    added_artifacts: tuple[str, ...] = ()
    # Ours. A session is one life of a worker process: a new one starts with what it says it has.
    session: str = extension("")
    slots: int = extension(0)
    labels: dict[str, str] = extension({})
    # Leases at work now; where given, `running_jobs` repeats their jobs for readers of the protocol.
    running_leases: tuple[str, ...] = extension(())
    # The spec digest of each added artifact.
    artifact_digests: dict[str, str] = extension({})
    dropped_artifacts: tuple[str, ...] = extension(())
    # A worker that is draining takes no further jobs.
    draining: bool = extension(False)
    # Its last words: what it holds is out of reach from now on.
    leaving: bool = extension(False)


@frozen(kw_only=True)
class JobSpec:
    """A job as a worker gets it: the job itself, its sources by id, where its dependencies' artifacts are."""

    source_files: dict[str, str] = {}
    artifacts: dict[str, str] = {}
    id: str
    name: str = ""
    inputs: tuple[str, ...] = ()
    deps: tuple[str, ...] = ()
    cmds: tuple[Cmd, ...] = ()
    timeout_seconds: float = extension(0.0)
    container: Container | None = extension(None)
    lease: str = extension("")
    digest: str = extension("")
    artifact_digests: dict[str, str] = extension({})


@frozen(kw_only=True)
class HeartbeatResponse:
    jobs_to_run: dict[str, JobSpec] = {}
    # Leases that ended without the worker: stop them and forget their results.
    revoked_leases: tuple[str, ...] = extension(())
    # The coordinator does not know this session: report slots, labels and every artifact again.
    unknown_session: bool = extension(False)


@frozen(kw_only=True)
class ContainerReport:
    """Ours: where a container of a leased job runs, "HOST:PORT" by "7777/tcp"."""

    container: str
    ports: dict[str, str] = {}


def encode_bytes(data: bytes) -> str:
    """Go's []byte in JSON: standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_bytes(text: str | None) -> bytes:
    """The bytes of a Go []byte; None is empty. Raises `Malformed`."""
    try:
        return base64.b64decode(text, validate=True) if text else b""
    except binascii.Error as error:
        raise Malformed(f"bytes must be base64: {error}") from error
