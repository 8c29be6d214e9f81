"""Every wish there can be. `decide` answers each with facts, or rejects it before the first."""

from typing import TypeAlias

from attrs import field, frozen

from events import catalog
from events.ids import (
    NO_REQUEST,
    BlobDigest,
    BuildId,
    FileId,
    JobId,
    LeaseId,
    RequestId,
    SourceId,
    SpecDigest,
    WorkerId,
)


@frozen(kw_only=True)
class Settings:
    """What the operator chose; all times in seconds. `losses_max`: how often a job may lose its worker.

    `placement`: the name of a policy (`events.placement`); without one whoever asks first is served.
    """

    lease_seconds: float = 30.0
    worker_silence_seconds: float = 30.0
    job_seconds_max: float = 3600.0
    cache_timeout: float = 0.010
    deps_timeout: float = 0.100
    losses_max: int = 3
    typed_lease_seconds: float = 120.0
    asking_worker_seconds: float = 3600.0
    placement: str = ""


@frozen(kw_only=True)
class StartCoordinator:
    version: str
    settings: Settings = Settings()


@frozen(kw_only=True)
class ResumeAfterStall:
    seconds: float


@frozen(kw_only=True)
class Tick:
    """Let every deadline that is over have its consequence."""


@frozen(kw_only=True)
class NewJob:
    """A vertex of a graph that is to become a build; `inputs` are source paths, `deps` job ids.

    The rest as in `JobAdded`.
    """

    id: JobId
    name: str = ""
    inputs: tuple[str, ...] = ()
    deps: tuple[JobId, ...] = ()
    cmds: tuple[catalog.Command, ...] = ()
    timeout_seconds: float = 0.0
    outputs: tuple[str, ...] = ()
    container: catalog.Container | None = None
    needs: tuple[str, ...] = ()
    job_type: str = ""
    channel: str = ""
    args: str = ""
    after_failure: bool = False
    same_as: BuildId = BuildId("")


@frozen(kw_only=True)
class StartBuild:
    """Build this graph; `sources` are paths by source id; `labels` and `spec` as in `BuildStarted`.

    With `at_once` nothing will be uploaded: what it needs is here, or it is refused.
    """

    jobs: tuple[NewJob, ...]
    sources: dict[SourceId, str] = field(factory=dict)
    name: str = ""
    key: str = ""
    keep_going: bool = False
    detached: bool = False
    labels: dict[str, str] = field(factory=dict)
    priority: int = 0
    spec: str = ""
    at_once: bool = False


@frozen(kw_only=True)
class PrioritiseBuild:
    """Serve this build before those of a lower priority; see `BuildPrioritised`."""

    build: BuildId
    priority: int
    request: RequestId = NO_REQUEST


@frozen(kw_only=True)
class FinishUpload:
    build: BuildId


@frozen(kw_only=True)
class CancelBuild:
    build: BuildId
    reason: str


@frozen(kw_only=True)
class ForgetBuild:
    build: BuildId


@frozen(kw_only=True)
class ForgetWorker:
    worker: WorkerId


@frozen(kw_only=True)
class ForgetResults:
    """Jobs by the digests of their specs; those whose artifact somebody holds by now are passed over."""

    results: dict[SpecDigest, JobId]


@frozen(kw_only=True)
class StoreSource:
    source: SourceId
    blob: BlobDigest
    size: int


@frozen(kw_only=True)
class DropSource:
    source: SourceId
    reason: str


@frozen(kw_only=True)
class NewFile:
    """A file whose bytes are on the coordinator's disk, and that is to have an id."""

    blob: BlobDigest
    size: int
    name: str = ""
    executable: bool = False


@frozen(kw_only=True)
class StoreFile:
    file: NewFile
    user: str = ""


@frozen(kw_only=True)
class DropFile:
    file: FileId
    reason: str


@frozen(kw_only=True)
class KeepOutputs:
    """What could be had of the build's declared outputs, in their order, and why not all of it."""

    build: BuildId
    files: tuple[NewFile, ...] = ()
    error: str = ""


@frozen(kw_only=True)
class Result:
    """What a worker says became of a job; `error` is None exactly when it succeeded.

    `lease` is empty for workers that know no leases; `lost` names dependencies whose artifacts could not
    be had, in which case the job did not run.
    """

    job: JobId
    lease: LeaseId = LeaseId("")
    exit_code: int = 0
    error: str | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    fetch_seconds: float = 0.0
    lost: tuple[JobId, ...] = ()


@frozen(kw_only=True)
class Heartbeat:
    """A worker's report. `running` None: it says nothing about what it runs.

    `running` and `finished` name leases where the worker is `native`, else jobs. `added` are artifacts it
    now holds, with their spec digests where it knows them.
    """

    worker: WorkerId
    slots_free: int
    running: tuple[str, ...] | None = None
    finished: tuple[Result, ...] = ()
    added: tuple[JobId, ...] = ()
    digests: dict[JobId, SpecDigest] = field(factory=dict)
    dropped: tuple[JobId, ...] = ()
    session: str = ""
    slots: int = 0
    labels: dict[str, str] = field(factory=dict)
    native: bool = False
    draining: bool = False
    leaving: bool = False


@frozen(kw_only=True)
class ReportContainer:
    """Where a container of a lease runs: its id, and "HOST:PORT" by port."""

    lease: LeaseId
    container: str
    ports: dict[str, str] = field(factory=dict)


@frozen(kw_only=True)
class ReportUnhealthy:
    """The health check of a running job failed."""

    lease: LeaseId
    error: str


@frozen(kw_only=True)
class HearWorkers:
    """Workers reported and said nothing new (`events.decide.quiet`), in this order."""

    workers: tuple[WorkerId, ...]


@frozen(kw_only=True)
class RequestWork:
    """A held heartbeat asks again: is there work for this worker now?

    One that is asking says for which types of jobs, in which channels.
    """

    worker: WorkerId
    slots_free: int
    types: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


@frozen(kw_only=True)
class RegisterWorker:
    """A worker will ask for typed jobs."""

    worker: WorkerId
    labels: dict[str, str] = field(factory=dict)


@frozen(kw_only=True)
class HearLease:
    """Whoever holds the lease of a typed job is alive."""

    lease: LeaseId


@frozen(kw_only=True)
class AnswerLease:
    """The result of a typed job."""

    lease: LeaseId
    result: Result


@frozen(kw_only=True)
class ReturnLease:
    """Whoever was to hold the lease of a typed job never received it."""

    lease: LeaseId


@frozen(kw_only=True)
class LogRequest:
    """Have an action carried out later; `what` are its parameters, a JSON object as text."""

    action: str
    who: str
    what: str = "{}"


@frozen(kw_only=True)
class PublishRequest:
    """The broker has the message."""

    request: RequestId


@frozen(kw_only=True)
class FinishRequest:
    """Say how it went; `answer` is a JSON object as text. `undelivered`: only if no broker has it yet."""

    request: RequestId
    answer: str
    undelivered: bool = False


Command: TypeAlias = (
    StartCoordinator
    | ResumeAfterStall
    | Tick
    | StartBuild
    | PrioritiseBuild
    | FinishUpload
    | CancelBuild
    | ForgetBuild
    | ForgetWorker
    | ForgetResults
    | StoreSource
    | DropSource
    | StoreFile
    | DropFile
    | KeepOutputs
    | Heartbeat
    | ReportContainer
    | ReportUnhealthy
    | HearWorkers
    | RequestWork
    | RegisterWorker
    | HearLease
    | AnswerLease
    | ReturnLease
    | LogRequest
    | PublishRequest
    | FinishRequest
)
