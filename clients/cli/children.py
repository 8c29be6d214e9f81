"""Servers as child processes: started, heard to be ready, and never left behind.

A child holds the read end of a pipe as its stdin and stops when that ends, so it lives no longer than
its parent, even one that is killed. It is its own session: a terminal's Ctrl-C is for the parent, which
then stops its children in order.
"""

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from typing import BinaryIO

import trio

from clients.cli import exits
from clients.cli.exits import Failure

READY = b"ready "


async def start(
    nursery: trio.Nursery,
    verb: Sequence[str],
    *,
    stop_seconds: float,
    stderr: BinaryIO | None = None,
) -> trio.Process:
    """Run `terzetto` with these arguments until the nursery is cancelled: then SIGTERM, later SIGKILL."""
    process: trio.Process = await nursery.start(
        partial(
            trio.run_process,
            # -P: a directory named like one of our packages, where the user happens to be, is not ours.
            [sys.executable, "-P", "-m", "clients.cli", *verb, "--until-eof"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            check=False,
            deliver_cancel=partial(_stop, stop_seconds),
            start_new_session=True,
        )
    )
    return process


async def await_ready(process: trio.Process, name: str, *, seconds: float, fix: str = "") -> str:
    """The URL of the child's ready line. Raises `Failure` if it does not come in time."""
    assert process.stdout is not None, "it is piped"
    said = b""
    with trio.move_on_after(seconds):
        while b"\n" not in said and (chunk := await process.stdout.receive_some(4096)):
            said += chunk
    line, newline, _ = said.partition(b"\n")
    if not newline or not line.startswith(READY):
        raise Failure(exits.CHILD_ENDED, f"{name} did not get ready", fix=fix)
    return line.removeprefix(READY).decode()


async def drain(process: trio.Process) -> None:
    """Read on: a child promised to print no more, but should it, it must not block on that."""
    assert process.stdout is not None, "it is piped"
    async for _ in process.stdout:
        pass


async def _stop(seconds: float, process: trio.Process) -> None:
    process.terminate()
    await trio.sleep(seconds)
    process.kill()
