"""The same thing for many items, a few at a time."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import trio

T = TypeVar("T")


async def for_each(items: Iterable[T], act: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Await `act(item)` for every item; the first failure stops the others and is raised as it is."""
    queue = iter(items)
    failures: list[Exception] = []

    async def work(scope: trio.CancelScope) -> None:
        try:
            for item in queue:
                await act(item)
        except Exception as error:
            failures.append(error)
            scope.cancel()

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(work, nursery.cancel_scope)
    if failures:
        raise failures[0]
