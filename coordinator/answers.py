"""What is said of a lease of a typed job: its result is its output, on disk before the fact is in the log.

A partial result goes to the other stream, where everybody sees it while the job runs.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

import trio

from coordinator.artifacts import ArtifactStore
from coordinator.core import Coordinator
from coordinator.output import OutputStore, Piece
from events.commands import AnswerLease, Result
from events.errors import LEASE_ENDED, OUTPUT_GAP, Rejected
from events.ids import LeaseId
from events.state import State


class Standing(Enum):
    """How a token stands: only while its lease lives can anything be done with it."""

    RUNNING = "running"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


def standing(state: State, lease: LeaseId) -> Standing:
    """Leases of jobs that run commands are unknown here."""
    if lease in state.heard:
        return Standing.RUNNING
    return Standing.CANCELLED if lease in state.cancelled else Standing.UNKNOWN


class Answers:
    """Takes what workers say; of several who speak of one lease at a time, one after the other."""

    def __init__(self, core: Coordinator, outputs: OutputStore, artifacts: ArtifactStore) -> None:
        self._core = core
        self._outputs = outputs
        self._artifacts = artifacts
        self._locks: dict[LeaseId, trio.Lock] = {}

    async def take(self, lease: LeaseId, text: str, error: str | None) -> None:
        """The result ends the lease, well if `error` is None; raises `Rejected`, `StorageFull`."""
        async with self._alone(lease):
            job = self._core.state.leases[lease].job
            await self._store(lease, text.encode())
            if error is None:
                await self._artifacts.keep(lease)
            result = Result(
                job=job,
                lease=lease,
                exit_code=0 if error is None else 1,
                error=error,
                stdout_bytes=self._outputs.size(lease, "stdout"),
                stderr_bytes=self._outputs.size(lease, "stderr"),
            )
            await self._core.submit(AnswerLease(lease=lease, result=result))

    async def take_partial(self, lease: LeaseId, text: str) -> None:
        """A line of the other stream; raises `Rejected`, `StorageFull`."""
        async with self._alone(lease):
            size = self._outputs.size(lease, "stderr")
            await self._outputs.append(lease, "stderr", size, f"{text}\n".encode())

    async def _store(self, lease: LeaseId, data: bytes) -> None:
        """What an attempt before has stored of the same result is not stored again."""
        stored = await self._outputs.read(lease, "stdout", 0, len(data) + 1)
        if not data.startswith(stored):
            raise Rejected(OUTPUT_GAP, f"lease {lease} has another result, which was not recorded yet")
        await self._outputs.seal(lease, [Piece(stream="stdout", offset=0, data=data)])

    @asynccontextmanager
    async def _alone(self, lease: LeaseId) -> AsyncIterator[None]:
        lock = self._locks.setdefault(lease, trio.Lock())
        try:
            async with lock:
                if standing(self._core.state, lease) is not Standing.RUNNING:
                    raise Rejected(LEASE_ENDED, f"there is no lease {lease} any more")
                yield
        finally:
            if not (lock.locked() or lock.statistics().tasks_waiting):
                self._locks.pop(lease, None)


async def discard_forever(
    core: Coordinator, artifacts: ArtifactStore, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Throw away what is staged under leases that have ended, however that came."""
    task_status.started()
    journal = core.journal
    while not journal.is_stopping:
        position = journal.durable
        for lease in artifacts.staged:
            if standing(core.state, lease) is not Standing.RUNNING:
                await artifacts.discard_staged(lease)
        await journal.grown(position)  # unbounded: no lease ends without a record
