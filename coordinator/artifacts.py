"""Artifacts that the coordinator holds itself: what workers upload under a lease, kept if its job succeeds.

A file is staged under its lease as soon as it is whole. When the result comes, all of them become durable
and move, in one rename, to where they are served from; what was staged for any other end is thrown away.
"""

import os
import shutil
from collections.abc import AsyncIterable
from itertools import count
from pathlib import Path

import trio

from coordinator.disk import RunSync, in_thread, sync_directory, telling_full
from events.ids import COORDINATOR, JobId, LeaseId, SpecDigest
from events.state import State

BATCH_BYTES = 2 << 20
NAME_BYTES_MAX = 255


def is_name(name: str) -> bool:
    """Can a file in an artifact be called so? One component of a path, and nothing that means another one."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= NAME_BYTES_MAX and name not in (".", "..") and not {"/", "\0"} & set(name)


def lease_kept(state: State, job: JobId, digest: str) -> LeaseId | None:
    """The lease that made what the coordinator holds of this job, of this spec if it has a digest."""
    held = state.holders.get(job, {}).get(COORDINATOR)
    if held is None or digest not in ("", held):
        return None
    result = state.results.get((job, SpecDigest(held)))
    return result.lease if result else None


class ArtifactStore:
    """The directories below `root`, which belongs to this store alone: one per lease, staged or kept.

    What a crash cut short is removed at construction.
    """

    def __init__(self, root: Path, *, run_sync: RunSync = in_thread) -> None:
        self._incoming, self._staged, self._kept = (root / name for name in ("incoming", "staged", "kept"))
        self._run_sync = run_sync
        self._numbers = count()
        shutil.rmtree(self._incoming, ignore_errors=True)
        self.empty = root / "empty"
        for directory in (self._incoming, self._staged, self._kept, self.empty):
            directory.mkdir(parents=True, exist_ok=True)
        for directory in (root, root.parent):
            sync_directory(directory)
        self._leases = {LeaseId(each.name) for each in self._staged.iterdir()}

    @property
    def staged(self) -> frozenset[LeaseId]:
        """Leases under which something is staged."""
        return frozenset(self._leases)

    async def stage(self, lease: LeaseId, name: str, chunks: AsyncIterable[bytes]) -> None:
        """Put a file with what `chunks` gives under the lease, over one of this name.

        Raises `StorageFull`, and whatever `chunks` raises; then nothing has changed.
        """
        temporary = self._incoming / str(next(self._numbers))
        try:
            with telling_full():
                batch, size = [], 0
                async for chunk in chunks:
                    batch.append(chunk)
                    size += len(chunk)
                    if size >= BATCH_BYTES:
                        await self._run_sync(_append, temporary, batch)
                        batch, size = [], 0
                await self._run_sync(_append, temporary, batch)
                await self._run_sync(_move_in, temporary, self._staged / lease, name)
                self._leases.add(lease)
        finally:
            with trio.CancelScope(shield=True):  # one unlink: as bounded as the disk is
                await self._run_sync(_remove_file, temporary)

    async def keep(self, lease: LeaseId) -> None:
        """Make durable what is staged under the lease, and serve it from now on. Raises `StorageFull`."""
        if lease in self._leases:
            with telling_full():
                await self._run_sync(_keep, self._staged / lease, self._kept / lease)
            self._leases.discard(lease)

    def kept(self, lease: LeaseId) -> Path | None:
        """Where the lease's artifact is; None if it has no file. (One `stat`, on the event loop.)"""
        directory = self._kept / lease
        return directory if directory.is_dir() else None

    async def kept_leases(self) -> list[LeaseId]:
        """All whose artifacts are kept."""
        return [LeaseId(name) for name in await self._run_sync(os.listdir, self._kept)]

    async def discard_staged(self, lease: LeaseId) -> None:
        """Throw away what is staged under the lease."""
        self._leases.discard(lease)
        await self._run_sync(_remove, self._staged / lease)

    async def discard(self, lease: LeaseId) -> None:
        """Throw away what is kept of the lease."""
        await self._run_sync(_remove, self._kept / lease)


def _append(path: Path, batch: list[bytes]) -> None:
    with path.open("ab") as file:
        for chunk in batch:
            file.write(chunk)


def _move_in(temporary: Path, directory: Path, name: str) -> None:
    directory.mkdir(exist_ok=True)
    temporary.rename(directory / name)


def _keep(staged: Path, kept: Path) -> None:
    for path in staged.iterdir():
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
    sync_directory(staged)
    _remove(kept)  # of an attempt to keep it that was not recorded
    staged.rename(kept)
    for directory in (staged.parent, kept.parent):
        sync_directory(directory)


def _remove_file(path: Path) -> None:
    path.unlink(missing_ok=True)


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
