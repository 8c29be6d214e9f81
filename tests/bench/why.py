"""How long it takes to explain a job from a log of a million records: twelve builds, one after the other."""

from hashlib import sha256
from pathlib import Path

from events.catalog import Command, Record
from events.commands import FinishUpload, Heartbeat, NewJob, Result, StartBuild, StartCoordinator
from events.decide import Context, execute
from events.hindsight.why import why
from events.ids import BuildId, JobId, Position, WorkerId
from events.query import Query
from events.sqlite import SqliteLog, SqliteReader
from events.state import State
from tests.bench.measure import Stopwatch, percentile, report, scratch

BUILDS = 12
JOBS = 20_000
WIDTH = 100
WORKERS = tuple(WorkerId(f"http://w{number}:9000") for number in range(8))
SLOTS = 8
REPEATS = 3
BATCH = 2000


def main() -> None:
    with scratch() as directory:
        path = directory / "log.sqlite3"
        _Farm(path).work()
        reader = SqliteReader(path)
        for name, build, job, at in _cases(reader):
            seconds = [_ask(path, build, job, at) for _ in range(REPEATS)]
            report(f"why, {name}", percentile(seconds, 0.5), "s", records=reader.head())
        reader.close()


def _ask(path: Path, build: BuildId, job: JobId, at: Position) -> float:
    reader, watch = SqliteReader(path), Stopwatch()
    assert why(reader, build, job, at).answers
    seconds = watch.seconds
    reader.close()
    return seconds


def _cases(reader: SqliteReader) -> list[tuple[str, BuildId, JobId, Position]]:
    """The last job of the last build, while it waits in each manner, runs, and when it is done."""
    build, job = _id(BUILDS - 1, "build"), JobId(_id(BUILDS - 1, JOBS - 1))
    moves = reader.search(Query(upto=reader.head(), jobs=(job,), types=("JobQueued", "JobLeased")))
    queued, leased = (record.position for record in moves)
    started = getattr(moves[0].event, "build", build)
    return [
        ("done", started, job, reader.head()),
        ("running", started, job, leased),
        ("queued", started, job, queued),
        ("blocked", started, job, Position(queued - WIDTH)),
    ]


def _id(*parts: object) -> BuildId:
    return BuildId(sha256(repr(parts).encode()).hexdigest()[:40])


class _Farm:
    """Decides and folds as a coordinator would, and stores the records."""

    def __init__(self, path: Path) -> None:
        self._state, self._log = State(), SqliteLog(path)
        self._staged: list[Record] = []
        self._now, self._ids = 1e9, 0

    def work(self) -> None:
        self._do(StartCoordinator(version="bench"))
        for number in range(BUILDS):
            started = self._do(StartBuild(jobs=_graph(number), name="nightly"))[0].event
            build = BuildId(getattr(started, "build", ""))
            self._do(FinishUpload(build=build))
            while not self._state.builds[build].has_ended:
                for worker in WORKERS:
                    self._beat(worker)
        self._log.append(self._staged)
        self._log.close()

    def _beat(self, worker: WorkerId) -> None:
        leases = self._state.leases_of.get(worker, {})
        finished = tuple(Result(job=job, lease=lease) for job, lease in leases.items())
        self._do(
            Heartbeat(
                worker=worker,
                slots_free=SLOTS,
                slots=SLOTS,
                session="s",
                native=True,
                running=(),
                finished=finished,
            )
        )

    def _do(self, command: object) -> list[Record]:
        self._now += 0.001
        context = Context(self._now, self._new_id)
        records = execute(self._state, command, context)  # type: ignore[arg-type]  # any command
        self._staged += records
        if len(self._staged) >= BATCH:
            self._log.append(self._staged)
            self._staged = []
        return records

    def _new_id(self, size: int) -> str:
        self._ids += 1
        return sha256(str(self._ids).encode()).hexdigest()[: 2 * size]


def _graph(number: int) -> tuple[NewJob, ...]:
    """Layers of 100, each job with two or three of the layer before; in each build all ids are others."""
    return tuple(
        NewJob(
            id=JobId(_id(number, place)),
            name=f"layer{place // WIDTH}/job-{place}.o",
            deps=tuple(JobId(_id(number, below)) for below in _below(place)),
            cmds=(Command(exec=("/usr/bin/gcc", "-c", "-O2", f"{place}.c", "-o", f"{place}.o")),),
        )
        for place in range(JOBS)
    )


def _below(place: int) -> list[int]:
    layer, column = divmod(place, WIDTH)
    below = (layer - 1) * WIDTH
    return sorted({below + column, below + (column + 1) % WIDTH, below + column * 7 % WIDTH}) if layer else []


if __name__ == "__main__":
    main()
