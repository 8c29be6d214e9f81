"""A real Podman that speaks the Docker Engine API on a socket of its own, with a tiny image made here.

Nothing is pulled: the image is Debian's static busybox under the names of its programs.
"""

import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

SKIPPED = "there is no Podman here"
IMAGE = "localhost/terzetto-test:1"
BUSYBOX = Path("/bin/busybox")
PROGRAMS = [
    "sh",
    "echo",
    "cat",
    "sleep",
    "httpd",
    "true",
    "false",
    "ls",
    "id",
    "tr",
    "mkdir",
    "head",
    "touch",
    "seq",
    "kill",
    "wc",
    "yes",
    "dd",
    "env",
]
SECONDS = 60.0
# What works without rights over limits, and under control groups of either kind.
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class Podman:
    """One service; `url` is what a worker's `--engine` takes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = directory / "podman.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"
        (directory / "containers.conf").write_text(CONTAINERS_CONF)

    def run(self, *arguments: str, image: bool = False) -> str:
        """A command of Podman's, to its end; it may be given our image's files."""
        stdin = _image() if image else b""
        done = subprocess.run(
            self._argv(arguments), input=stdin, env=self._environ, cwd=self._directory, capture_output=True
        )
        if done.returncode:
            raise OSError(f"podman {arguments[0]}: {done.stderr.decode()}")
        return done.stdout.decode().strip()

    def containers(self) -> list[str]:
        """The names of all there are, running or not."""
        return self.run("ps", "--all", "--format", "{{.Names}}").split()

    def serve(self) -> None:
        """Answer on the socket from now on."""
        argv = self._argv(("system", "service", "--time=0", self.url))
        with (self._directory / "service.log").open("ab") as log:
            # What looks after a container leaves a file named oom where Podman runs, if its memory ran out.
            self._process = subprocess.Popen(
                argv,
                env=self._environ,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + SECONDS
        while not self._socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise OSError((self._directory / "service.log").read_text())
            time.sleep(0.02)  # it says nothing when it is ready

    def kill(self) -> None:
        """SIGKILL to the service; its containers go on, as they do under any engine that is killed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(SECONDS)
        self._socket.unlink(missing_ok=True)

    def close(self) -> None:
        self.kill()
        self.run("rm", "--all", "--force", "--time", "0")

    @property
    def _environ(self) -> dict[str, str]:
        return {**os.environ, "CONTAINERS_CONF": str(self._directory / "containers.conf")}

    def _argv(self, arguments: Sequence[str]) -> list[str]:
        places = ["--root", f"{self._directory}/store", "--runroot", f"{self._directory}/run"]
        return ["podman", *places, "--storage-driver", "vfs", *arguments]


@contextmanager
def service() -> Iterator[Podman]:
    """A service with the image `IMAGE`; the test is skipped where there can be none."""
    if not (shutil.which("podman") and shutil.which("runc") and BUSYBOX.exists()):
        pytest.skip(SKIPPED)
    # Podman wants the names of its directories to be short, which pytest's own are not; and containers' own
    # cleaners may still write there when all is over.
    with TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as directory:
        podman = Podman(Path(directory))
        podman.run("import", "-", IMAGE, image=True)
        _require_rights(podman)
        podman.serve()
        try:
            yield podman
        finally:
            podman.close()


def _require_rights(podman: Podman) -> None:
    try:
        podman.run("run", "--rm", "--network", "none", IMAGE, "true")
    except OSError as error:
        if not any(word in str(error).lower() for word in ("not permitted", "permission denied")):
            raise
        pytest.skip(f"{SKIPPED}: {error}")


def _image() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("bin", "tmp", "etc"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(directory)
        tar.add(BUSYBOX.resolve(), "bin/busybox")
        for program in PROGRAMS:
            link = tarfile.TarInfo(f"bin/{program}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return packed.getvalue()
