"""Records replayed a second, from the log on disk to the state; and what a log costs."""

from collections.abc import Sequence
from pathlib import Path

from coordinator.journal import replayed
from events.catalog import Command, Record
from events.commands import FinishUpload, Heartbeat, NewJob, Result, StartBuild, StartCoordinator
from events.decide import Context, execute
from events.ids import BuildId, JobId, WorkerId
from events.sqlite import SqliteLog
from events.state import State
from tests.bench.graphs import job_id
from tests.bench.measure import Stopwatch, report, scratch

JOBS = 20_000
BATCH = 32


def main() -> None:
    records = history()
    with scratch() as directory:
        path = directory / "log.sqlite3"
        store(path, records)
        log = SqliteLog(path)
        watch = Stopwatch()
        state = replayed(log)
        report("replay", len(records) / watch.seconds, "records/s", records=state.position)
        log.close()


def store(path: Path, records: Sequence[Record]) -> None:
    log = SqliteLog(path)
    watch = Stopwatch()
    for start in range(0, len(records), 500):
        log.append(records[start : start + 500])
    report("append, batches of 500", len(records) / watch.seconds, "records/s")
    log.close()
    report("log size", path.stat().st_size / JOBS, "bytes/job")


def history() -> list[Record]:
    """The records of one big build, decided as a coordinator would."""
    state, records = State(), list[Record]()
    ids = iter(range(1, 10 * JOBS))

    def do(command: object) -> list[Record]:
        context = Context(1e9 + len(records) * 1e-4, lambda size: f"{next(ids):0{2 * size}x}")
        done = execute(state, command, context)  # type: ignore[arg-type]  # any command
        records.extend(done)
        return done

    do(StartCoordinator(version="bench"))
    jobs = tuple(
        NewJob(id=JobId(job_id(number)), name=f"job-{number}", cmds=(Command(exec=("/bin/true",)),))
        for number in range(JOBS)
    )
    build = BuildId(getattr(do(StartBuild(jobs=jobs))[0].event, "build", ""))
    do(FinishUpload(build=build))
    finished: tuple[Result, ...] = ()
    while not state.builds[build].has_ended:
        do(
            Heartbeat(
                worker=WorkerId("w"),
                slots_free=BATCH,
                slots=BATCH,
                session="s",
                native=True,
                running=(),
                finished=finished,
            )
        )
        leases = state.leases_of.get(WorkerId("w"), {})
        finished = tuple(Result(job=job, lease=lease) for job, lease in leases.items())
    return records


if __name__ == "__main__":
    main()
