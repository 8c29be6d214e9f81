"""Two coordinators on one log, past the lock that should keep them apart: one ends before it can lie."""

from contextlib import suppress
from pathlib import Path

import pytest
import trio

from clients import wire
from clients.cli.exits import Exit
from events.catalog import CoordinatorStarted
from tests.crash.cradle import Cradle
from tests.crash.peers import Worker
from tests.crash.runs import LOG, Run
from tests.e2e import logs

pytestmark = pytest.mark.e2e

IN_USE = "error[TZ-2202]: the data directory is in use"


def lose_lock(data: Path) -> None:
    """As a network disk does that knows no locks, or somebody who tidies up."""
    (data / f"{LOG}.lock").unlink()


async def test_the_older_one_ends_before_its_next_answer(cradle: Cradle, tmp_path: Path) -> None:
    """With the words and the exit code of a data directory in use; what it had acknowledged stays."""
    data = tmp_path / "data"
    before, after, newer = (Run(data, name) for name in ("before", "after", "newer"))
    first = await cradle.coordinator(data).ready()
    assert await before.go(first)
    lose_lock(data)
    second = await cradle.coordinator(data).ready()
    assert not await after.go(first)
    assert not after.ledger.builds
    assert await first.ended() == Exit.INFRASTRUCTURE
    assert IN_USE in first.stderr.read_text()
    assert await newer.go(second)
    await second.kill9()
    for run in (before, after, newer):
        log = run.check()
    assert [event.epoch for event in logs.events(log, CoordinatorStarted)] == [1, 2]


async def test_under_load_one_goes_on(cradle: Cradle, tmp_path: Path) -> None:
    """Whichever has the next record first; the other one ends, and the log is of one piece."""
    run = Run(tmp_path / "data")
    first = await cradle.coordinator(run.data).ready()
    async with wire.Client(first.url) as client, trio.open_nursery() as peers:
        peers.start_soon(beat_until_gone, Worker(client, run.ledger, "worker"))
        await run.ledger.reaches(20)
        lose_lock(run.data)
        second = cradle.coordinator(run.data)
        is_over = await second.serves()
        loser, winner = (first, second) if is_over else (second, first)
        assert await loser.ended() == Exit.INFRASTRUCTURE
        assert IN_USE in loser.stderr.read_text()
        peers.cancel_scope.cancel()
    assert await Run(run.data, "after").go(winner)
    await winner.kill9()
    run.check()


async def beat_until_gone(worker: Worker) -> None:
    with suppress(wire.Unreachable):
        while True:
            await worker.beat(wait_seconds=0.0)
