"""The state as it was, from memory and from the log."""

from functools import partial

import pytest
from trio.testing import MockClock

from coordinator.history import state_at
from coordinator.recent import Recent
from events.errors import MALFORMED, Rejected
from events.fold import replay
from events.ids import Position
from events.log import MemoryLog
from events.state import State
from tests.coordinator.memory import beat, build, job, running


@pytest.mark.parametrize("page", [1, 7, 2000])
@pytest.mark.parametrize("records_max", [2, 1000])
async def test_every_position_has_its_state(autojump_clock: MockClock, page: int, records_max: int) -> None:
    """Just what replaying so many records gives, whichever pages they come in."""
    log = MemoryLog()
    async with running(log, page=page, recent=partial(Recent, records_max=records_max)) as core:
        await build(core, job("a"), job("b", "a"))
        await core.submit(beat())
        for position in range(log.head() + 1):
            expected = replay(entry.record for entry in log.read(limit=position)) if position else State()
            assert await state_at(core.journal, Position(position)) == expected


async def test_the_future_is_refused(autojump_clock: MockClock) -> None:
    """There is no state there yet."""
    async with running() as core:
        with pytest.raises(Rejected, match="beyond") as caught:
            await state_at(core.journal, Position(core.journal.durable + 1))
        assert caught.value.code is MALFORMED
