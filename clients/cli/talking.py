"""How a client verb lives: one coordinator, one event loop, and signals that end it with their exit code."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from clients import wire
from clients.cli import errors, logs
from clients.cli.api import Api
from clients.cli.version import version

T = TypeVar("T")


class Signalled(Exception):
    """The user, or the system, ended the verb."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit = 128 + number


def run(
    verb: Callable[[Api], Awaitable[int]], *, coordinator: str, log_level: str, signals: bool = True
) -> int:
    """Run a verb; returns its exit code, or the signal's that ended it.

    A verb that has something to say to signals heeds them itself: `signals` is then False.
    """

    async def main() -> int:
        async with connected(coordinator) as api, trio.open_nursery() as nursery:
            if signals:
                await nursery.start(_raise_on_signal)
            code = await verb(api)
            nursery.cancel_scope.cancel()
        return code

    logs.configure(log_level)
    try:
        return trio.run(main)
    except BaseExceptionGroup as group:
        signalled = [error for error in errors.leaves(group) if isinstance(error, Signalled)]
        if not signalled:
            raise
        return signalled[0].exit


@asynccontextmanager
async def connected(coordinator: str) -> AsyncIterator[Api]:
    """The coordinator at this URL; nothing is sent yet. Raises `Failure` for what is no URL."""
    try:
        client = wire.Client(coordinator, headers=[("user-agent", f"terzetto/{version()}")])
    except ValueError as error:
        raise errors.usage(str(error), fix="write it like http://127.0.0.1:8470") from error
    try:
        yield Api(client)
    finally:
        await client.aclose()


async def until_signal() -> None:
    """Wait for the user, as long as it takes, to end this."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        async for _ in received:
            return


async def _raise_on_signal(*, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        task_status.started()
        async for number in received:
            raise Signalled(number)
