"""The process that starts one slot's commands, so that nothing of a job can outlive it.

One reaper stands beside the worker for each slot. It is the subreaper of whatever it starts: a process
that forked twice and left its session still becomes the reaper's child, and since a slot runs one job
at a time, every child left at the end of a job is that job's and is killed. When the worker itself
dies, even by SIGKILL, its end of the socket closes and the reaper takes its children along.

Spawning blocks for half a millisecond; here it blocks nobody else. The file is run as a script without
site-packages to start in a few milliseconds, so it imports the standard library only.

Frames on the socket are a little-endian length and a marshalled tuple.
From the worker: ("run", argv, environ, cwd), ("kill",), ("clean",).
To the worker:   ("output", stdout, stderr), ("ended", wait status, stdout, stderr, is alone),
                 ("failed", reason), ("cleaned", is alone).
"""

import contextlib
import ctypes
import marshal
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
LENGTH = struct.Struct("<I")
READ_BYTES = 1 << 16
# Output goes to the worker when there is so much of it, or when it has waited for so long.
SEND_BYTES = 1 << 16
SEND_SECONDS = 0.05
# How long the end of a command waits for the ends of its pipes, when something else holds them open.
# (Go's exec.Cmd would wait for ever unless it is given a WaitDelay.)
LINGER_SECONDS = 0.5
KILL_SECONDS = 2.0


class WorkerGone(Exception):
    """The socket has ended: there is nobody left to run anything for."""


class Channel:
    """The socket to the worker."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._received = bytearray()

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def has_more(self) -> bool:
        """Has something been received that nobody has looked at yet?"""
        return bool(self._received)

    def receive(self) -> Any:
        while True:
            if len(self._received) >= LENGTH.size:
                end = LENGTH.size + LENGTH.unpack_from(self._received)[0]
                if len(self._received) >= end:
                    message = marshal.loads(self._received[LENGTH.size : end])  # noqa: S302, only the worker writes here
                    del self._received[:end]
                    return message
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise WorkerGone
            self._received += data

    def send(self, *message: Any) -> None:
        payload = marshal.dumps(message)
        try:
            self._socket.sendall(LENGTH.pack(len(payload)) + payload)
        except OSError as error:
            raise WorkerGone from error


class Command:
    """A started process and the two pipes it writes to."""

    def __init__(self, argv: list[bytes], environ: dict[bytes, bytes], stdin: int) -> None:
        program = find_program(argv[0])
        stdout, stdout_end = os.pipe()
        stderr, stderr_end = os.pipe()
        self.pipes = [stdout, stderr]
        try:
            self.pid = os.posix_spawn(
                program,
                argv,
                environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, stdin, 0),
                    (os.POSIX_SPAWN_DUP2, stdout_end, 1),
                    (os.POSIX_SPAWN_DUP2, stderr_end, 2),
                ],
                setsid=True,
                # Python ignores these; a program expects them as the kernel has them.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
            )
        except BaseException:
            self.close()
            raise
        finally:
            os.close(stdout_end)
            os.close(stderr_end)
        self.output = (bytearray(), bytearray())
        self.status: int | None = None

    def read(self, pipe: int) -> bool:
        """Take what the pipe holds; False at its end."""
        data = os.read(pipe, READ_BYTES)
        self.output[self.pipes.index(pipe)].extend(data)
        return bool(data)

    @property
    def has_output(self) -> bool:
        return bool(self.output[0] or self.output[1])

    @property
    def has_much_output(self) -> bool:
        return len(self.output[0]) + len(self.output[1]) >= SEND_BYTES

    def take_output(self) -> tuple[bytes, bytes]:
        taken = bytes(self.output[0]), bytes(self.output[1])
        self.output[0].clear()
        self.output[1].clear()
        return taken

    def close(self) -> None:
        for pipe in self.pipes:
            os.close(pipe)


class Reaper:
    """Runs one command at a time and answers for every process that comes of it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._null = os.open(os.devnull, os.O_RDWR)

    def serve(self) -> None:
        while True:
            match self._channel.receive():
                case ("run", argv, environ, cwd):
                    self._run(argv, environ, cwd)
                case ("kill",):
                    pass  # it was on its way when the command ended by itself
                case ("clean",):
                    self._channel.send("cleaned", self.kill_all(None))
                case message:
                    raise AssertionError(f"the worker says {message!r}")

    def _run(self, argv: list[bytes], environ: dict[bytes, bytes], cwd: bytes) -> None:
        try:
            os.chdir(cwd)
            command = Command(argv, environ, self._null)
        except OSError as error:
            self._channel.send("failed", describe(error, argv[0], cwd))
            return
        except ValueError as error:
            self._channel.send("failed", f"exec: {error}")
            return
        try:
            self._watch(command)
        finally:
            command.close()
        self._channel.send("ended", command.status, *command.take_output(), not reap(command))

    def _watch(self, command: Command) -> None:
        """Until the process has ended and its pipes too, or have been left open for long enough."""
        ending = os.pidfd_open(command.pid)
        try:
            poll = select.poll()
            for readable in (ending, self._channel.fileno(), *command.pipes):
                poll.register(readable, select.POLLIN)
            self._watch_until_end(command, poll, ending)
        finally:
            os.close(ending)

    def _watch_until_end(self, command: Command, poll: select.poll, ending: int) -> None:
        open_pipes = set(command.pipes)
        now = sent = time.monotonic()
        give_up = None
        while command.status is None or (open_pipes and (give_up is None or now < give_up)):
            if command.status is not None and give_up is None:
                give_up = now + LINGER_SECONDS
            for readable in self._ready(command, poll):
                if readable == ending:
                    poll.unregister(ending)
                    reap(command)
                elif readable in open_pipes:
                    if not command.read(readable):
                        poll.unregister(readable)
                        open_pipes.remove(readable)
                elif self._channel.receive() == ("kill",):
                    self.kill_all(command)
            now = time.monotonic()
            if command.has_output and (command.has_much_output or now - sent > SEND_SECONDS):
                self._channel.send("output", *command.take_output())
                sent = now

    def _ready(self, command: Command, poll: select.poll) -> list[int]:
        if self._channel.has_more:
            return [self._channel.fileno()]
        hurry = command.status is not None or command.has_output
        return [readable for readable, _ in poll.poll(SEND_SECONDS * 1000 if hurry else None)]

    def kill_all(self, command: Command | None) -> bool:
        """Kill until no child is left; False if some cannot be killed (a disk that does not answer)."""
        give_up = time.monotonic() + KILL_SECONDS
        pause = 0.0005
        while reap(command):
            if time.monotonic() > give_up:
                return False
            for pid in children():
                kill(pid)
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
        return True


