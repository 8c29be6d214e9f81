"""Every fact there can be. What is not in this catalog did not happen.

Rules: past tense; frozen; JSON-shaped values only; ids, never objects; the type alone decides the new
status of what it is about; bytes never enter the log (output and artifacts are sizes and digests). A
field with a default is left out of the log while it has it, so a new field never changes old records.

Every command begins with an input fact, which holds all it brought that its consequences do not tell (see
`events.hindsight.inputs`); whatever a "why?" will need later is a reason code in the event that decided it.
"""

from typing import NamedTuple, TypeAlias, get_args

from attrs import field, frozen

from events.ids import (
    NO_REQUEST,
    BlobDigest,
    BuildId,
    FileId,
    JobId,
    LeaseId,
    Position,
    RequestId,
    SourceId,
    SpecDigest,
    WorkerId,
)


@frozen(kw_only=True)
class Command:
    """One command of a job as the client wrote it; the worker renders the templates."""

    exec: tuple[str, ...] = ()
    environ: tuple[str, ...] = ()
    working_directory: str = ""
    cat_template: str = ""
    cat_output: str = ""


@frozen(kw_only=True)
class Container:
    """What a job runs in: an image, and what it may use of the machine; sizes in bytes, 0 is no limit.

    Each of `ports` ("7777/tcp") is bound to the port of the machine that `bindings` names for it, or to a
    free one; without ports and `network` there is no network. `health`: a path that the first port answers
    with 200 while all is well. `restarts`: how often the job is begun anew after it failed;
    `restart_policy` is the client's word, kept for it.
    """

    image: str
    cpu: float = 0.0
    memory: int = 0
    disk: int = 0
    network: bool = False
    ports: tuple[str, ...] = ()
    bindings: dict[str, str] = field(factory=dict)
    health: str = ""
    restarts: int = 0
    restart_policy: str = ""


# --- the coordinator itself


@frozen(kw_only=True)
class CoordinatorStarted:
    """A coordinator took the log over; every live lease is renewed, since our downtime is nobody's fault.

    All times in seconds. `cache_timeout` and `deps_timeout` are distbuild's: how long a job waits for a
    worker that holds its own result, and then for one that holds a dependency. `typed_lease_seconds`: how
    long a lease of a typed job lives unheard of; `asking_worker_seconds`: likewise who asks for such jobs.
    `placement`: the policy by which jobs are placed, if there is one.
    """

    epoch: int
    version: str
    lease_seconds: float
    worker_silence_seconds: float
    job_seconds_max: float
    cache_timeout: float
    deps_timeout: float
    losses_max: int
    typed_lease_seconds: float = 120.0
    asking_worker_seconds: float = 3600.0
    placement: str = ""


@frozen(kw_only=True)
class CoordinatorStalled:
    """The coordinator did nothing for a while (paused, slow disk); live leases are renewed as on a start."""

    seconds: float


@frozen(kw_only=True)
class TimePassed:
    """The alarm rang: some deadline is over."""


# --- workers


@frozen(kw_only=True)
class WorkerRestarted:
    """A known worker came back as a new process: what the old one had is gone, then the new one joins."""

    worker: WorkerId


@frozen(kw_only=True)
class WorkerJoined:
    """A worker reported for the first time, or again after it was lost or restarted.

    `native` workers name leases and sessions; others speak plain distbuild and are known by their URL.
    Those that are `asking` do neither: they ask for typed jobs, and each lease is heard of by itself.
    """

    worker: WorkerId
    session: str = ""
    slots: int = 0
    labels: dict[str, str] = field(factory=dict)
    native: bool = False
    asking: bool = False


@frozen(kw_only=True)
class HeartbeatReceived:
    """A worker's report, as the difference from what State already says, so that a long log stays small.

    `unreported`: live leases of this worker that it does not say it runs (they are owed to it);
    `strays`: leases or jobs it says it runs or ran that are not leased to it; `mute`: it says nothing
    about what it runs; `draining`: it takes no more jobs; `leaving`: these are its last words. `lost`: of
    those leases in `finished` that did not run, the dependencies that the worker could not fetch.
    """

    worker: WorkerId
    slots_free: int
    mute: bool = False
    unreported: tuple[LeaseId, ...] = ()
    strays: tuple[str, ...] = ()
    finished: tuple[LeaseId, ...] = ()
    draining: bool = False
    leaving: bool = False
    lost: dict[LeaseId, tuple[JobId, ...]] = field(factory=dict)


@frozen(kw_only=True)
class WorkersHeard:
    """These workers reported within the last moments, and what they said is what State says already."""

    workers: tuple[WorkerId, ...]


@frozen(kw_only=True)
class WorkRequested:
    """A worker whose heartbeat was held got asked for again, because there is work now.

    Or somebody asked for a job of these `types` in these `channels`, and there is one.
    """

    worker: WorkerId
    slots_free: int
    types: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


@frozen(kw_only=True)
class LeaseHeard:
    """Whoever holds the lease of a typed job spoke of it.

    It `said` `alive`, of which only some are recorded, or `answered`, or `handed-back`.
    """

    worker: WorkerId
    lease: LeaseId
    said: str


