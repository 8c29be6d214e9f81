"""Trying again, and stopping to."""

import random

import pytest
import trio
import trio.testing

from clients.backoff import Backoff, persist
from clients.wire import Refused, Unreachable


def test_delays_double_up_to_ten_seconds() -> None:
    """Each is at least half of what doubling gives; after a reset they begin anew."""
    backoff = Backoff(random.Random(1), seconds=1e9)
    delays = [backoff.next_delay(0.0) or 0.0 for _ in range(40)]
    for number, delay in enumerate(delays):
        longest = min(10.0, 0.25 * 2**number)
        assert longest / 2 <= delay <= longest
    backoff.reset()
    assert (backoff.next_delay(0.0) or 9) <= 0.25


def test_an_outage_is_given_up() -> None:
    """Its length counts from its first failure, not from the beginning of the world."""
    backoff = Backoff(random.Random(1), seconds=10)
    assert backoff.next_delay(1000.0) is not None
    assert backoff.next_delay(1009.0) is not None
    assert backoff.next_delay(1010.0) is None
    backoff.reset()
    assert backoff.next_delay(1011.0) is not None


@pytest.mark.parametrize("error", [Unreachable("gone"), Refused(503, "starting"), Refused(429, "slowly")])
async def test_persist_until_it_works(error: Exception, autojump_clock: trio.testing.MockClock) -> None:
    """What may pass is tried again; each failure is told with the delay."""
    outcomes: list[Exception | int] = [error, error, 7]
    told: list[float] = []

    async def attempt() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    began = trio.current_time()
    chance = random.Random(1)
    assert (
        await persist(attempt, chance=chance, seconds=60, on_retry=lambda _, delay: told.append(delay)) == 7
    )
    assert len(told) == 2
    assert trio.current_time() - began == pytest.approx(sum(told))


async def test_persist_gives_up(autojump_clock: trio.testing.MockClock) -> None:
    """The last error is raised when the outage has lasted too long."""

    async def attempt() -> None:
        raise Unreachable("gone")

    with pytest.raises(Unreachable):
        await persist(attempt, chance=random.Random(1), seconds=60)
    assert 45 <= trio.current_time() <= 60


@pytest.mark.parametrize("status", [400, 404, 409, 413, 500, 507])
async def test_what_will_not_pass_is_raised_at_once(status: int) -> None:
    """A refusal for a reason is not asked about again."""
    attempts: list[int] = []

    async def attempt() -> None:
        attempts.append(1)
        raise Refused(status, "")

    with pytest.raises(Refused):
        await persist(attempt, chance=random.Random(1), seconds=60)
    assert len(attempts) == 1
