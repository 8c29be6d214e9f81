"""Artifacts between disk and wire: a directory packed as tar, and a stranger's tar unpacked without harm.

The standard library's extraction is not used at all: its filters have let archives write outside their
destination more than once. Here every entry is created relative to the file descriptor of a directory
that we made ourselves, never through a link, and never over something that exists.
"""

import os
import secrets
import shutil
import stat
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import trio

from clients.tarstream import (
    LIMITS,
    Decoder,
    Entry,
    Limits,
    UnsafeArchive,
    check_path,
    encode_end,
    encode_entry,
)

__all__ = ["LIMITS", "Limits", "UnsafeArchive", "pack", "survey", "unpack"]

T = TypeVar("T")
# One trip to a thread, and one piece of the archive in memory, per so many bytes.
BATCH_BYTES = 1 << 20
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking: opening a named pipe must not wait for its writer.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class RunSync(Protocol):
    """Runs blocking work elsewhere, as `trio.to_thread.run_sync` does."""

    def __call__(self, sync_fn: Callable[[], T], /) -> Awaitable[T]: ...


async def pack(
    directory: Path, *, limits: Limits = LIMITS, run_sync: RunSync = trio.to_thread.run_sync
) -> AsyncGenerator[bytes]:
    """The contents of `directory` as tar, the same bytes for the same contents.

    A symbolic link to a file inside becomes a copy of that file, since not every peer understands links.
    Raises UnsafeArchive for anything that is neither file nor directory, or that leads outside.
    """
    batches = _batches(_pack_tree(directory, limits))
    try:
        while batch := await run_sync(partial(next, batches, b"")):
            yield batch
    finally:
        batches.close()


async def unpack(
    chunks: AsyncIterable[bytes],
    destination: Path,
    *,
    limits: Limits = LIMITS,
    run_sync: RunSync = trio.to_thread.run_sync,
) -> int:
    """Make `destination` from a tar stream; returns the bytes of its files.

    `destination` must not exist and its parent must; it appears whole or not at all.
    Raises UnsafeArchive, FileExistsError or another OSError, and whatever `chunks` raises.
    """
    unpacker = await run_sync(partial(_Unpacker, destination, limits))
    try:
        pending = bytearray()
        async for chunk in chunks:
            pending += chunk
            if len(pending) >= BATCH_BYTES:
                batch, pending = bytes(pending), bytearray()
                await run_sync(partial(unpacker.write, batch))
        await run_sync(partial(unpacker.write, bytes(pending)))
        await run_sync(unpacker.commit)
    finally:
        # Bounded by what was unpacked: the limits hold here too.
        with trio.CancelScope(shield=True):
            await run_sync(unpacker.close)
    return unpacker.bytes_written


class _Unpacker:
    """Writes a tar stream below a directory of its own, then gives that its name."""

    def __init__(self, destination: Path, limits: Limits) -> None:
        self.bytes_written = 0
        self._destination = destination
        self._temporary = destination.parent / f".{destination.name[:60]}.{secrets.token_hex(8)}.part"
        self._decoder = Decoder(limits)
        self._temporary.mkdir(mode=0o755)
        self._root = os.open(self._temporary, _OPEN_DIRECTORY)
        # Entries come directory by directory, so the last one's parent is mostly the next one's too.
        self._parent_path, self._parent = b"", os.dup(self._root)
        self._file: int | None = None

    def write(self, data: bytes) -> None:
        for event in self._decoder.feed(data):
            if isinstance(event, Entry):
                self._create(event)
            else:
                self._append(event)

    def commit(self) -> None:
        self._decoder.close()
        self._finish_file()
        try:
            self._temporary.rename(self._destination)
        except OSError as error:
            if self._destination.exists():
                raise FileExistsError(f"{self._destination} exists") from error
            raise

    def close(self) -> None:
        self._finish_file()
        os.close(self._parent)
        os.close(self._root)
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _create(self, entry: Entry) -> None:
        self._finish_file()
        parent_path, _, name = entry.path.rpartition(b"/")
        try:
            parent = self._enter(parent_path)
            if entry.is_directory:
                os.mkdir(name, mode=0o755, dir_fd=parent)
            else:
                self._file = os.open(name, _CREATE_FILE, mode=0o600, dir_fd=parent)
                os.fchmod(self._file, 0o755 if entry.is_executable else 0o644)
        except FileExistsError as error:
            raise UnsafeArchive(f"two entries for one path: {entry.path!r}") from error
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UnsafeArchive(f"an entry outside any directory of the archive: {entry.path!r}") from error

    def _enter(self, path: bytes) -> int:
        if path != self._parent_path:
            parent = _open_below(self._root, path, _OPEN_DIRECTORY)
            os.close(self._parent)
            self._parent_path, self._parent = path, parent
        return self._parent

    def _append(self, piece: bytes) -> None:
        assert self._file is not None, "contents follow a file's entry"
        rest = memoryview(piece)
        while rest:
            written = os.write(self._file, rest)
            self.bytes_written += written
            rest = rest[written:]

    def _finish_file(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


def _open_below(root: int, path: bytes, flags: int) -> int:
    """Open `path` below the directory `root` one component at a time, through no link."""
    *directories, last = path.split(b"/") if path else [b"."]
    current = os.dup(root)
    try:
        for directory in directories:
            below = os.open(directory, _OPEN_DIRECTORY, dir_fd=current)
            os.close(current)
            current = below
        return os.open(last, flags, dir_fd=current)
    finally:
        os.close(current)


def _batches(pieces: Iterator[bytes]) -> Generator[bytes]:
    pending = bytearray()
    for piece in pieces:
        pending += piece
        if len(pending) >= BATCH_BYTES:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)


