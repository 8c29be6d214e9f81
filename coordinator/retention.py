"""Lets State forget what is long over, so that it does not grow for ever; the records stay in the log.

Level-triggered: each look asks State what it knows that it need not know any more.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import structlog
import trio
from attrs import frozen

from coordinator.artifacts import ArtifactStore
from coordinator.core import Coordinator
from coordinator.files import Files
from events.commands import ForgetBuild, ForgetResults, ForgetWorker
from events.decide.retention import is_held_by_nobody
from events.errors import Rejected
from events.ids import BuildId, FileId, JobId, SourceId, SpecDigest, WorkerId
from events.state import State

log = structlog.get_logger()

LOOK_SECONDS = 60.0
# What has just ended is still looked at and fetched.
REST_SECONDS = 600.0
LOST_WORKER_SECONDS = 7 * 86_400.0
LOST_WORKERS_MAX = 1000
RESULTS_PER_RECORD = 500


@frozen(kw_only=True)
class Limits:
    """How many builds that have ended are known, with how many jobs in all, and for how long (seconds)."""

    builds: int
    jobs: int
    seconds: float


class Retention:
    """One look after the other."""

    def __init__(
        self, core: Coordinator, files: Files, limits: Limits, artifacts: ArtifactStore | None = None
    ) -> None:
        """`artifacts`: what the coordinator itself holds of those results."""
        self._core = core
        self._files = files
        self._limits = limits
        self._artifacts = artifacts

    async def look_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        while True:
            try:
                await self.look()
            except Rejected as error:  # the disk is full, and forgetting waits like all else
                log.info("nothing was forgotten", reason=error.reason)
            await trio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Forget what is over; raises `Rejected`."""
        core = self._core
        builds = builds_over(core.state, self._limits, core.now())
        for build in builds:
            await core.submit(ForgetBuild(build=build))
        for worker in workers_gone(core.state, core.now()):
            await core.submit(ForgetWorker(worker=worker))
        if builds:
            await self._forget_results()
            await self._discard_artifacts()
        for file in await files_over(core.state, self._limits, core.now()):
            await self._files.drop(file, "too old")

    async def _forget_results(self) -> None:
        useless = iter(await useless_results(self._core.state))
        while page := dict(islice(useless, RESULTS_PER_RECORD)):
            await self._core.submit(ForgetResults(results=page))

    async def _discard_artifacts(self) -> None:
        artifacts, state = self._artifacts, self._core.state
        if artifacts is None:
            return
        kept = await artifacts.kept_leases()
        of_use = {result.lease for result in state.results.values()}
        # A live one is about to succeed.
        useless = [lease for lease in kept if lease not in of_use and lease not in state.leases]
        for lease in useless:
            await artifacts.discard(lease)


def builds_over(state: State, limits: Limits, now: float) -> list[BuildId]:
    """Builds that have ended and are too old, or too many, or have too many jobs; the oldest first."""
    over, jobs = list[BuildId](), 0
    ended = [build for build in state.builds.values() if build.has_ended]
    ended.sort(key=lambda build: (build.ended_at, build.position), reverse=True)
    for place, build in enumerate(ended, start=1):
        jobs += build.job_count
        age = now - build.ended_at
        if age > limits.seconds or (age > REST_SECONDS and (place > limits.builds or jobs > limits.jobs)):
            over.append(build.id)
    return over[::-1]


async def files_over(state: State, limits: Limits, now: float) -> list[FileId]:
    """Files that are too old, and that no known build is made from or has made.

    State may move on meanwhile; whoever drops them looks once more.
    """
    old = [id_ for id_, file in state.files.items() if now - file.stored_at > limits.seconds]
    needed, made = set[SourceId](), set[FileId]()
    for graph in list(state.graphs.values()) if old else ():
        needed.update(graph.sources.values())
        made.update(graph.outputs.files if graph.outputs else ())
        await trio.lowlevel.checkpoint()
    files = ((id_, state.files.get(id_)) for id_ in old)
    return [id_ for id_, file in files if file is not None and file.source not in needed and id_ not in made]


def workers_gone(state: State, now: float) -> list[WorkerId]:
    """Workers that were lost long ago, or before many others."""
    lost = sorted((w for w in state.workers.values() if not w.alive), key=lambda worker: -worker.last_seen)
    return [
        worker.id
        for place, worker in enumerate(lost, start=1)
        if place > LOST_WORKERS_MAX or now - worker.last_seen > LOST_WORKER_SECONDS
    ]


async def useless_results(state: State) -> list[tuple[SpecDigest, JobId]]:
    """Results that no known build asked for, and whose artifact nobody holds.

    State may move on meanwhile; whoever forgets them looks once more.
    """
    wanted: set[tuple[JobId, SpecDigest]] = set()
    for graph in list(state.graphs.values()):
        wanted.update((job.id, job.digest) for job in graph.jobs.values())
        await trio.lowlevel.checkpoint()  # a walk over all jobs would keep heartbeats waiting
    held = {job for job in state.holders if not is_held_by_nobody(state, job)}
    return list(_unwanted(state.results, wanted, held))


def _unwanted(
    results: Iterable[tuple[JobId, SpecDigest]],
    wanted: set[tuple[JobId, SpecDigest]],
    held: set[JobId],
) -> Iterator[tuple[SpecDigest, JobId]]:
    for job, digest in results:
        if job not in held and (job, digest) not in wanted:
            yield digest, job
