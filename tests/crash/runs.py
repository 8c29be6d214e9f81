"""A short run of a coordinator that may end at any moment, and what must be true of what it leaves."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import trio
from attrs import define, field

from clients import wire
from events.catalog import CoordinatorStarted
from events.log import Entry
from tests.crash.cradle import Cradle, Life
from tests.crash.peers import Ledger, short_run
from tests.e2e import logs
from tests.e2e.witness import Witness

LOG = "log.sqlite3"


@define(eq=False)
class Run:
    """`ledger` and `said` hold what was acknowledged before it ended, if it did."""

    data: Path
    name: str = "first"
    ledger: Ledger = field(factory=Ledger)
    said: dict[int, bytes] = field(factory=dict)
    refusals: int = 0

    async def go(self, life: Life) -> bool:
        """Ask for all that a short run asks for, each thing once; False if the coordinator is gone before."""
        if not await life.serves():
            return False
        is_gone = False
        async with wire.Client(life.url) as client, trio.open_nursery() as nursery:
            witness = Witness(client)
            witness.lines = self.said
            nursery.start_soon(witness.watch_forever)
            try:
                for step in short_run(client, self.ledger, self.name):
                    await self._insist(step)
            except wire.Unreachable:
                is_gone = True
            nursery.cancel_scope.cancel()
        return not is_gone

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Until it is done; a full disk is a reason to wait, no other refusal is foreseen."""
        while True:
            try:
                return await step()
            except wire.Refused as refusal:
                assert "the coordinator's disk is full" in refusal.text
                self.refusals += 1

    def check(self) -> list[Entry]:
        """The log is whole, a command is in it wholly or not at all, and so is all that was acknowledged."""
        if not self.ledger.count:
            return []  # it need not even have become a log
        log = logs.read(self.data)
        logs.check(log)
        self.ledger.compare(log, self.said)
        for source, content in self.ledger.sources.items():
            assert (self.data / "blobs" / source[:2] / source).read_bytes() == content
        for lease in self.ledger.results:
            assert (self.data / "output" / f"{lease}.stdout").read_bytes()
        epochs = [event.epoch for event in logs.events(log, CoordinatorStarted)]
        assert epochs == list(range(1, len(epochs) + 1))
        return log


async def goes_on(cradle: Cradle, run: Run) -> None:
    """Another life on the same data, undisturbed: it begins, does the whole run, and all still holds."""
    life = cradle.coordinator(run.data)
    assert await run.go(life), life.stderr.read_text()[-2000:]
    await life.kill9()
    run.check()
