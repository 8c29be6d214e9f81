"""Tells the heartbeat loop that there is something to report."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio


class Bell:
    """Rung by whoever has news; heard once, by whoever waits or by an exchange that it breaks off."""

    def __init__(self) -> None:
        self._rung = trio.Event()
        self._on_ring: Callable[[], object] | None = None

    def ring(self) -> None:
        self._rung.set()
        if self._on_ring is not None:
            self._on_ring()

    def reset(self) -> None:
        """What it was rung for has been seen to."""
        self._rung = trio.Event()

    async def wait(self, seconds: float) -> None:
        """Until it is rung, or was since the last reset; for at most `seconds`."""
        with trio.move_on_after(seconds):
            await self._rung.wait()

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """What happens within ends quietly when it is rung, or was since the last reset."""
        with trio.CancelScope() as scope:
            self._on_ring = scope.cancel
            if self._rung.is_set():
                scope.cancel()
            try:
                yield
            finally:
                self._on_ring = None
