"""What jobs print: a file for each stream of a lease that prints anything, nothing for one that does not.

A worker streams pieces at offsets while a job runs, and may repeat itself when an answer was lost; what
remains comes with the result. Readers follow the files. The bytes of a sealed lease survive a power loss,
those of a live one survive the end of our process.
"""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs
import trio

from coordinator.disk import RunSync, in_thread, read_piece, sync_directory, telling_full, write_all
from events.ids import LeaseId

STREAMS = ("stdout", "stderr")
BYTES_MAX = 64 << 20
TRUNCATED = "\n…truncated\n".encode()
_LEASE = re.compile(r"[0-9a-f]{32}\Z")


class OutputGap(Exception):
    """The piece begins beyond what is stored; `size` says from where on to send again, in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes are stored")
        self.size = size


@attrs.frozen(kw_only=True)
class Piece:
    """Some of what a lease printed: `data` begins at byte `offset` of the stream."""

    stream: str
    offset: int
    data: bytes


@attrs.define(eq=False, kw_only=True)
class _Stream:
    """One file that may still grow.

    `size`: bytes the worker may forget; `stored`: bytes in the file, fewer once it is full, and then with
    the marker that says so.
    """

    path: Path
    bytes_max: int
    size: int
    stored: int
    is_synced: bool = True

    @property
    def is_truncated(self) -> bool:
        return self.stored > self.bytes_max

    def fresh(self, piece: Piece) -> bytes:
        """What of it goes to the file: the new bytes, or as many as fit and the marker, or nothing."""
        if self.is_truncated:
            return b""  # it is only counted from here on, so a gap loses nothing
        if piece.offset > self.size:
            raise OutputGap(self.size)
        data = piece.data[self.size - piece.offset :]
        room = self.bytes_max - self.stored
        return data if len(data) <= room else data[:room] + TRUNCATED

    def has_written(self, piece: Piece, fresh: bytes) -> None:
        """Take note of what is in the file now."""
        self.stored += len(fresh)
        self.size = max(self.size, piece.offset + len(piece.data))
        self.is_synced = self.is_synced and not fresh


@attrs.define(eq=False)
class _Output:
    """The streams of a live lease that has printed something; one writer at a time."""

    streams: dict[str, _Stream] = attrs.field(factory=dict)
    lock: trio.Lock = attrs.field(factory=trio.Lock)


@attrs.define(eq=False, kw_only=True)
class _Sealing:
    """Files to make durable, each after a last write at an offset; many leases' are done in one go."""

    files: Sequence[tuple[Path, bytes, int]]
    is_done: bool = False
    error: OSError | None = None


