"""The worker's end of a reaper: run one command and know how it ended, whatever interrupts us.

Cancelling `Commands.run` kills the command with everything it started, and returns only when that is
done, or when its reaper has been given up together with the socket that keeps it alive.
"""

import contextlib
import marshal
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import structlog
import trio
from attrs import frozen

from workers.reaper import LENGTH

log = structlog.get_logger()

SCRIPT = Path(__file__).with_name("reaper.py")
RECEIVE_BYTES = 256 << 10
# The reaper tries to kill for two seconds; then it is itself beyond help.
KILL_SECONDS = 2.5

OnOutput = Callable[[bytes, bytes], None]


class NotStarted(Exception):
    """The command could not be started; the text is what Go would say."""


class ReaperLost(Exception):
    """The reaper ended or stopped answering: what it ran is being killed, how it ended is not known."""


@frozen(kw_only=True)
class Ended:
    """How a command ended: its exit code, or the signal that killed it; `note` says more of a failure."""

    exit_code: int
    signal: int | None = None
    note: str = ""

    @classmethod
    def from_wait_status(cls, status: int) -> Self:
        if os.WIFSIGNALED(status):
            return cls(exit_code=-1, signal=os.WTERMSIG(status))
        return cls(exit_code=os.WEXITSTATUS(status))

    @property
    def error(self) -> str | None:
        """What Go's `os.ProcessState` says of it; None if it succeeded."""
        if self.signal is not None:
            return f"signal: {SIGNAL_NAMES.get(self.signal, f'signal {self.signal}')}"
        more = f" ({self.note})" if self.note else ""
        return f"exit status {self.exit_code}{more}" if self.exit_code else None


# As Go prints them.
SIGNAL_NAMES: dict[int, str] = {
    signal.SIGHUP: "hangup",
    signal.SIGINT: "interrupt",
    signal.SIGQUIT: "quit",
    signal.SIGILL: "illegal instruction",
    signal.SIGTRAP: "trace/breakpoint trap",
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGKILL: "killed",
    signal.SIGUSR1: "user defined signal 1",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGUSR2: "user defined signal 2",
    signal.SIGPIPE: "broken pipe",
    signal.SIGALRM: "alarm clock",
    signal.SIGTERM: "terminated",
}


class Runner(Protocol):
    """Runs one command at a time; see `Commands` for what each method owes."""

    @property
    def is_alone(self) -> bool: ...

    async def run(
        self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path, on_output: OnOutput
    ) -> Ended: ...

    async def clean(self) -> None: ...

    async def aclose(self) -> None: ...


class Commands:
    """Runs one command at a time through a reaper of its own, which it starts when first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._stream: trio.SocketStream | None = None
        self._received = bytearray()
        # False as soon as a command has left processes behind.
        self.is_alone = True

    async def run(
        self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path, on_output: OnOutput
    ) -> Ended:
        """Run `argv` with exactly `environ` in `cwd`; `on_output` gets stdout and stderr as they come.

        Raises NotStarted, ReaperLost.
        """
        request = (
            "run",
            [_bytes(argument) for argument in argv],
            {_bytes(name): _bytes(value) for name, value in environ.items()},
            os.fsencode(cwd),
        )
        try:
            await self._send(*request)
            return await self._ended(on_output)
        except trio.Cancelled:
            await self._kill(on_output)
            raise

    async def clean(self) -> None:
        """Kill whatever the commands since the last call have left running. Raises ReaperLost."""
        if self._stream is None or self.is_alone:
            return
        with trio.CancelScope(shield=True, deadline=trio.current_time() + KILL_SECONDS):
            await self._send("clean")
            while (message := await self._receive())[0] != "cleaned":
                pass
            self.is_alone = message[1]
        if not self.is_alone:
            await self.aclose()
            raise ReaperLost("the job left processes that cannot be killed")

    async def aclose(self) -> None:
        """Let the reaper go: it kills its children and ends; waits for that, but not for long."""
        stream, self._stream = self._stream, None
        process, self._process = self._process, None
        self._received.clear()
        self.is_alone = True
        if stream is not None:
            await trio.aclose_forcefully(stream)
        if process is not None:
            await _reap(process)

    async def _kill(self, on_output: OnOutput) -> None:
        if self._stream is None:
            return
        with (
            trio.CancelScope(shield=True, deadline=trio.current_time() + KILL_SECONDS) as scope,
            # What could not even be started needs no killing.
            contextlib.suppress(NotStarted, ReaperLost),
        ):
            await self._send("kill")
            await self._ended(on_output)
        if scope.cancelled_caught:
            log.error("a command resists being killed", reaper=self._process and self._process.pid)
            await self.aclose()

    async def _ended(self, on_output: OnOutput) -> Ended:
        while True:
            match await self._receive():
                case ("output", stdout, stderr):
                    on_output(stdout, stderr)
                case ("ended", status, stdout, stderr, is_alone):
                    on_output(stdout, stderr)
                    self.is_alone = self.is_alone and is_alone
                    return Ended.from_wait_status(status)
                case ("failed", reason):
                    raise NotStarted(reason)
                case message:
                    raise AssertionError(f"the reaper says {message!r}")

    async def _send(self, *message: Any) -> None:
        payload = marshal.dumps(message)
        try:
            if self._process is not None and self._process.poll() is not None:
                await self.aclose()
            stream = self._stream or self._start()
            await stream.send_all(LENGTH.pack(len(payload)) + payload)
        except trio.BrokenResourceError as error:
            await self.aclose()
            raise ReaperLost("the reaper has ended") from error
        except trio.Cancelled:
            # Half a message may be out: nothing sensible can follow it.
            await self.aclose()
            raise

    async def _receive(self) -> Any:
        if self._stream is None:
            raise ReaperLost("the reaper has ended")
        while True:
            if len(self._received) >= LENGTH.size:
                end = LENGTH.size + LENGTH.unpack_from(self._received)[0]
                if len(self._received) >= end:
                    message = marshal.loads(self._received[LENGTH.size : end])  # noqa: S302, our own process writes it
                    del self._received[:end]
                    return message
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES)
            except trio.BrokenResourceError:
                data = b""
            if not data:
                await self.aclose()
                raise ReaperLost("the reaper has ended")
            self._received += data

    def _start(self) -> trio.SocketStream:
        ours, theirs = socket.socketpair()
        with theirs:
            # Not in our session: an interrupt typed at the terminal is the worker's to handle.
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", str(SCRIPT), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        return self._stream


async def _reap(process: subprocess.Popen[bytes]) -> None:
    ending = os.pidfd_open(process.pid)
    try:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + KILL_SECONDS):
            await trio.lowlevel.wait_readable(ending)
            process.wait()
    finally:
        os.close(ending)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
