"""A real file system that is really full: a small tmpfs of the process's own, or the container's /dev/shm."""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from attrs import define

from tests.e2e.processes import Process

MEGABYTES = 24
SHM = Path("/dev/shm")
# Filling a larger one would fill the machine's memory.
SHM_BYTES_MAX = 256 << 20
PIECES = (1 << 20, 4096, 1)
_MOUNT = f'mount -t tmpfs -o size={MEGABYTES}m tmpfs "$0"; exec "$@"'
# In a user namespace everybody may mount, as long as the kernel and the container allow the namespace.
_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


@define
class TinyDisk:
    """`directory` is on the disk as `prefix` makes the process see it; `outside` is how we reach it."""

    directory: Path
    prefix: Sequence[str]
    outside: Path

    def seen_through(self, process: Process) -> None:
        """The disk is this process's own: reach it through the process."""
        if self.prefix:
            self.outside = Path(f"/proc/{process.pid}/root{self.directory}")

    def fill(self) -> None:
        """Leave not one byte free."""
        with (self.outside / "filler").open("ab", buffering=0) as filler:
            for size in PIECES:
                try:
                    while filler.write(bytes(size)):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        (self.outside / "filler").unlink()


@contextmanager
def tiny_disk(directory: Path) -> Iterator[TinyDisk | None]:
    """Such a disk; None where this machine offers none."""
    if _may_mount():
        directory.mkdir()
        yield TinyDisk(directory, (*_UNSHARE, "sh", "-ec", _MOUNT, str(directory)), directory)
    elif SHM.is_dir() and shutil.disk_usage(SHM).free <= SHM_BYTES_MAX and os.access(SHM, os.W_OK):
        with tempfile.TemporaryDirectory(dir=SHM, prefix="terzetto-e2e-") as name:
            yield TinyDisk(Path(name), (), Path(name))
    else:
        yield None


@cache
def _may_mount() -> bool:
    with tempfile.TemporaryDirectory() as name:
        tried = [*_UNSHARE, "sh", "-ec", _MOUNT, name, "true"]
        try:
            return subprocess.run(tried, stderr=subprocess.DEVNULL, check=False).returncode == 0
        except FileNotFoundError:
            return False
