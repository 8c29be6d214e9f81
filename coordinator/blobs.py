"""Source files at rest: the bytes are durable under their name before anybody hears of them.

An upload goes into a temporary file of the same file system while its sha256 is computed; then fsync, rename,
fsync of the directory. So a name in the store always stands for a whole file, whatever crashed when.
"""

import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import attrs
import trio

from coordinator.disk import RunSync, in_thread, read_piece, sync_directory, telling_full
from coordinator.disk import StorageFull as StorageFull
from events.ids import BlobDigest, SourceId, is_hex40, source_of

BATCH_BYTES = 2 << 20
READ_BYTES = 1 << 20


@attrs.frozen(kw_only=True)
class StoredBlob:
    """Size in bytes and sha256 as 64 hex digits of what was stored."""

    size: int
    sha256: str

    @property
    def source(self) -> SourceId:
        """The id under which it lies if nobody gave it another."""
        return source_of(BlobDigest(self.sha256))


@attrs.frozen(eq=False)
class Draft:
    """Bytes that are durable, but under no name yet."""

    stored: StoredBlob
    place: Callable[[Path], None]


class BlobStore:
    """The files below `root`, which belongs to this store alone.

    Files left by uploads that a crash cut short are removed at construction.
    """

    def __init__(self, root: Path, *, run_sync: RunSync = in_thread) -> None:
        self._root = root
        self._run_sync = run_sync
        self._uploads: dict[SourceId, _Upload] = {}
        self._numbers = count()
        _prepare(root)

    def has(self, source: SourceId) -> bool:
        """Is it there? (One `stat`, on the event loop.)"""
        return self.path(source).is_file()

    def size(self, source: SourceId) -> int:
        """In bytes; raises FileNotFoundError. (One `stat`, on the event loop.)"""
        return self.path(source).stat().st_size

    async def store(self, source: SourceId, chunks: AsyncIterable[bytes]) -> StoredBlob:
        """Keep what `chunks` gives under this id; raises `StorageFull` and whatever `chunks` raises.

        Of several uploads of one id at a time, one writes. The others leave their bytes unread, which holds
        their peers back, until it is done, and read them away then; if it fails, the next of them writes.
        """
        path = self.path(source)
        while upload := self._uploads.get(source):
            await upload.ended.wait()  # as long as the writer's peer may take, which `chunks` bounds
            if upload.stored is not None:
                async for _ in chunks:
                    pass
                return upload.stored
        self._uploads[source] = upload = _Upload()
        try:
            upload.stored = await self._write(path, chunks)
            return upload.stored
        finally:
            del self._uploads[source]
            upload.ended.set()

    def open_chunks(self, source: SourceId) -> "BlobReader":
        """Its bytes in pieces of up to 1 MiB; iterating raises FileNotFoundError."""
        return BlobReader(path=self.path(source), run_sync=self._run_sync)

    @asynccontextmanager
    async def drafted(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[Draft]:
        """Keep what `chunks` gives as long as the block lasts, and longer if it is placed there."""
        writer = _Writer(self._root / "incoming" / f"draft.{next(self._numbers)}")
        try:
            yield Draft(await self._fill(writer, chunks, writer.seal), writer.place)
        finally:
            await self._abandon(writer)

    @asynccontextmanager
    async def placing(self, drafts: Iterable[Draft], check: Callable[[], None]) -> AsyncIterator[None]:
        """Give each draft its name, durably; nobody else writes under these names before the block is over.

        `check` is asked when that is so, and may raise.
        """
        by_name = {draft.stored.source: draft for draft in drafts}
        async with self._alone_with(sorted(by_name)):
            check()
            with telling_full():
                for source, draft in by_name.items():
                    await self._run_sync(draft.place, self.path(source))
            yield

    async def remove(self, source: SourceId) -> None:
        """Let the file go at once, unless somebody is writing it anew; its space is free on return."""
        if source not in self._uploads and self.has(source):
            leftover = self._root / "incoming" / f"removed.{next(self._numbers)}"
            self.path(source).rename(leftover)
            await self._run_sync(leftover.unlink)

    @asynccontextmanager
    async def _alone_with(self, sources: Iterable[SourceId]) -> AsyncIterator[None]:
        """Nobody else writes these; whoever comes meanwhile finds that they were stored, or writes then."""
        mine: dict[SourceId, _Upload] = {}
        try:
            for source in sources:
                while other := self._uploads.get(source):
                    await other.ended.wait()  # as long as the writer's peer may take, which is bounded
                mine[source] = self._uploads[source] = _Upload()
            yield
        finally:
            for source, upload in mine.items():
                del self._uploads[source]
                upload.ended.set()

    async def _write(self, path: Path, chunks: AsyncIterable[bytes]) -> StoredBlob:
        writer = _Writer(self._root / "incoming" / f"{path.name}.{next(self._numbers)}")
        try:
            return await self._fill(writer, chunks, writer.finish, path)
        except BaseException:
            await self._abandon(writer)
            raise

    async def _fill(
        self,
        writer: "_Writer",
        chunks: AsyncIterable[bytes],
        end: Callable[..., StoredBlob],
        *args: object,
    ) -> StoredBlob:
        with telling_full():
            batch, size = [], 0
            async for chunk in chunks:
                batch.append(chunk)
                size += len(chunk)
                if size >= BATCH_BYTES:
                    await self._run_sync(writer.add, batch)
                    batch, size = [], 0
            return await self._run_sync(end, batch, *args)

    async def _abandon(self, writer: "_Writer") -> None:
        with trio.CancelScope(shield=True):  # one unlink: as bounded as the disk is
            await self._run_sync(writer.abandon)

    def path(self, source: SourceId) -> Path:
        """Where it lies, if it is there."""
        if not is_hex40(source):
            raise ValueError(f"not a source id: {source!r}")
        return self._root / source[:2] / source


@attrs.define(eq=False)
class _Upload:
    """One upload under way, for others of the same id to wait for."""

    ended: trio.Event = attrs.field(factory=trio.Event)
    stored: StoredBlob | None = None


class _Writer:
    """The blocking side of one upload: a small one is a single call of `finish`."""

    def __init__(self, temporary: Path) -> None:
        self._temporary = temporary
        self._file: int | None = None
        self._digest = hashlib.sha256()
        self._size = 0

    def add(self, batch: list[bytes]) -> None:
        if self._file is None:
            self._file = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        for chunk in batch:
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._file, view) :]
            self._digest.update(chunk)
            self._size += len(chunk)

    def finish(self, batch: list[bytes], path: Path) -> StoredBlob:
        stored = self.seal(batch)
        self.place(path)
        return stored

    def seal(self, batch: list[bytes]) -> StoredBlob:
        self.add(batch)
        assert self._file is not None
        os.fsync(self._file)
        self._close()
        return StoredBlob(size=self._size, sha256=self._digest.hexdigest())

    def place(self, path: Path) -> None:
        self._temporary.rename(path)
        sync_directory(path.parent)

    def abandon(self) -> None:
        self._close()
        self._temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


@attrs.define(kw_only=True)
class BlobReader(AsyncIterator[bytes]):
    """Reads on from where it is; holds no file open between two pieces, so it may be dropped at any time."""

    _path: Path
    _run_sync: RunSync
    _offset: int = 0

    async def __anext__(self) -> bytes:
        data = await self._run_sync(read_piece, self._path, self._offset, READ_BYTES)
        if not data:
            raise StopAsyncIteration
        self._offset += len(data)
        return data


def _prepare(root: Path) -> None:
    incoming = root / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    for leftover in incoming.iterdir():
        leftover.unlink()
    there = {path.name for path in root.iterdir()}
    for name in (f"{first:02x}" for first in range(256)):
        if name not in there:  # now, so that an upload has one directory to sync, not two
            (root / name).mkdir()
    for directory in (root, root.parent):
        sync_directory(directory)
