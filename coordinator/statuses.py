"""A build as distbuild tells it: one value for each job that ended, and one for the end."""

from collections.abc import AsyncGenerator

import trio
from attrs import frozen

from coordinator.follow import Follower
from coordinator.output import OutputStore
from events.catalog import (
    BuildCancelled,
    BuildFailed,
    BuildSucceeded,
    Event,
    JobFailed,
    JobReused,
    JobSucceeded,
)
from events.ids import JobId

# Some clients of others lose what arrives in the same read as the value before it; while there is little
# to tell, values are kept apart, and the last one always is.
GAP_SECONDS = 0.005
LAST_GAP_SECONDS = 0.03
FEW = 8
# Of each stream of a job; whoever wants the rest asks the coordinator for the job's output.
OUTPUT_BYTES_MAX = 16 << 20


@frozen(kw_only=True)
class JobEnded:
    """`error` is None exactly when the job succeeded; output as bytes."""

    job: JobId
    exit_code: int = 0
    error: str | None = None
    stdout: bytes
    stderr: bytes


@frozen(kw_only=True)
class BuildEnded:
    """`error` is None exactly when the build succeeded."""

    error: str | None


async def statuses(follower: Follower, outputs: OutputStore) -> AsyncGenerator[JobEnded | BuildEnded]:
    """Tell each job once, even one that had to run again; returns early if the coordinator stops."""
    told: set[JobId] = set()
    while not follower.has_ended:
        events = [entry.record.event for entry in await follower.read()]
        for event in events:
            status = await _status(event, outputs, told)
            if status is not None:
                await trio.sleep(_gap(status, len(events)))
                yield status


def _gap(status: JobEnded | BuildEnded, waiting: int) -> float:
    if isinstance(status, BuildEnded):
        return LAST_GAP_SECONDS
    return GAP_SECONDS if waiting <= FEW else 0.0


async def _status(event: Event, outputs: OutputStore, told: set[JobId]) -> JobEnded | BuildEnded | None:
    match event:
        case JobSucceeded() | JobReused() | JobFailed():
            if event.job in told:
                return None
            told.add(event.job)
            return JobEnded(
                job=event.job,
                exit_code=event.exit_code if isinstance(event, JobFailed) else 0,
                error=event.error if isinstance(event, JobFailed) else None,
                stdout=await _output(event, "stdout", outputs),
                stderr=await _output(event, "stderr", outputs),
            )
        case BuildSucceeded():
            return BuildEnded(error=None)
        case BuildFailed():
            return BuildEnded(error=event.error)
        case BuildCancelled():
            return BuildEnded(error=f"the build was cancelled: {event.reason}")
        case _:
            return None


async def _output(event: JobSucceeded | JobReused | JobFailed, stream: str, outputs: OutputStore) -> bytes:
    """A reused job's fact does not say how much there is, so we look; most jobs print nothing at all."""
    if not getattr(event, f"{stream}_bytes", True):
        return b""
    output = await outputs.read(event.lease, stream, 0, OUTPUT_BYTES_MAX)
    if len(output) < OUTPUT_BYTES_MAX or (more := outputs.size(event.lease, stream) - len(output)) <= 0:
        return output
    return output + f"\n…truncated: {more} more bytes\n".encode()
