"""kill -9 under load, again and again: the log knows all that was ever said, and every life begins well."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from clients import wire
from tests.crash.cradle import Cradle
from tests.crash.peers import Customer, Worker
from tests.crash.runs import Run
from tests.e2e.witness import Witness

pytestmark = pytest.mark.e2e

KILLS, KILLS_SOAK = 60, 2000
# After so many the next ones have a log of their own: replaying a long one is not what is tried here.
KILLS_PER_LOG = 60
WORKERS, CUSTOMERS = 3, 3
# A life may give so many acknowledgements, give or take those under way. Some end before they have begun.
LIFE_MAX = 50
STILLBORN = 0.05


async def test_killed_again_and_again(
    cradle: Cradle, tmp_path: Path, soak: bool, tell: Callable[[str], None]
) -> None:
    """At moments of chance, while clients and workers press on: nothing acknowledged is lost or doubled."""
    chance, began = random.Random(11), time.monotonic()
    kills = acknowledged = records = 0
    while kills < (KILLS_SOAK if soak else KILLS):
        run = Run(tmp_path / f"after-{kills}")
        await _live(cradle, run, chance)
        kills += KILLS_PER_LOG
        acknowledged += run.ledger.count
        records += len(run.check())
        assert len(run.said) > 10 * KILLS_PER_LOG
    seconds = time.monotonic() - began
    tell(
        f"kill -9 under load: {kills} kills, {acknowledged} acknowledgements, "
        f"{records} records, none lost; {seconds:.0f} s"
    )


async def _live(cradle: Cradle, run: Run, chance: random.Random) -> None:
    """One life after the other on the same data, and a last one that is not disturbed."""
    life = await cradle.coordinator(run.data).ready()
    address = life.url.removeprefix("http://")
    async with wire.Client(life.url) as client, trio.open_nursery() as peers:
        witness = Witness(client)
        witness.lines = run.said
        peers.start_soon(witness.watch_forever)
        for n in range(WORKERS):
            peers.start_soon(Worker(client, run.ledger, f"worker-{n}").work_forever)
        for n in range(CUSTOMERS):
            peers.start_soon(Customer(client, run.ledger, f"customer-{n}").order_forever)
        for _ in range(KILLS_PER_LOG):
            if chance.random() >= STILLBORN:
                await life.ready()
                await run.ledger.reaches(run.ledger.count + chance.randrange(LIFE_MAX))
            await life.kill9()
            life = cradle.coordinator(run.data, bind=address)
        await life.ready()
        await run.ledger.reaches(run.ledger.count + LIFE_MAX)
        peers.cancel_scope.cancel()
    await life.kill9()
