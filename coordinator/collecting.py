"""Brings what ended builds are to hand over into the store of files, from workers and from what was printed.

Level-triggered: State says which builds owe their outputs. All of a build's are on disk before one record
says so; whatever ends this process before that, the next one begins anew.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog
import trio

from clients import wire
from clients.archive import UnsafeArchive
from clients.tarstream import LIMITS, Decoder, Entry
from clients.wire.origins import Origins
from coordinator.blobs import StorageFull
from coordinator.core import Coordinator
from coordinator.files import Files, Output
from coordinator.output import STREAMS, OutputStore
from events.errors import STORAGE_FULL, Rejected
from events.ids import BuildId, LeaseId, WorkerId
from events.model import Job
from events.state import Graph
from events.transitions import JobStatus

BUILDS_AT_ONCE = 4
ANSWER_SECONDS = 30.0
STALL_SECONDS = 60.0
# How long a worker that reports and yet does not hand over is asked, and how often.
PATIENCE_SECONDS = 60.0
AGAIN_SECONDS = 1.0
READ_BYTES = 1 << 20
ERROR_CHARS_MAX = 1000

log = structlog.get_logger()


class Again(Exception):
    """It is not to be had now, and may be later."""


class Lost(Exception):
    """It is not to be had; the text says why."""


class Collector:
    """Pays what State owes of outputs."""

    def __init__(self, core: Coordinator, files: Files, outputs: OutputStore, origins: Origins) -> None:
        self._core = core
        self._files = files
        self._outputs = outputs
        self._origins = origins
        self._at_work: set[BuildId] = set()
        self._turns = trio.CapacityLimiter(BUILDS_AT_ONCE)

    async def collect_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        journal = self._core.journal
        async with trio.open_nursery() as nursery:
            task_status.started()
            while not journal.is_stopping:
                position = journal.durable
                for build in [id_ for id_ in self._core.state.unkept if id_ not in self._at_work]:
                    self._at_work.add(build)
                    nursery.start_soon(self._collect, build)
                await journal.grown(position)  # unbounded: no build ends without a record
            nursery.cancel_scope.cancel()
        await self._origins.aclose()

    async def _collect(self, build: BuildId) -> None:
        give_up_at = trio.current_time() + PATIENCE_SECONDS
        try:
            while build in self._core.state.unkept:
                try:
                    async with self._turns:
                        await self._keep(build, give_up_at)
                    return
                except (Again, StorageFull) as error:
                    log.info("outputs not kept yet", build=build, error=str(error))
                await trio.sleep(AGAIN_SECONDS)
        finally:
            self._at_work.discard(build)

    async def _keep(self, build: BuildId, give_up_at: float) -> None:
        try:
            async with AsyncExitStack() as stack:
                outputs, error = await self._gather(build, stack, give_up_at)
                await self._files.keep(build, outputs, error)
        except Rejected as refusal:
            if refusal.code is STORAGE_FULL:
                raise Again(refusal.reason) from refusal
            await self._files.keep(build, (), refusal.reason)

    async def _gather(
        self, build: BuildId, stack: AsyncExitStack, give_up_at: float
    ) -> tuple[list[Output], str]:
        """What can be had of all jobs, in their order, and why not all of it."""
        found: list[Output] = []
        errors: list[str] = []
        graph = self._core.state.graphs.get(build, Graph())  # it may have been forgotten meanwhile
        for job in list(graph.jobs.values()):
            paths = [path for path in job.spec.outputs if path not in STREAMS]
            of_job: dict[str, Output] = {}
            try:
                if paths and job.status is JobStatus.SUCCEEDED:
                    of_job = await self._from_artifact(job, paths, stack, give_up_at)
            except Lost as error:
                errors.append(f"job {job.spec.name or job.id}: {error}")
            for stream in STREAMS:
                if stream in job.spec.outputs and job.lease:
                    printed = _Printed(self._outputs, job.lease, stream)
                    draft = await stack.enter_async_context(self._files.drafted(printed))
                    of_job[stream] = Output(draft=draft, name=stream)
            found += [of_job[name] for name in job.spec.outputs if name in of_job]
        return found, "; ".join(errors)[:ERROR_CHARS_MAX]

    async def _from_artifact(
        self, job: Job, paths: Sequence[str], stack: AsyncExitStack, give_up_at: float
    ) -> dict[str, Output]:
        holder = self._core.state.locate(job.id, job.digest)
        if holder is None:
            raise Lost("no worker holds its artifact any more")
        try:
            return await self._fetch(holder, job, frozenset(paths), stack)
        except (wire.Unreachable, wire.Refused, UnsafeArchive, ValueError) as error:
            if trio.current_time() < give_up_at:
                raise Again(str(error)) from error
            raise Lost(f"its artifact is not to be had from {holder}: {error}") from error

    async def _fetch(
        self, holder: WorkerId, job: Job, paths: frozenset[str], stack: AsyncExitStack
    ) -> dict[str, Output]:
        client = await self._origins.client(holder.rstrip("/"))
        target = f"/artifact?id={job.id}&digest={job.digest}"
        found: dict[str, Output] = {}
        async with client.request("GET", target, timeout_seconds=ANSWER_SECONDS) as response:
            await response.require(200)
            archive = _Archive(response)
            while (entry := await archive.next_entry()) is not None:
                path = entry.path.decode("utf-8", "surrogateescape")
                if path in paths and not entry.is_directory:
                    draft = await stack.enter_async_context(self._files.drafted(archive))
                    found[path] = Output(draft=draft, name=path, executable=entry.is_executable)
        if missing := sorted(paths - found.keys()):
            raise Lost(f"no such files in its artifact: {', '.join(missing)}")
        return found


class _Printed(AsyncIterator[bytes]):
    """All of a stream of a lease that has ended."""

    def __init__(self, outputs: OutputStore, lease: LeaseId, stream: str) -> None:
        self._read = partial(outputs.read, lease, stream)
        self._offset = 0

    async def __anext__(self) -> bytes:
        data = await self._read(self._offset, READ_BYTES)
        if not data:
            raise StopAsyncIteration
        self._offset += len(data)
        return data


class _Archive(AsyncIterator[bytes]):
    """Entries of a tar stream; iterate over the contents of the one that was given last."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._decoder = Decoder(LIMITS)
        self._events: Iterator[Entry | bytes] = iter(())
        self._left = 0

    async def next_entry(self) -> Entry | None:
        """The next one; what was not read of the one before is passed over. Raises `UnsafeArchive`."""
        async for _ in self:
            pass
        event = await self._event()
        if event is None:
            return None
        assert isinstance(event, Entry), "all contents of the entry before were read"
        self._left = event.size
        return event

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        piece = await self._event()
        if not isinstance(piece, bytes):
            raise UnsafeArchive("the archive is truncated")
        self._left -= len(piece)
        return piece

    async def _event(self) -> Entry | bytes | None:
        while True:
            for event in self._events:
                return event
            data = await self._chunk()
            if not data:
                self._decoder.close()
                return None
            self._events = self._decoder.feed(data)

    async def _chunk(self) -> bytes:
        with trio.move_on_after(STALL_SECONDS):
            return await anext(self._chunks, b"")
        raise wire.Unreachable(f"the artifact stalled for {STALL_SECONDS:g} s")
