"""A log as a farm leaves it that builds one thing after the other: as many records as are asked for."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

from attrs import define, field

from events import commands
from events.catalog import Command, Record
from events.decide import Context, execute
from events.ids import BuildId, JobId, WorkerId
from events.sqlite import SqliteLog
from events.state import State
from tests.bench.graphs import job_id

JOBS = 1000
SLOTS = 8
WORKERS = tuple(WorkerId(f"http://10.0.0.{number}:9000") for number in range(8))
BATCH = 2000


@define
class Farm:
    """Builds of so many jobs on eight workers; the oldest are forgotten where more are known than `kept`."""

    kept: int
    state: State = field(factory=State)
    now: float = 1_763_770_000.0
    _ids: Iterator[int] = field(factory=lambda: count(1))

    def records(self, number: int) -> Iterator[list[Record]]:
        """At least so many records, command by command."""
        yield self._do(commands.StartCoordinator(version="bench"))
        for build in count():
            if self.state.position >= number:
                return
            yield from self._build(build)
            if len(self.state.builds) > self.kept:
                yield self._do(commands.ForgetBuild(build=next(iter(self.state.builds))))

    def _build(self, number: int) -> Iterator[list[Record]]:
        jobs = tuple(
            commands.NewJob(
                id=JobId(job_id(number * JOBS + place)),
                name=f"job-{place}",
                cmds=(Command(exec=("/bin/true",)),),
            )
            for place in range(JOBS)
        )
        started = self._do(commands.StartBuild(jobs=jobs))
        build = BuildId(getattr(started[0].event, "build", ""))
        yield started
        yield self._do(commands.FinishUpload(build=build))
        while not self.state.builds[build].has_ended:
            for worker in WORKERS:
                yield self._do(self._beat(worker))

    def _beat(self, worker: WorkerId) -> commands.Heartbeat:
        leases = self.state.leases_of.get(worker, {})
        return commands.Heartbeat(
            worker=worker,
            slots_free=SLOTS,
            slots=SLOTS,
            session="s",
            native=True,
            running=(),
            finished=tuple(commands.Result(job=job, lease=lease) for job, lease in leases.items()),
        )

    def _do(self, command: commands.Command) -> list[Record]:
        self.now += 0.001
        return execute(self.state, command, Context(self.now, self._id))

    def _id(self, size: int) -> str:
        return f"{next(self._ids):0{2 * size}x}"


def make(path: Path, records: int, kept: int) -> None:
    """A log file of at least so many records."""
    batch: list[Record] = []
    with closing(SqliteLog(path)) as log:
        for some in Farm(kept).records(records):
            batch += some
            if len(batch) >= BATCH:
                log.append(batch)
                batch = []
        log.append(batch)
