"""The few things a worker asks of its disk that the standard library does not do as it needs them."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

log = structlog.get_logger()

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Locked(Exception):
    """Another worker is at work in this directory."""


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold `directory` for this process alone; made if need be. Raises Locked, OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Locked(f"{directory} is in use by process {file.read().strip() or 'unknown'}") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def boot_id() -> str:
    """A name for the time since the machine was started."""
    return BOOT_ID.read_text().strip()


def name_of(directory: Path, new_id: Callable[[int], str]) -> str:
    """A name for `directory`, the same for as long as it lasts. Blocks."""
    file = directory / "name"
    if not file.exists():
        draft = file.with_suffix(".new")
        draft.write_text(new_id(16))
        draft.rename(file)
    return file.read_text()


def delete(path: Path) -> None:
    """Remove a file or a directory tree, even one that a job made hard to remove; never follows links.

    What resists all the same stays, with a line in the log: nobody can do more about it than that. Blocks.
    """
    try:
        try:
            _remove(path)
        except PermissionError:
            _unlock(path)
            _remove(path)
    except (OSError, RecursionError) as error:
        log.warning("cannot delete", path=str(path), error=str(error))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _unlock(top: Path) -> None:
    """Give back the rights on directories that their owner, the job, took away."""
    directories = [str(top)]
    while directories:
        directory = directories.pop()
        os.chmod(directory, 0o700, follow_symlinks=True)  # noqa: PTH101, a directory, as scandir saw it
        with os.scandir(directory) as entries:
            directories += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
