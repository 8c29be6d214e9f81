"""What both stores need of a disk: work off the event loop, durable names, and one word for "full"."""

import errno
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import trio

T = TypeVar("T")


class RunSync(Protocol):
    """Calls a blocking function and gives its result: in a thread, or inline where time is simulated.

    It must not abandon the function when it is cancelled: what was begun on disk is finished there.
    """

    def __call__(self, function: Callable[..., T], /, *args: object) -> Awaitable[T]: ...


async def in_thread(function: Callable[..., T], /, *args: object) -> T:
    """The real `RunSync`."""
    return await trio.to_thread.run_sync(function, *args)


class StorageFull(Exception):
    """The disk, or our share of it, has no room for this; nothing of it was kept."""


@contextmanager
def telling_full() -> Iterator[None]:
    """Turn the operating system's ways to say "full" into `StorageFull`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull(str(error)) from error
        raise


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power loss."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def write_all(file: int, data: bytes, offset: int) -> None:
    """`pwrite` until everything is written."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def read_piece(path: Path, offset: int, length: int) -> bytes:
    """Up to `length` bytes from `offset`; fewer only at the end of the file."""
    with path.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), length, offset)
