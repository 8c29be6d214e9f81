"""How a server verb lives: one ready line on stdout, a stop by signal that always comes to an end.

The first SIGTERM or SIGINT asks the server to stop, and is a success; a second one, or ten seconds, ends
it whatever it is doing. A worker that `up` started also stops when its stdin ends, so that no child
outlives a parent that was killed.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import structlog
import trio

from clients.cli import errors, logs
from clients.cli.exits import Exit

# The promise is ten seconds; what is left is for the interpreter to end.
STOP_SECONDS = 9.0
SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger()


class Server(Protocol):
    """Serves until `stop` is set; reports its URL once it can."""

    def __call__(self, *, stop: trio.Event, task_status: trio.TaskStatus[str]) -> Awaitable[None]: ...


def run(server: Server, *, log_level: str, until_eof: bool = False) -> int:
    """Serve in this process until a signal; returns the exit code."""
    logs.configure(log_level)
    try:
        return trio.run(partial(serve, server, until_eof=until_eof))
    except BaseException as error:
        if errors.is_bug(error):
            log.critical("the server failed", exc_info=error)
        raise


async def serve(
    server: Server, *, until_eof: bool = False, announce: Callable[[str], None] | None = None
) -> int:
    """Run the server, announce its URL, stop it when told to; returns the exit code."""
    stop = trio.Event()
    lifetime = Lifetime(stop)
    async with trio.open_nursery() as nursery:
        lifetime.scope = nursery.cancel_scope
        await nursery.start(lifetime.heed_signals)
        if until_eof:
            nursery.start_soon(lifetime.heed_eof)
        async with trio.open_nursery() as services:
            try:
                (announce or say_ready)(await services.start(partial(server, stop=stop)))
            except RuntimeError:
                if not stop.is_set():  # else it was stopped before it could serve
                    raise
        lifetime.has_ended = True
        lifetime.scope.cancel()
    if not lifetime.has_ended:
        log.warning("ended before everything was closed")
    return lifetime.exit if stop.is_set() else Exit.INFRASTRUCTURE


def say_ready(url: str) -> None:
    """The one line on stdout: whoever waits for it can connect now."""
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()


class Lifetime:
    """Turns signals into a stop, and impatience into an end."""

    def __init__(self, stop: trio.Event) -> None:
        self.exit: int = Exit.OK
        self.has_ended = False
        self.scope = trio.CancelScope()
        self._stop = stop

    async def heed_signals(self, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(*SIGNALS) as received:
            task_status.started()
            async for number in received:
                if self._stop.is_set():
                    log.warning("stopping at once", signal=signal.Signals(number).name)
                    self.exit = 128 + number
                    self.scope.cancel()
                    return
                self._ask_to_stop(signal.Signals(number).name)

    async def heed_eof(self) -> None:
        """Whoever holds the other end of our stdin answers for us; when they are gone, we go."""
        async with trio.lowlevel.FdStream(os.dup(0)) as stdin:
            async for _ in stdin:
                pass
        if not self._stop.is_set():
            self._ask_to_stop("the end of stdin")

    def _ask_to_stop(self, why: str) -> None:
        log.info("stopping", why=why)
        self._stop.set()
        self.scope.deadline = trio.current_time() + STOP_SECONDS
