"""The directory a job works in: laid out when something needs it, emptied when the job is over.

Each slot has one, so a job that needs nothing costs nothing: its commands run in a directory that exists
already and is found empty afterwards. Sources are *copied* in. A hard link would be six times as fast
(7 µs a file instead of 43), but a job that appends to a source would write into every later job's copy,
and read-only modes do not stop a worker that runs as root.
"""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from clients.archive import LIMITS, UnsafeArchive, survey
from clients.tarstream import check_path
from workers.disk import delete

COPY_BYTES = 1 << 30


class BadPath(Exception):
    """A path that a job names leads out of its workspace; the text is the job's error."""


class Workspace:
    """One slot's directory: `source` holds a job's inputs, `output` becomes its artifact."""

    def __init__(self, root: Path, trash: Path) -> None:
        self.root = root
        self.source = root / "source"
        self.output = root / "output"
        self._trash = trash
        self._numbers = itertools.count()
        root.parent.mkdir(parents=True, exist_ok=True)
        self.clear()

    def lay_out(self, sources: Sequence[tuple[Path, str]], *, source: bool, output: bool) -> None:
        """Make the directories asked for and copy each (file, path below `source`) in.

        Raises BadPath, OSError. Blocks.
        """
        if source or sources:
            self.source.mkdir()
        if output:
            self.output.mkdir()
        made: set[Path] = set()
        for file, path in sources:
            target = self.source / _checked(path)
            try:
                if target.parent not in made:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    made.add(target.parent)
                copy(file, target)
            except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
                raise BadPath(f"two sources for one path: {path}") from error

    def working_directory(self, path: str, readable: Sequence[str]) -> Path:
        """Where a command runs: inside the workspace or a dependency's artifact. Raises BadPath."""
        default = self.source if self.source.is_dir() else self.root
        if not path:
            return default
        directory = default / path
        if not any(_is_inside(directory, root) for root in (self.root, *map(Path, readable))):
            raise BadPath(f"working directory {path} is outside the job's workspace")
        return directory

    def write(self, path: str, cwd: Path, contents: bytes) -> None:
        """Write a file inside the workspace. Raises BadPath, OSError. Blocks."""
        if not _is_inside((cwd / path).parent, self.root):
            raise BadPath(f"{path} is outside the job's workspace")
        write_file(path, cwd, contents)

    def take_output(self) -> tuple[Path | None, int]:
        """The finished artifact's directory and its size in bytes; no directory if it is empty.

        Raises UnsafeArchive when something in it could not be sent to others. Blocks.
        """
        if not self.output.is_dir():
            return None, 0
        if self.output.is_symlink():
            raise UnsafeArchive("the job has put a link in place of its output directory")
        entries, size = survey(self.output, limits=LIMITS)
        return (self.output, size) if entries else (None, 0)

    @property
    def is_clean(self) -> bool:
        try:
            with os.scandir(self.root) as entries:
                return next(entries, None) is None
        except OSError:
            return False

    def clear(self) -> None:
        """Make it as new, whatever the job has done to it. Blocks."""
        delete(self.root)
        if os.path.lexists(self.root):  # something resists: it must not be found by the next job
            self.root.rename(self._trash / f"{self.root.name}.{os.getpid()}.{next(self._numbers)}")
        self.root.mkdir()


def write_file(path: str, cwd: Path, contents: bytes) -> None:
    """Write a file, not through a link and not into a pipe that nobody reads. Raises OSError. Blocks."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(cwd / path, flags, 0o666), "wb") as file:
        file.write(contents)


def copy(source: Path, target: Path) -> None:
    """A copy with the same mode, sharing blocks where the file system can. Raises FileExistsError."""
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        mode = 0o755 if os.fstat(reader).st_mode & 0o100 else 0o644
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writer = os.open(target, flags, mode)
        try:
            while os.copy_file_range(reader, writer, COPY_BYTES):
                pass
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _checked(path: str) -> Path:
    try:
        return Path(os.fsdecode(check_path(path.encode(), LIMITS)))
    except UnsafeArchive as error:
        raise BadPath(f"source {path}: {error}") from error


def _is_inside(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())
