"""Real processes for tests: started, signalled, waited for with a bound, and never left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import trio

from clients import wire

T = TypeVar("T")

# Bounds, not measurements: the machine may be busy with other things.
SECONDS = 60.0
LOOK_SECONDS = 0.05
# -P: a directory named like one of our packages, where the test happens to run, is not ours.
TERZETTO = (sys.executable, "-P", "-m", "clients.cli")
# Should the tests themselves be killed, the kernel kills what they have started.
LEASH = ("setpriv", "--pdeathsig", "KILL", "--")
TAIL_LINES = 60
# Our own looking, which would fill the end of every log.
LOOKING = '"method": "GET", "path": "/api/'


async def until(what: str, look: Callable[[], Awaitable[T | None]], *, seconds: float = SECONDS) -> T:
    """Look again and again until there is something to see, and return that; a restart is waited out."""
    seen: T | None = None
    with trio.move_on_after(seconds):
        while True:
            try:
                seen = await look()
            except wire.Unreachable:
                seen = None
            if seen:
                return seen
            await trio.sleep(LOOK_SECONDS)
    raise AssertionError(f"not within {seconds:g} s: {what}")


class Process:
    """One program with its output in files, `NAME.N.out` and `NAME.N.err` for its N-th life."""

    def __init__(
        self, name: str, argv: Sequence[str | Path], directory: Path, environ: dict[str, str]
    ) -> None:
        self.name = name
        self._argv = [str(word) for word in argv]
        self._directory = directory
        self._environ = environ
        self._lives = 0
        self._start()

    def _start(self) -> None:
        self._lives += 1
        with self._file("out").open("wb") as out, self._file("err").open("wb") as err:
            self._popen = subprocess.Popen(
                [*LEASH, *self._argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self._directory,
                env=self._environ,
                start_new_session=True,
            )

    def _file(self, stream: str) -> Path:
        return self._directory / f"{self.name}.{self._lives}.{stream}"

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it lives; minus the signal's number if one ended it."""
        return self._popen.poll()

    @property
    def stdout(self) -> str:
        return self._file("out").read_text()

    @property
    def stderr(self) -> str:
        return self._file("err").read_text()

    def signal(self, number: signal.Signals) -> None:
        """To this process alone: what becomes of its children is its own affair."""
        assert self.exit_code is None, f"{self.name} has ended with {self.exit_code}"
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def kill9(self) -> None:
        """SIGKILL; it is gone on return."""
        self.signal(signal.SIGKILL)
        self._popen.wait(SECONDS)

    async def ended(self, seconds: float = SECONDS) -> int:
        """The exit code; AssertionError if it goes on for so long."""

        async def look() -> tuple[int] | None:
            code = self.exit_code
            return None if code is None else (code,)

        return (await until(f"the end of {self.name}", look, seconds=seconds))[0]

    def revive(self) -> None:
        """Another life of the same program."""
        assert self.exit_code is not None, f"{self.name} still lives"
        self._start()

    def end(self) -> None:
        """See to it that neither it nor anything in its process group is left."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait(SECONDS)

    def tell(self) -> str:
        """The end of what it said, for whoever has to find out why a test failed."""
        parts = [f"--- {self.name} (process {self.pid}, exit code {self.exit_code})"]
        for life in range(1, self._lives + 1):
            for stream in ("out", "err"):
                text = (self._directory / f"{self.name}.{life}.{stream}").read_text("utf-8", "replace")
                lines = [line[:400] for line in text.splitlines() if LOOKING not in line]
                parts += [f"{life}.{stream}| {line}" for line in lines[-TAIL_LINES:]]
        return "\n".join(parts)


class Server(Process):
    """A process that says on its one line of stdout where it serves."""

    url = ""

    async def ready(self, seconds: float = SECONDS) -> None:
        """Return when it can be talked to, under `url`."""

        async def look() -> str | None:
            assert self.exit_code is None, f"{self.name} ended with {self.exit_code}: {self.stderr[-2000:]}"
            text = self.stdout
            return text.removeprefix("ready ").strip() if text.endswith("\n") else None

        self.url = await until(f"{self.name} being ready", look, seconds=seconds)

    async def restart(self) -> None:
        """Another life, with the same data and at the same port."""
        assert self.exit_code is not None, f"{self.name} still lives"
        address = self.url.removeprefix("http://").partition("/")[0]
        self._argv[self._argv.index("--bind") + 1] = address
        self._start()
        await self.ready()


def is_alive(pid: int) -> bool:
    """Does a process of this id run? One that has ended and waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pids: Sequence[int], *, seconds: float) -> None:
    """Wait until none of the processes is alive."""

    async def look() -> bool:
        return not any(map(is_alive, pids))

    await until(f"the end of {pids}", look, seconds=seconds)


def at_work_below(directory: Path) -> list[int]:
    """Processes whose current directory is in there: workers' jobs and those that mind them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and Path(entry / "cwd").readlink().is_relative_to(directory):
                found.append(int(entry.name))
        except OSError:
            pass  # it has ended meanwhile, or is none of our business
    return [pid for pid in found if is_alive(pid)]
