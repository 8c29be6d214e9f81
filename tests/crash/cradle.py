"""Coordinators without the seconds that importing takes: a process that has imported all forks each of them.

What runs there is the command itself, `terzetto coordinator …`, in a process of its own with a log of its
own to lose. Killing it kills nobody else; it dies with the cradle, and the cradle with its tests.
"""

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import trio

from tests.e2e.processes import LEASH, SECONDS

MODULES = ("clients.cli.root", "clients.cli.coordinator", "clients.cli.serving", "coordinator.app")
MESSAGE_BYTES_MAX = 1 << 16
LOOK_SECONDS = 0.002
PR_SET_PDEATHSIG = 1
PR_SET_PTRACER = 0x59616D61
ROOT = Path(__file__).parent.parent.parent


class Life:
    """One coordinator's: `url` once it is ready; what it says goes to `stderr`."""

    url = ""

    def __init__(self, cradle: "Cradle", pid: int, stdout: int, stderr: Path) -> None:
        self.pid = pid
        self.stderr = stderr
        self._cradle = cradle
        self._stdout = trio.lowlevel.FdStream(stdout)
        self._end = os.pidfd_open(pid)
        self._exit_code: int | None = None

    async def ready(self) -> Self:
        """Return when it can be talked to; AssertionError if it never can."""
        assert await self.serves(), f"ended with {await self.ended()}: {self.stderr.read_text()[-2000:]}"
        return self

    async def serves(self) -> bool:
        """Wait until it can be talked to, or has ended before."""
        if self.url:
            return True
        line = b""
        with trio.fail_after(SECONDS):
            while not line.endswith(b"\n"):
                more = await self._stdout.receive_some()
                if not more:
                    return False
                line += more
        self.url = line.decode().removeprefix("ready ").strip()
        return True

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def ended(self, *, seconds: float = SECONDS) -> int:
        """Its exit code, minus the signal's number if one ended it."""
        if self._exit_code is None:
            with trio.fail_after(seconds):
                await trio.lowlevel.wait_readable(self._end)
            self._exit_code = self._cradle.ask({"wait": self.pid})
            os.close(self._end)
            await self._stdout.aclose()
        return self._exit_code

    async def kill9(self) -> None:
        """SIGKILL, if it still lives; it is gone on return."""
        if self._exit_code is None:
            self.signal(signal.SIGKILL)
            await self.ended()


class Cradle:
    """The tests' end of it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(SECONDS)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TERZETTO_")}
        self._connection = ours
        self._lives = 0
        self._process = subprocess.Popen(
            [*LEASH, sys.executable, "-m", "tests.crash.cradle", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=environ,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def coordinator(
        self,
        data: Path,
        *options: str,
        bind: str = "127.0.0.1:0",
        is_traced: bool = False,
        limits: Mapping[int, int] | None = None,
    ) -> Life:
        """Let one begin on `data`; one that is traced waits until it is. `limits`: of resources, soft."""
        self._lives += 1
        errors = data.with_name(f"{data.name}.{self._lives}.err")
        arguments = ["coordinator", "--bind", bind, "--data", str(data), *options]
        order = {"arguments": arguments, "is_traced": is_traced, "limits": list((limits or {}).items())}
        reading, writing = os.pipe()
        stderr = os.open(errors, os.O_WRONLY | os.O_CREAT)
        try:
            pid = self.ask(order, writing, stderr)
        finally:
            os.close(writing)
            os.close(stderr)
        return Life(self, pid, reading, errors)

    def ask(self, order: object, *files: int) -> int:
        """What the other end answers."""
        socket.send_fds(self._connection, [json.dumps(order).encode()], files)
        return int(self._connection.recv(MESSAGE_BYTES_MAX))

    def close(self) -> None:
        """With all that it started."""
        self._process.kill()
        self._process.wait(SECONDS)
        self._connection.close()


def main(descriptor: int) -> None:
    """The process's own end: fork and wait as told."""
    for name in MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    connection = socket.socket(fileno=descriptor)
    while True:
        message, files, _, _ = socket.recv_fds(connection, MESSAGE_BYTES_MAX, 2)
        if not message:
            return
        connection.send(b"%d" % _obey(json.loads(message), files))
        for file in files:
            os.close(file)


def _obey(order: dict[str, Any], files: list[int]) -> int:
    if "wait" in order:
        return os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
    pid = os.fork()
    if pid == 0:
        code = 1
        with suppress(BaseException):
            code = _live(order, files)
        os._exit(code)
    return pid


def _live(order: dict[str, Any], files: list[int]) -> int:
    from clients.cli.root import run

    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_PTRACER, ctypes.c_long(-1))  # some kernels let parents alone trace
    os.setsid()
    for target, file in enumerate(files, start=1):
        os.dup2(file, target)
    os.closerange(3, 256)
    for kind, value in order["limits"]:
        resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))
    while order["is_traced"] and "TracerPid:\t0" in Path("/proc/self/status").read_text():
        time.sleep(LOOK_SECONDS)
    with open(1, "w", closefd=False) as sys.stdout, open(2, "w", closefd=False) as sys.stderr:
        return run(order["arguments"])


if __name__ == "__main__":
    main(int(sys.argv[1]))
