"""Files that are whole and durable before anybody sees their name."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_durably(path: Path, parts: Iterable[bytes]) -> None:
    """Make a file of `parts`: a draft that is synced, then renamed. A crash leaves all of it or nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(path.parent)


def beside(log: Path, what: str) -> Path:
    """The directory for what belongs to a log: each of several logs in one place has its own."""
    return log.with_name(what if log.name == "log.sqlite3" else f"{log.stem}.{what}")


def make_directory(path: Path) -> None:
    """With all that lead to it, each under a name that survives a power cut."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
