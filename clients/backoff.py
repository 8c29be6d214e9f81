"""How long to wait before trying again, and when to stop trying."""

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from clients import wire

T = TypeVar("T")

FIRST_SECONDS = 0.25
LAST_SECONDS = 10.0
# The server, or what stands before it, is overloaded or about to come back.
TRANSIENT = frozenset({429, 502, 503, 504})
# Space on the coordinator's disk comes back as well. Whoever only begins had better be told; what is under
# way is worth waiting for.
TRANSIENT_UNDER_WAY = TRANSIENT | {507}


class Backoff:
    """Delays that double from a quarter of a second to ten, each shortened at random.

    The randomness keeps a thousand peers that lost the same server from coming back as one. `seconds` is
    how long an outage may last before it is given up; it begins with the first failure after `reset`.
    """

    def __init__(self, chance: random.Random, *, seconds: float) -> None:
        self.attempts = 0
        self._chance = chance
        self._seconds = seconds
        self._began = 0.0

    def reset(self) -> None:
        """It works again."""
        self.attempts = 0

    def next_delay(self, now: float) -> float | None:
        """Seconds until the next attempt after a failure at `now`; None when it is to be given up."""
        if not self.attempts:
            self._began = now
        delay = min(LAST_SECONDS, FIRST_SECONDS * 2 ** min(self.attempts, 16))
        delay *= self._chance.uniform(0.5, 1.0)
        self.attempts += 1
        return delay if now + delay - self._began <= self._seconds else None


async def persist(
    attempt: Callable[[], Awaitable[T]],
    *,
    chance: random.Random,
    seconds: float,
    on_retry: Callable[[Exception, float], None] = lambda _error, _delay: None,
    transient: frozenset[int] = TRANSIENT,
) -> T:
    """Repeat a harmless request while the server is unreachable or answers with a `transient` status.

    Raises the last error, `Unreachable` or `Refused`, once the outage has lasted `seconds`.
    """
    backoff = Backoff(chance, seconds=seconds)
    while True:
        error: Exception
        try:
            return await attempt()
        except wire.Unreachable as unreachable:
            error = unreachable
        except wire.Refused as refusal:
            if refusal.status not in transient:
                raise
            error = refusal
        delay = backoff.next_delay(trio.current_time())
        if delay is None:
            raise error
        on_retry(error, delay)
        await trio.sleep(delay)
