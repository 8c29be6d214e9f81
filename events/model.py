"""The nouns of State: frozen, so that whoever was handed one may keep it.

`fold` makes several of the more frequent ones for each job, positionally. They are named tuples, which cost
a third of a frozen attrs class to make.
"""

from typing import NamedTuple

from attrs import field, frozen

from events.catalog import JobAdded
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
    source_of,
)
from events.transitions import BUILD_ENDED, BuildStatus, JobStatus, RequestStatus


@frozen(kw_only=True)
class Build:
    """One graph a client asked for. Times in seconds since 1970; `ended_at` is 0 while it goes on.

    `prioritised_by`: the latest request that set the priority; what an older one wants is over. `number`
    counts the builds of branches, for those who name them by numbers; 0 for any other.
    """

    id: BuildId
    status: BuildStatus
    name: str
    key: str
    job_count: int
    keep_going: bool
    detached: bool
    position: Position
    started_at: float
    ended_at: float = 0.0
    error: str = ""
    labels: dict[str, str] = field(factory=dict)
    priority: int = 0
    spec: str = ""
    prioritised_by: RequestId = NO_REQUEST
    number: int = 0

    @property
    def has_ended(self) -> bool:
        return self.status in BUILD_ENDED


class Job(NamedTuple):
    """One vertex of a build's graph.

    `waits_for` counts dependencies that have not succeeded; `attempt` counts leases, `losses` those that
    ended because their worker was gone; `note` is the error or reason of the last change; sizes of output
    are those of the lease that ended it. Times are 0 until they come.
    """

    spec: JobAdded
    status: JobStatus
    waits_for: int
    digest: SpecDigest = SpecDigest("")
    lease: LeaseId = LeaseId("")
    worker: WorkerId = WorkerId("")
    attempt: int = 0
    losses: int = 0
    queued_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    note: str = ""
    stdout_bytes: int = 0
    stderr_bytes: int = 0

    @property
    def id(self) -> JobId:
        return self.spec.job

    def waiting_for(self, count: int) -> "Job":
        """The job, waiting for so many dependencies; at a fraction of what `_replace` costs."""
        return Job._make((*self[:2], count, *self[3:]))


class Lease(NamedTuple):
    """One worker's right to run one job, on behalf of every build that waits for that very job.

    `attempt` is that of the first of them; `seconds_max` is the longest time limit of them all.
    """

    id: LeaseId
    job: JobId
    digest: SpecDigest
    worker: WorkerId
    attempt: int
    leased_at: float
    seconds_max: float
    builds: tuple[BuildId, ...]


class Result(NamedTuple):
    """What a successful lease left: enough to answer for a later build that asks for the same work."""

    lease: LeaseId
    stdout_bytes: int
    stderr_bytes: int


@frozen(kw_only=True)
class Source:
    """A source file on the coordinator's disk; `size` in bytes."""

    blob: BlobDigest
    size: int


@frozen(kw_only=True)
class File:
    """A file in the store; its bytes are those of a source. `user`: whose it is, empty if everybody's."""

    blob: BlobDigest
    size: int
    name: str
    executable: bool
    user: str
    stored_at: float

    @property
    def source(self) -> SourceId:
        return source_of(self.blob)


@frozen(kw_only=True)
class Outputs:
    """What is kept of an ended build's declared outputs; `error`: why some of it could not be had."""

    files: tuple[FileId, ...]
    error: str


class Worker(NamedTuple):
    """A machine with slots.

    `beats`: it has been seen to report while it runs a job. `capacity`: the most jobs it ever had room
    for; one of ours asks for more than it has slots while jobs are very short. One that is `asking` has no
    slots, but asks for a typed job whenever it wants one.
    """

    id: WorkerId
    session: str
    slots: int
    labels: dict[str, str]
    native: bool
    joined_at: float
    last_seen: float
    slots_free: int
    alive: bool
    draining: bool
    beats: bool
    capacity: int
    asking: bool = False


class Request(NamedTuple):
    """A wish to be carried out later; `finished_at` is 0 and `answer` empty until it was."""

    id: RequestId
    status: RequestStatus
    action: str
    who: str
    what: str
    logged_at: float
    finished_at: float = 0.0
    answer: str = ""
