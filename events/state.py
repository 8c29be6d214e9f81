"""State is what the facts add up to; `events.fold` is the only thing that ever changes it.

Records handed out are frozen; the dicts that hold them are changed in place, which makes a fact O(1) and
still lets two states be compared. Indexes are kept by `fold` and nobody else.
"""

from attrs import Factory, define

from events.catalog import ContainerStarted, JobFailed
from events.commands import Settings
from events.errors import BUILD_UNKNOWN, FILE_UNKNOWN, JOB_UNKNOWN, REQUEST_UNKNOWN, WORKER_UNKNOWN, Rejected
from events.ids import BuildId, FileId, JobId, LeaseId, Position, RequestId, SourceId, SpecDigest, WorkerId
from events.model import Build, File, Job, Lease, Outputs, Request, Result, Source, Worker
from events.queue import Kind, Queue
from events.rotation import Rotation
from events.transitions import JobStatus


@define
class Graph:
    """A build's jobs and what is derived from them; gone when the build is forgotten.

    `sources`: id by path; `dependents`: who waits for a job; `tally`: jobs by status; `queues`: those that
    are queued, by kind; `reused`: how many did not run; `failures`: how each failed job failed; `containers`:
    where each ran last that runs in one; `restarts`: how often a job was begun anew because it did badly;
    `outputs`: what is kept of them, once it is; `hands_over`: one of them declares outputs.
    """

    sources: dict[str, SourceId] = Factory(dict)
    jobs: dict[JobId, Job] = Factory(dict)
    dependents: dict[JobId, list[JobId]] = Factory(dict)
    tally: dict[JobStatus, int] = Factory(lambda: dict.fromkeys(JobStatus, 0))
    queues: dict[Kind, Queue] = Factory(dict)
    failures: dict[JobId, JobFailed] = Factory(dict)
    containers: dict[JobId, ContainerStarted] = Factory(dict)
    restarts: dict[JobId, int] = Factory(dict)
    reused: int = 0
    outputs: Outputs | None = None
    hands_over: bool = False


@define
class State:
    """The coordinator's whole knowledge at `position`."""

    position: Position = Position(0)
    at: float = 0.0
    epoch: int = 0
    settings: Settings = Settings()

    builds: dict[BuildId, Build] = Factory(dict)
    graphs: dict[BuildId, Graph] = Factory(dict)
    keys: dict[str, BuildId] = Factory(dict)
    # Builds that have not ended.
    active: dict[BuildId, None] = Factory(dict)
    # Builds with queued jobs of a kind, as they take turns.
    rotation: dict[Kind, Rotation] = Factory(dict)
    # Builds in which a job of this id is queued.
    queued: dict[JobId, dict[BuildId, None]] = Factory(dict)

    sources: dict[SourceId, Source] = Factory(dict)
    files: dict[FileId, File] = Factory(dict)
    # Builds that have ended, with outputs that are not kept yet.
    unkept: dict[BuildId, None] = Factory(dict)
    results: dict[tuple[JobId, SpecDigest], Result] = Factory(dict)
    # Live workers that hold a job's artifact, with the digest of its spec; and the other way round.
    holders: dict[JobId, dict[WorkerId, SpecDigest]] = Factory(dict)
    held: dict[WorkerId, dict[JobId, None]] = Factory(dict)

    workers: dict[WorkerId, Worker] = Factory(dict)
    leases: dict[LeaseId, Lease] = Factory(dict)
    leases_of: dict[WorkerId, dict[JobId, LeaseId]] = Factory(dict)
    running: dict[tuple[JobId, SpecDigest], LeaseId] = Factory(dict)
    # Who was given the last lease, where the operator chose how jobs are placed.
    last_placed: WorkerId = WorkerId("")
    # Leases that ended although their worker may still be at it: it is told until it reports otherwise.
    revoked: dict[WorkerId, dict[LeaseId, None]] = Factory(dict)
    # Live workers, longest silent first; those that are asking apart, and `ANONYMOUS` in neither.
    silence: dict[WorkerId, None] = Factory(dict)
    askers: dict[WorkerId, None] = Factory(dict)
    # Leases of typed jobs, each heard of by itself, longest silent first; and those that were cancelled.
    heard: dict[LeaseId, float] = Factory(dict)
    cancelled: dict[LeaseId, None] = Factory(dict)

    # Builds of branches by their numbers, and how many there ever were.
    numbers: dict[int, BuildId] = Factory(dict)
    numbers_given: int = 0
    # Requests that are open or were finished not too long ago; those that are open; those nobody was told of.
    requests: dict[RequestId, Request] = Factory(dict)
    open_requests: dict[RequestId, None] = Factory(dict)
    unpublished: dict[RequestId, None] = Factory(dict)
    requests_logged: int = 0

    def build(self, build: BuildId) -> Build:
        """The build; raises `Rejected` (`BUILD_UNKNOWN`)."""
        found = self.builds.get(build)
        if found is None:
            raise Rejected(BUILD_UNKNOWN, f"there is no build {build}")
        return found

    def job(self, build: BuildId, job: JobId) -> Job:
        """The job; raises `Rejected` (`BUILD_UNKNOWN`, `JOB_UNKNOWN`)."""
        self.build(build)
        found = self.graphs[build].jobs.get(job)
        if found is None:
            raise Rejected(JOB_UNKNOWN, f"build {build} has no job {job}")
        return found

    def worker(self, worker: WorkerId) -> Worker:
        """The worker; raises `Rejected` (`WORKER_UNKNOWN`)."""
        found = self.workers.get(worker)
        if found is None:
            raise Rejected(WORKER_UNKNOWN, f"no worker {worker} ever reported")
        return found

    def file(self, file: FileId) -> File:
        """The file; raises `Rejected` (`FILE_UNKNOWN`)."""
        found = self.files.get(file)
        if found is None:
            raise Rejected(FILE_UNKNOWN, f"there is no file {file}")
        return found

    def request(self, request: RequestId) -> Request:
        """The request; raises `Rejected` (`REQUEST_UNKNOWN`)."""
        found = self.requests.get(request)
        if found is None:
            raise Rejected(REQUEST_UNKNOWN, f"there is no request {request}")
        return found

    def locate(self, job: JobId, digest: SpecDigest) -> WorkerId | None:
        """A live worker that holds this very artifact; None if nobody does.

        An empty digest in `holders` is from a worker that speaks plain distbuild, where the id alone
        determines the output.
        """
        for worker, held in self.holders.get(job, {}).items():
            if held in (digest, ""):
                return worker
        return None

    def missing_sources(self, build: BuildId) -> tuple[SourceId, ...]:
        """Ids of the build's sources that are not on the coordinator's disk, each once."""
        self.build(build)
        wanted = dict.fromkeys(self.graphs[build].sources.values())
        return tuple(source for source in wanted if source not in self.sources)
