"""Many items, a few at a time."""

import pytest
import trio
import trio.testing

from clients.build.parallel import for_each


async def test_a_few_at_a_time(autojump_clock: trio.testing.MockClock) -> None:
    """Never more than `at_once`, and all of them."""
    at_work, most, done = 0, 0, []

    async def act(item: int) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await trio.sleep(item)
        at_work -= 1
        done.append(item)

    await for_each(range(10), act, at_once=3)
    assert sorted(done) == list(range(10))
    assert most == 3


async def test_the_first_failure_stops_the_others(autojump_clock: trio.testing.MockClock) -> None:
    """It is raised as it is, not in a group, and nothing goes on behind it."""
    done = []

    async def act(item: int) -> None:
        await trio.sleep(item)
        if item == 2:
            raise ValueError(item)
        done.append(item)

    with pytest.raises(ValueError, match="2"):
        await for_each([1, 2, 3, 4], act, at_once=4)
    assert done == [1]
