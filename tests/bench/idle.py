"""A day on which nobody builds: what a thousand workers with nothing to do leave on the coordinator's disk.

Virtual time and real files: production decides, stores, archives and takes snapshots. Only the processes, the
network and the waiting are left out.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random
from typing import NamedTuple

from attrs import define, field

from coordinator import archiving, keeping
from coordinator.app import SECONDS_PER_DAY
from coordinator.config import CoordinatorConfig
from coordinator.keeper import FileKeeper, Fresh
from coordinator.quiet import RECORD_SECONDS
from events import commands, segments
from events.catalog import Record
from events.codec import encode
from events.decide import Context, execute
from events.decide.quiet import is_quiet
from events.decide.workers import next_deadline
from events.files import beside
from events.ids import WorkerId
from events.restore import DIRECTORY
from events.sqlite import SqliteLog
from events.state import State
from tests.bench.measure import Stopwatch, report, scratch
from workers.heartbeat import IDLE_WAIT_SECONDS

WORKERS = 1000
EPOCH = 1_763_770_000.0
# Nobody is on time to the second, so they report in another order each time.
LATE_SECONDS_MAX = 1.0


class Left(NamedTuple):
    """So many records, so many of them archived, with so many bytes of text; and the bytes on the disk."""

    records: int
    archived: int
    text: int
    log: int
    archive: int
    snapshots: int

    @property
    def on_disk(self) -> int:
        return self.log + self.archive + self.snapshots


@define
class IdleFarm:
    """Workers that report as ours do when there is nothing to do, and a coordinator as configured."""

    log: SqliteLog
    config: CoordinatorConfig
    workers: int
    now: float = EPOCH
    text: int = 0
    _state: State = field(factory=State)
    _due: dict[int, list[WorkerId]] = field(factory=dict)
    _staged: list[Record] = field(factory=list)
    _chance: Random = field(factory=lambda: Random(1))
    _ids: Iterator[int] = field(factory=lambda: count(1))

    def live(self, seconds: int) -> None:
        """From the start of the coordinator on."""
        self._do(commands.StartCoordinator(version="bench", settings=self.config.settings))
        for number in range(self.workers):
            worker = WorkerId(f"http://10.0.{number // 250}.{number % 250}:9000")
            self._comes(worker, self._chance.random() * IDLE_WAIT_SECONDS)
        for second in range(1, seconds + 1):
            self.now += RECORD_SECONDS
            self._hear(self._due.pop(int(self.now), []))
            if second % archiving.LOOK_SECONDS == 0:
                self._look()

    def _comes(self, worker: WorkerId, seconds: float) -> None:
        self._due.setdefault(int(self.now + 1 + seconds), []).append(worker)

    def _hear(self, due: list[WorkerId]) -> None:
        """Those who report within this second; what is nothing new is recorded at its end."""
        self._chance.shuffle(due)
        quiet = []
        for worker in due:
            beat = commands.Heartbeat(
                worker=worker, slots_free=8, slots=8, session="s", native=True, running=()
            )
            if is_quiet(self._state, beat, self.now):
                quiet.append(worker)
            else:
                self._do(beat)
            self._comes(worker, IDLE_WAIT_SECONDS - 1 + self._chance.random() * LATE_SECONDS_MAX)
        if quiet:
            self._do(commands.HearWorkers(workers=tuple(quiet)))
        deadline = next_deadline(self._state)
        assert deadline is None or deadline > self.now, "nobody is silent for too long"

    def _look(self) -> None:
        """Once a minute, as the coordinator does."""
        self.log.append(self._staged)
        self.text += sum(len(encode(record)) for record in self._staged)
        self._staged = []
        path, log = self.log.path, self.log
        keeper = FileKeeper(path, log)
        fresh = Fresh(self.config.fresh_megabytes << 20, self.config.fresh_days * SECONDS_PER_DAY)
        upto, how = keeper.surplus(fresh, self.now)
        if upto > log.archived:
            log.note_archived(keeping.archive(path, str(upto), how)["upto"])
            list(log.pruning(self._state.builds))
        if log.head() - keeper.last_snapshot() >= self.config.snapshot_records:
            keeping.take_snapshot(path)

    def _do(self, command: commands.Command) -> None:
        self._staged += execute(self._state, command, Context(self.now, self._id))

    def _id(self, size: int) -> str:
        return f"{next(self._ids):0{2 * size}x}"


def idle(data: Path, seconds: int, workers: int = WORKERS, config: CoordinatorConfig | None = None) -> Left:
    """What is there after so much virtual time, by default with default settings."""
    path = data / "log.sqlite3"
    with closing(SqliteLog(path)) as log:
        farm = IdleFarm(log, config or CoordinatorConfig(data=data), workers)
        farm.live(seconds)
        records, archived = log.head(), log.archived
    places = [data, beside(path, segments.DIRECTORY), beside(path, DIRECTORY)]
    sizes = [sum(file.stat().st_size for file in place.glob("*") if file.is_file()) for place in places]
    return Left(records, archived, farm.text, *sizes)


def main() -> None:
    with scratch() as data:
        watch = Stopwatch()
        left = idle(data, int(SECONDS_PER_DAY))
        report(
            f"idle day, {WORKERS} workers",
            left.on_disk / 1e6,
            "MB on disk",
            records=left.records,
            archived=left.archived,
            text_mb=round(left.text / 1e6, 1),
            log_mb=round(left.log / 1e6, 1),
            archive_mb=round(left.archive / 1e6, 1),
            snapshots_mb=round(left.snapshots / 1e6, 1),
            archived_bytes_a_record=round(left.archive / left.archived, 1),
            seconds=round(watch.seconds),
        )


if __name__ == "__main__":
    main()
