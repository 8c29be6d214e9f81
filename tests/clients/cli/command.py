"""Runs the real command as a process of its own, against whatever coordinator a test has."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import trio

ARGV = [sys.executable, "-m", "clients.cli"]


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


def environ(url: str = "", **more: str) -> dict[str, str]:
    """Our environment without what the command heeds."""
    heeded = ("CI", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in heeded and not name.startswith("TERZETTO_")
    }
    return {**kept, "PYTHONUTF8": "1", **({"TERZETTO_COORDINATOR": url} if url else {}), **more}


async def kill(process: trio.Process) -> None:
    """Whoever is not waited for any longer ends at once, whatever signals mean to him."""
    process.kill()


async def terzetto(
    *arguments: str | Path,
    url: str = "",
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Done:
    """Run it to its end, for a minute at most."""
    with trio.fail_after(60):
        done = await trio.run_process(
            [*ARGV, *map(str, arguments)],
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            deliver_cancel=kill,
            cwd=cwd,
            env={**environ(url), **(env or {})},
        )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())