class OutputStore:
    """The files below `root`, which belongs to this store alone; each stream keeps `bytes_max` at most."""

    def __init__(
        self,
        root: Path,
        *,
        bytes_max: int = BYTES_MAX,
        run_sync: RunSync = in_thread,
        sync_disk: Callable[[], None] = os.sync,
    ) -> None:
        self._root = root
        self._bytes_max = bytes_max
        self._run_sync = run_sync
        self._live: dict[LeaseId, _Output] = {}
        self._grown: dict[LeaseId, trio.Event] = {}
        self._sealings: list[_Sealing] = []
        self._sealing = trio.Lock()
        root.mkdir(parents=True, exist_ok=True)
        sync_directory(root.parent)
        if any(root.iterdir()):
            sync_disk()  # a process before us may have died before it sealed

    async def append(self, lease: LeaseId, stream: str, offset: int, data: bytes) -> int:
        """Store `data`, whose first byte is the stream's byte `offset`; returns the stream's size in bytes.

        Bytes that are stored already are skipped. Raises `OutputGap` when some are missing before `offset`,
        and `StorageFull`; then nothing has changed.
        """
        piece = Piece(stream=stream, offset=offset, data=data)
        output = self._open(lease, [piece])
        file = output.streams[stream]
        async with output.lock:
            fresh = file.fresh(piece)
            if fresh:
                with telling_full():
                    await self._run_sync(_write_file, file.path, fresh, file.stored, False)
            file.has_written(piece, fresh)
        if fresh:
            self._wake(lease)
        return file.size

    async def seal(self, lease: LeaseId, pieces: Iterable[Piece] = ()) -> None:
        """Append what came with the result and make all of it durable, in one visit to the disk.

        At most one piece for each stream. Costs nothing when there is nothing. Raises `OutputGap` and
        `StorageFull`; then nothing has changed.
        """
        last = {piece.stream: piece for piece in pieces if piece.data}
        if not last and lease not in self._live:
            return
        output = self._open(lease, last.values())
        async with output.lock:
            fresh = {stream: output.streams[stream].fresh(piece) for stream, piece in last.items()}
            files = [
                (file.path, fresh.get(stream, b""), file.stored)
                for stream, file in output.streams.items()
                if fresh.get(stream) or not file.is_synced
            ]
            if files:
                await self._visit_disk(_Sealing(files=files))
            for stream, piece in last.items():
                output.streams[stream].has_written(piece, fresh[stream])
            for file in output.streams.values():
                file.is_synced = True
        self._wake(lease)

    def size(self, lease: LeaseId, stream: str) -> int:
        """Bytes the worker has handed over, stored or not; after `finish`, bytes that can be read."""
        file = self._stream(lease, stream)
        return self._on_disk(lease, stream) if file is None else file.size

    def readable(self, lease: LeaseId, stream: str) -> int:
        """Bytes that can be read now."""
        file = self._stream(lease, stream)
        return self._on_disk(lease, stream) if file is None else file.stored

    async def read(self, lease: LeaseId, stream: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer, or none, only at the present end."""
        length = min(length, self.readable(lease, stream) - offset)
        if length <= 0:
            return b""
        return await self._run_sync(read_piece, self._path(lease, stream), offset, length)

    async def grown(self, lease: LeaseId, stream: str, offset: int) -> bool:
        """Wait until there is more than `offset` bytes to read (True) or the lease has ended (False).

        Only for a lease that is live at this moment, as the caller knows from State; it waits as long as
        that lives, so put a deadline round it where a sign of life is owed.
        """
        while self.readable(lease, stream) <= offset:
            await self._grown.setdefault(lease, trio.Event()).wait()
            if lease not in self._live:
                return self.readable(lease, stream) > offset
        return True

    async def wait(self, lease: LeaseId, stream: str, offset: int, seconds: float) -> None:
        """`grown`, for so many seconds at most."""
        with trio.move_on_after(seconds):
            await self.grown(lease, stream, offset)

    def has_printed(self, lease: LeaseId) -> bool:
        """Has the live lease handed anything over, to this process?"""
        return lease in self._live

    def open_leases(self) -> set[LeaseId]:
        """Leases that have printed something, or are followed, and have not been finished."""
        return self._live.keys() | self._grown.keys()

    def finish(self, lease: LeaseId) -> None:
        """The lease has ended: wake whoever follows it and forget it; its files stay readable."""
        self._live.pop(lease, None)
        self._wake(lease)

    async def _visit_disk(self, sealing: _Sealing) -> None:
        self._sealings.append(sealing)
        with trio.CancelScope(shield=True):  # as long as a disk takes, and half done is worse than late
            async with self._sealing:  # whoever has it works for all who wait for it
                if not sealing.is_done:
                    await self._seal_waiting()
        if sealing.error is not None:
            with telling_full():
                raise sealing.error

    async def _seal_waiting(self) -> None:
        batch, self._sealings = self._sealings, []
        try:
            await self._run_sync(_seal_all, self._root, batch)
        except OSError as error:
            for sealing in batch:
                sealing.error = error
        for sealing in batch:
            sealing.is_done = True

    def _wake(self, lease: LeaseId) -> None:
        event = self._grown.pop(lease, None)
        if event is not None:
            event.set()

    def _open(self, lease: LeaseId, pieces: Iterable[Piece]) -> _Output:
        missing = {piece.stream: self._path(lease, piece.stream) for piece in pieces}
        output = self._live.setdefault(lease, _Output())
        for stream, path in missing.items():
            if stream not in output.streams:
                stored = self._on_disk(lease, stream)
                size = min(stored, self._bytes_max)
                output.streams[stream] = _Stream(
                    path=path, bytes_max=self._bytes_max, size=size, stored=stored
                )
        return output

    def _stream(self, lease: LeaseId, stream: str) -> _Stream | None:
        output = self._live.get(lease)
        return output.streams.get(stream) if output else None

    def _on_disk(self, lease: LeaseId, stream: str) -> int:
        if not _LEASE.match(lease):
            return 0  # nothing can have been stored under it
        try:
            return self._path(lease, stream).stat().st_size
        except FileNotFoundError:
            return 0

    def _path(self, lease: LeaseId, stream: str) -> Path:
        if not _LEASE.match(lease) or stream not in STREAMS:
            raise ValueError(f"not a lease id and a stream: {lease!r}, {stream!r}")
        return self._root / f"{lease}.{stream}"


def _write_file(path: Path, data: bytes, offset: int, is_last: bool) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        write_all(file, data, offset)
        if is_last:
            os.fsync(file)
    finally:
        os.close(file)


def _seal_all(root: Path, batch: Sequence[_Sealing]) -> None:
    for sealing in batch:
        try:
            for path, data, offset in sealing.files:
                _write_file(path, data, offset, True)
        except OSError as error:
            sealing.error = error
    sync_directory(root)