def survey(directory: Path, *, limits: Limits = LIMITS) -> tuple[int, int]:
    """How many entries and bytes `pack` would send; raises UnsafeArchive where it would. Blocks."""
    with _opened(directory, limits) as tree:
        for _, file in _entries(tree, b""):
            if file is not None:
                os.close(file)
        return tree.entries, tree.bytes


@contextmanager
def _opened(directory: Path, limits: Limits) -> Iterator["_Tree"]:
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _Tree(os.fsencode(directory.resolve()), root, limits)
    finally:
        os.close(root)


def _pack_tree(directory: Path, limits: Limits) -> Iterator[bytes]:
    with _opened(directory, limits) as tree:
        for entry, file in _entries(tree, b""):
            yield encode_entry(entry)
            if file is not None:
                yield from _contents(file, entry)
                yield bytes(entry.padding)
    yield encode_end()


class _Tree:
    """A directory being packed: an archive that nobody would unpack is refused where it is made."""

    def __init__(self, path: bytes, root: int, limits: Limits) -> None:
        self._path = path
        self._root = root
        self._limits = limits
        self.entries = 0
        self.bytes = 0

    def open(self, path: bytes, flags: int) -> int:
        try:
            return _open_below(self._root, path, flags)
        except OSError as error:
            raise UnsafeArchive(f"cannot read {os.fsdecode(path)}: {error.strerror}") from error

    def resolve(self, link: bytes) -> bytes:
        """The path, below the tree's root, of what `link` points at in the end."""
        target = os.path.realpath(self._path + b"/" + link)
        if not target.startswith(self._path + b"/"):
            raise UnsafeArchive(f"a link that leads outside: {os.fsdecode(link)} -> {os.fsdecode(target)}")
        return target[len(self._path) + 1 :]

    def count(self, entry: Entry) -> Entry:
        check_path(entry.path, self._limits)
        self.entries += 1
        self.bytes += entry.size
        if self.entries > self._limits.entries_max:
            raise UnsafeArchive(f"more than {self._limits.entries_max} entries")
        if self.bytes > self._limits.bytes_max:
            raise UnsafeArchive(f"more than {self._limits.bytes_max} bytes")
        return entry


def _entries(tree: _Tree, path: bytes) -> Iterator[tuple[Entry, int | None]]:
    """Everything below `path`, parents first, files opened: whoever takes a file closes it."""
    directory = tree.open(path, _OPEN_DIRECTORY)
    try:
        with os.scandir(directory) as listing:
            names = sorted(os.fsencode(item.name) for item in listing)
        for name in names:
            below = path + b"/" + name if path else name
            mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield tree.count(Entry(path=below, is_directory=True)), None
                yield from _entries(tree, below)
            elif stat.S_ISREG(mode):
                yield _file(tree, below, below)
            elif stat.S_ISLNK(mode):
                yield _file(tree, below, tree.resolve(below))
            else:
                raise UnsafeArchive(f"neither a file nor a directory: {os.fsdecode(below)}")
    finally:
        os.close(directory)


def _file(tree: _Tree, path: bytes, contents: bytes) -> tuple[Entry, int]:
    file = tree.open(contents, _OPEN_FILE)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise UnsafeArchive(f"a link to something that is no file: {os.fsdecode(path)}")
        is_executable = bool(status.st_mode & 0o100)
        return tree.count(Entry(path=path, is_executable=is_executable, size=status.st_size)), file
    except BaseException:
        os.close(file)
        raise


def _contents(file: int, entry: Entry) -> Iterator[bytes]:
    try:
        left = entry.size
        while left:
            piece = os.read(file, min(left, BATCH_BYTES))
            if not piece:
                raise UnsafeArchive(f"{os.fsdecode(entry.path)} shrank while it was packed")
            left -= len(piece)
            yield piece
    finally:
        os.close(file)
