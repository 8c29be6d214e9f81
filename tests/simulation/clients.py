"""People who want builds: production's own client, restarted with its key when it was killed."""

from functools import partial
from pathlib import Path

import trio
from attrs import Factory, define

from clients import wire
from clients.build.observer import Observer, Patience
from clients.build.outcome import Outcome, Verdict
from clients.build.run import BuildRun
from clients.live import Line
from clients.wire.origins import Origins
from events.ids import BuildId
from tests.simulation.graphs import SOURCES, Plan
from tests.simulation.hosts import COORDINATOR, Host, Process

# Nothing here is given up before the simulation's own deadline.
PATIENCE = Patience(
    start_seconds=3600, upload_seconds=3600, cancel_seconds=60, follow_seconds=3600, silence_seconds=45
)


@define(eq=False)
class Told(Observer):
    """All that a client was told, over all its lives; `lives` has the records of each."""

    builds: list[BuildId] = Factory(list)
    lives: list[list[Line]] = Factory(list)

    def on_started(self, build: BuildId, missing: int, *, is_native: bool) -> None:
        assert is_native
        self.builds.append(build)
        self.lives.append([])

    def on_record(self, line: Line) -> None:
        self.lives[-1].append(line)


@define(eq=False, kw_only=True)
class Client(Host):
    """One person with one plan; `key` makes the start the same however often it is tried."""

    plan: Plan
    root: Path
    key: str
    keep_going: bool
    told: Told = Factory(Told)
    outcome: Outcome | None = None
    cancels_after: float | None = None
    run: BuildRun | None = None

    async def persist(self) -> None:
        """Try until the outcome is known."""
        while self.outcome is None:
            process = self.begin(self._program)
            await process.ended.wait()
            if process.error is not None and not _is_refusal(process.error):
                raise process.error
            await trio.sleep(1.0)

    async def _program(self, process: Process) -> None:
        open_client = partial(self.open_client)
        async with open_client(f"http://{COORDINATOR}") as client:
            self.run = BuildRun(
                client,
                self.plan.graph,
                self.root / "sources",
                key=self.key,
                chance=self.chance,
                out=self.root / self.name,
                name=self.name,
                keep_going=self.keep_going,
                observer=self.told,
                patience=PATIENCE,
                origins=Origins(open_client),
                now=trio.current_time,
                run_sync=process.run_sync,
            )
            async with self.run:
                await self.run.submit()
                outcome = await self.run.finish()
        if outcome.verdict is not Verdict.UNKNOWN:
            self.outcome = outcome


def _is_refusal(error: BaseException) -> bool:
    """The coordinator's disk was full, or it did not get on: whoever wants the build tries again."""
    return isinstance(error, wire.Refused) and error.status in (503, 507)


def write_sources(root: Path) -> None:
    """The files that all plans are made from."""
    (root / "sources").mkdir()
    for path, content in SOURCES.items():
        (root / "sources" / path).write_bytes(content)