@frozen(kw_only=True)
class WorkerLost:
    """A worker was silent for too long, or came back as a new process; its leases and artifacts are gone."""

    worker: WorkerId
    reason: str


@frozen(kw_only=True)
class WorkerForgotten:
    """Retention let a lost worker go from the state; its records stay."""

    worker: WorkerId


# --- sources and artifacts: blobs stay on disk, the log says where


@frozen(kw_only=True)
class SourceStored:
    """A source file is on the coordinator's disk; `blob` is the SHA-256 of what really arrived."""

    source: SourceId
    blob: BlobDigest
    size: int


@frozen(kw_only=True)
class SourceDropped:
    """A source file is no longer on the coordinator's disk."""

    source: SourceId
    reason: str


@frozen(kw_only=True)
class StoredFile:
    """A file in the store: `blob` is the SHA-256 of what really arrived, `size` in bytes."""

    file: FileId
    blob: BlobDigest
    size: int
    name: str = ""
    executable: bool = False


@frozen(kw_only=True)
class FileStored:
    """Somebody stored a file; its bytes are on the coordinator's disk, and a source file as well."""

    file: FileId
    blob: BlobDigest
    size: int
    name: str = ""
    executable: bool = False
    user: str = ""


@frozen(kw_only=True)
class FileDropped:
    """A file is no longer in the store."""

    file: FileId
    reason: str


@frozen(kw_only=True)
class OutputsKept:
    """What an ended build's jobs were to hand over is in the store of files, in the order asked for.

    `error`: why some of it could not be had.
    """

    build: BuildId
    files: tuple[StoredFile, ...] = ()
    error: str = ""


@frozen(kw_only=True)
class ArtifactCached:
    """A worker holds the artifact of this job; `digest` is empty when nobody knows of which spec."""

    worker: WorkerId
    job: JobId
    digest: SpecDigest


@frozen(kw_only=True)
class ArtifactDropped:
    """A worker no longer holds this artifact."""

    worker: WorkerId
    job: JobId
    reason: str


@frozen(kw_only=True)
class ResultsForgotten:
    """Nobody holds what these jobs made, and no known build asked for it: job by digest of its spec."""

    results: dict[SpecDigest, JobId]


# --- builds


@frozen(kw_only=True)
class BuildStarted:
    """A client handed in a graph of `jobs` jobs; `SourcesDeclared` and `JobAdded` records hold it.

    `key` makes a repeated start harmless: the same key is the same build. `detached` builds outlive
    their client. `labels` are whatever its client wants to find it by. Of two builds that wait for a
    worker the one with the higher `priority` is served first. `spec` is what its client asked for in a
    dialect of its own, a JSON text, to be told again.
    """

    build: BuildId
    name: str = ""
    jobs: int
    key: str = ""
    keep_going: bool = False
    detached: bool = False
    labels: dict[str, str] = field(factory=dict)
    priority: int = 0
    spec: str = ""


@frozen(kw_only=True)
class BuildPrioritised:
    """The build's priority is another one now; `request` asked for it, if one did."""

    build: BuildId
    priority: int
    request: RequestId = NO_REQUEST


@frozen(kw_only=True)
class SourcesDeclared:
    """Source files of the build: path by source id."""

    build: BuildId
    files: dict[SourceId, str]


@frozen(kw_only=True)
class JobAdded:
    """One vertex of the build's graph.

    `outputs`: what is kept as files once the build has ended: paths in its artifact, `stdout`, `stderr`.
    `needs`: labels a worker must have, each NAME=VALUE. A job with a `job_type` runs no commands: it is given
    to workers that ask for this type in this `channel`, with `args`, a JSON text, as its client wrote it.
    With `after_failure` it waits for its dependencies to end, well or not. `same_as`: it is the very job of
    that build; what became of it there holds here.
    """

    build: BuildId
    job: JobId
    name: str = ""
    inputs: tuple[str, ...] = ()
    deps: tuple[JobId, ...] = ()
    commands: tuple[Command, ...] = ()
    timeout_seconds: float = 0.0
    outputs: tuple[str, ...] = ()
    container: Container | None = None
    needs: tuple[str, ...] = ()
    job_type: str = ""
    channel: str = ""
    args: str = ""
    after_failure: bool = False
    same_as: BuildId = BuildId("")


@frozen(kw_only=True)
class SignalReceived:
    """What a client told its build: `upload-done` or `cancel`."""

    build: BuildId
    signal: str
    reason: str = ""


@frozen(kw_only=True)
class SourcesReady:
    """All sources are here: jobs may run."""

    build: BuildId


@frozen(kw_only=True)
class BuildSucceeded:
    """Every job succeeded."""

    build: BuildId


@frozen(kw_only=True)
class BuildFailed:
    """At least one job failed; the others have ended too."""

    build: BuildId
    error: str


@frozen(kw_only=True)
class BuildCancelled:
    """Somebody, or the absence of somebody, ended the build."""

    build: BuildId
    reason: str


@frozen(kw_only=True)
class BuildForgotten:
    """Retention let the ended build go from the state; its records stay."""

    build: BuildId


