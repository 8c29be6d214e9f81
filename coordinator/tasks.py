"""Cube's tasks: each is a build of one job in a container, found again by the id that its client chose.

Nothing of a task is kept but that build. What is still to be done for one is read from State at every
look, so a coordinator that dies between two steps goes on where the log ends.
"""

from collections.abc import Iterator
from typing import NamedTuple

import structlog
import trio

from coordinator.builds import start
from coordinator.core import Coordinator
from events.catalog import ContainerStarted
from events.commands import CancelBuild, Command, FinishUpload, StartBuild
from events.errors import Rejected
from events.ids import BuildId, WorkerId
from events.model import Build, Job
from events.placement import NOBODY, capacity
from events.queue import meets
from events.state import State
from events.transitions import BuildStatus, JobStatus

log = structlog.get_logger()

LABELS = {"dialect": "cube"}
LOOK_SECONDS = 1.0
# A task that nobody can run for so long, and never ran, has failed.
UNABLE_SECONDS = 10.0
UNABLE = "no worker has what the task needs"
STOPPED = "stopped, as its client asked"


class Task(NamedTuple):
    """What State says of a task."""

    id: str
    build: Build
    job: Job
    started: ContainerStarted | None
    restarts: int


def key_of(task: str) -> str:
    """The key of the task's build: a task that is posted twice is one."""
    return f"cube:{task}"


def find(state: State, task: str) -> Task | None:
    """The task of this id, if State knows it."""
    build = state.keys.get(key_of(task))
    return None if build is None else _task(state, build)


def every(state: State) -> list[Task]:
    """All there are, in the order in which they were posted."""
    return [_task(state, id_) for id_, build in state.builds.items() if _is_task(build)]


def of_worker(state: State, worker: WorkerId) -> list[Task]:
    """Those that this worker runs or ran last."""
    return [task for task in every(state) if task.job.worker == worker]


async def run(core: Coordinator, command: StartBuild) -> None:
    """Start the task's build, whose sources are all there, since it has none; raises `Rejected`."""
    await core.submit(FinishUpload(build=await start(core, command)))


async def stop(core: Coordinator, task: Task) -> None:
    """Nothing is left to do for one that has ended; raises `Rejected`."""
    if not task.build.has_ended:
        await _submit(core, CancelBuild(build=task.build.id, reason=STOPPED))


async def look_forever(
    core: Coordinator, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Do for each task what is still to be done."""
    task_status.started()
    while True:
        for command in list(owed(core.state, core.now())):
            await _submit(core, command)
        await trio.sleep(LOOK_SECONDS)


def owed(state: State, now: float) -> Iterator[Command]:
    """What is to be done: the start that a crash cut in two, the end of what nobody can run."""
    for id_ in state.active:
        build = state.builds[id_]
        if not _is_task(build):
            continue
        if build.status is BuildStatus.UPLOADING:
            yield FinishUpload(build=id_)
        elif lacks := _lacking(state, _task(state, id_), now):
            yield CancelBuild(build=id_, reason=f"{UNABLE}: {lacks}")


def _lacking(state: State, task: Task, now: float) -> str:
    """What no worker has that the task needs, for too long; empty if there is no cause to give it up."""
    job, container = task.job, task.job.spec.container
    is_new = job.status is JobStatus.QUEUED and job.attempt == 0
    if container is None or not is_new or job.queued_at + UNABLE_SECONDS > now:
        return ""
    able = [
        worker
        for worker in (state.workers[id_] for id_ in state.silence)
        if meets(worker.labels, job.spec.needs)
    ]
    if not able:
        return f"{', '.join(job.spec.needs)}, to run the image {container.image}"
    is_too_large = all(0 < capacity(worker).disk < container.disk for worker in able)
    return f"{NOBODY} {task.id}" if state.settings.placement and is_too_large else ""


def _is_task(build: Build) -> bool:
    return build.labels.get("dialect") == LABELS["dialect"] and build.key.startswith("cube:")


def _task(state: State, id_: BuildId) -> Task:
    build, graph = state.builds[id_], state.graphs[id_]
    [job] = graph.jobs.values()
    return Task(
        build.key.partition(":")[2], build, job, graph.containers.get(job.id), graph.restarts.get(job.id, 0)
    )


async def _submit(core: Coordinator, command: Command) -> None:
    """What has become superfluous meanwhile is no harm done."""
    try:
        await core.submit(command)
    except Rejected as refusal:
        log.info("a task needs it no more", command=type(command).__name__, reason=refusal.reason)
