"""strace, which lets the kernel do to one process what disks and fate do to all: at the n-th call."""

import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.crash.cradle import Life
from tests.e2e.processes import LEASH, SECONDS

SYNCS = ("fsync", "fdatasync")
WRITES = ("write", "pwrite64", "ftruncate")
_STRACE = (*LEASH, "strace", "-f", "-qq", "-y")
# Thread, call, and the path of the file that is its first argument.
_CALL = re.compile(r"(\d+) +(\w+)\(\d+<([^>]+)>")


class Call(NamedTuple):
    """A call that somebody made for a file: the `number`-th of this name, by this thread, for this path."""

    name: str
    path: Path
    number: int


class Trace:
    """What strace says of a life that waits for it."""

    def __init__(self, life: Life, *words: str | Path) -> None:
        self._file = life.stderr.with_suffix(".trace")
        command = [*_STRACE, "-o", self._file, *words, "-p", str(life.pid)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def calls(self) -> list[Call]:
        """Every call so far, in order."""
        calls, numbers = list[Call](), Counter[tuple[str, ...]]()
        for line in self._file.read_text().splitlines():
            if match := _CALL.match(line):
                numbers[match.groups()] += 1
                calls.append(Call(match[2], Path(match[3]), numbers[match.groups()]))
        return calls

    def detach(self) -> None:
        """Let the process go on by itself; if it has ended, so has this."""
        self._process.terminate()
        self._process.wait(SECONDS)


def only(*names: str) -> tuple[str, ...]:
    """For a trace of these calls."""
    return ("-e", f"trace={','.join(names)}")


def fault(call: Call, what: str) -> tuple[str | Path, ...]:
    """For a trace that sees calls like this one and lets `what`, in strace's words, become of this one."""
    return ("-P", call.path, *only(call.name), "-e", f"inject={call.name}:{what}:when={call.number}")


@cache
def may_trace() -> bool:
    """Is strace here, and may it?"""
    try:
        return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