# --- jobs


@frozen(kw_only=True)
class JobQueued:
    """All dependencies are there: the job waits for a worker. `digest` covers all that it is made of.

    `reason`: why no earlier result serves; empty if nobody remembers one for a job of this id.
    """

    build: BuildId
    job: JobId
    digest: SpecDigest
    reason: str = ""


@frozen(kw_only=True)
class JobBlocked:
    """A queued job has to wait again, because the artifact of a dependency was lost."""

    build: BuildId
    job: JobId
    reason: str


@frozen(kw_only=True)
class JobLeased:
    """A worker may run the job. `reason`: why this worker now (see `events.schedule`)."""

    build: BuildId
    job: JobId
    lease: LeaseId
    worker: WorkerId
    attempt: int
    reason: str


@frozen(kw_only=True)
class ContainerStarted:
    """A container of the job runs at its worker's engine; `ports`: "HOST:PORT" by "7777/tcp".

    If builds share the lease, it is told of the first.
    """

    build: BuildId
    job: JobId
    lease: LeaseId
    container: str
    ports: dict[str, str] = field(factory=dict)


@frozen(kw_only=True)
class ContainerFailed:
    """The job ran and failed, or could not be run at all, and is to be begun anew: it is released."""

    build: BuildId
    job: JobId
    lease: LeaseId
    exit_code: int
    error: str
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    fetch_seconds: float = 0.0


@frozen(kw_only=True)
class HealthCheckFailed:
    """Something asked the running job whether all is well, and it did not say so."""

    build: BuildId
    job: JobId
    lease: LeaseId
    error: str


@frozen(kw_only=True)
class JobReleased:
    """The lease ended without an answer; the job is queued again."""

    build: BuildId
    job: JobId
    lease: LeaseId
    reason: str


@frozen(kw_only=True)
class JobSucceeded:
    """The worker ran the job, its artifact lies with it; sizes of output in bytes.

    `fetch_seconds`: for how long the worker first fetched what the job reads, if that took any time.
    """

    build: BuildId
    job: JobId
    lease: LeaseId
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    fetch_seconds: float = 0.0


@frozen(kw_only=True)
class JobFailed:
    """The job ran and failed, or could not be run at all (`exit_code` -1).

    Of a job that is the `same_as` one of another build: it failed there, in that lease.
    The rest as in `JobSucceeded`.
    """

    build: BuildId
    job: JobId
    lease: LeaseId
    exit_code: int
    error: str
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    fetch_seconds: float = 0.0


@frozen(kw_only=True)
class JobCancelled:
    """The job will not run, or not to its end."""

    build: BuildId
    job: JobId
    reason: str


@frozen(kw_only=True)
class JobReused:
    """The job did not run: `lease` did this work before, printing so much; its artifact is still there."""

    build: BuildId
    job: JobId
    digest: SpecDigest
    lease: LeaseId
    stdout_bytes: int = 0
    stderr_bytes: int = 0


@frozen(kw_only=True)
class JobReopened:
    """The only artifact of a succeeded job was lost while the build still needs it: it will run again."""

    build: BuildId
    job: JobId
    reason: str


# --- requests: wishes that an agent carries out later (buildapi's job requests)


@frozen(kw_only=True)
class RequestLogged:
    """Somebody, `who`, wishes for an action; `what` are its parameters, a JSON object as text."""

    request: RequestId
    action: str
    who: str
    what: str


@frozen(kw_only=True)
class RequestPublished:
    """Whoever carries requests out can hear of it: the broker has the message."""

    request: RequestId


@frozen(kw_only=True)
class RequestFinished:
    """It was carried out, or never will be; `answer` is what was said about it, a JSON object as text."""

    request: RequestId
    answer: str


Event: TypeAlias = (
    CoordinatorStarted
    | CoordinatorStalled
    | TimePassed
    | WorkerRestarted
    | WorkerJoined
    | HeartbeatReceived
    | WorkersHeard
    | WorkRequested
    | LeaseHeard
    | WorkerLost
    | WorkerForgotten
    | SourceStored
    | SourceDropped
    | FileStored
    | FileDropped
    | OutputsKept
    | ArtifactCached
    | ArtifactDropped
    | ResultsForgotten
    | BuildStarted
    | BuildPrioritised
    | SourcesDeclared
    | JobAdded
    | SignalReceived
    | SourcesReady
    | BuildSucceeded
    | BuildFailed
    | BuildCancelled
    | BuildForgotten
    | JobQueued
    | JobBlocked
    | JobLeased
    | ContainerStarted
    | ContainerFailed
    | HealthCheckFailed
    | JobReleased
    | JobSucceeded
    | JobFailed
    | JobCancelled
    | JobReused
    | JobReopened
    | RequestLogged
    | RequestPublished
    | RequestFinished
)

EVENTS: dict[str, type[Event]] = {cls.__name__: cls for cls in get_args(Event)}


class Record(NamedTuple):
    """A fact with its place in the log: `position` 1, 2, 3 …; `at` in seconds since 1970, never falling."""

    position: Position
    at: float
    event: Event