def reap(command: Command | None) -> bool:
    """Collect whoever has ended, noting the command's own status; is any child left?"""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        if command is not None and pid == command.pid:
            command.status = status


def kill(pid: int) -> None:
    """Kill a child and its process group: a group dies at once, so a fork bomb cannot outrun it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        group = os.getpgid(pid)
        if group != os.getpgid(0):
            os.killpg(group, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)


def children() -> list[int]:
    """Pids of our children, adopted ones included."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as listing:  # noqa: PTH123, pathlib starts slowly
            return [int(pid) for pid in listing.read().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
        return [pid for pid in pids if parent(pid) == os.getpid()]


def parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            # "pid (name) state ppid …", and the name may hold anything.
            return int(file.read().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def find_program(name: bytes) -> bytes:
    """As Go's exec.LookPath: the worker's own PATH, never the current directory. Raises ValueError."""
    if not name:
        raise ValueError("no command")
    if b"/" in name:
        return name
    for directory in os.environb.get(b"PATH", b"").split(b":"):
        path = directory + b"/" + name
        if directory.startswith(b"/") and os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            return path
    raise ValueError(f'"{os.fsdecode(name)}": executable file not found in $PATH')


def describe(error: OSError, program: bytes, cwd: bytes) -> str:
    """The words Go uses, which clients of the protocol know."""
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    if error.filename in (cwd, os.fsdecode(cwd)):
        return f"chdir {os.fsdecode(cwd)}: {reason}"
    return f"fork/exec {os.fsdecode(program)}: {reason}"


def offer_to_the_oom_killer() -> None:
    """Where memory runs out, a job is to go, not the worker."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("500")


def become_subreaper() -> None:
    """Orphans among our descendants become our children instead of init's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    become_subreaper()
    offer_to_the_oom_killer()
    reaper = Reaper(Channel(connection))
    try:
        reaper.serve()
    except WorkerGone:
        reaper.kill_all(None)


if __name__ == "__main__":
    main()
