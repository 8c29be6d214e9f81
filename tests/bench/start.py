"""How long a coordinator takes to start on a log of a million records, without a snapshot and with one."""

import gc
import time
from contextlib import closing
from pathlib import Path

from coordinator.keeping import take_snapshot
from events.restore import DIRECTORY, restore
from events.sqlite import SqliteLog
from tests.bench import farm_log
from tests.bench.measure import Stopwatch, coordinator, report, scratch

RECORDS = 1_000_000
# Builds of a thousand jobs that State knows: as many as are kept by default, and all of them.
KEPT = (100, 1_000)


def main() -> None:
    for kept in KEPT:
        with scratch() as data:
            path = data / "log.sqlite3"
            farm_log.make(path, RECORDS, kept)
            gc.collect()
            measure(path, "")
            watch = Stopwatch()
            take_snapshot(path)
            report("snapshot taken", watch.seconds, "s")
            measure(path, ", with snapshot")


def measure(path: Path, how: str) -> None:
    """The replay alone, then a whole process until it is ready."""
    with closing(SqliteLog(path)) as log:
        watch, cpu = Stopwatch(), time.process_time()
        state = restore(log, path.parent / DIRECTORY)
        seconds, cpu = watch.seconds, time.process_time() - cpu
    jobs = sum(len(graph.jobs) for graph in state.graphs.values())
    del state
    watch = Stopwatch()
    with coordinator(path.parent):
        until_ready = round(watch.seconds, 3)
    more = {"cpu_s": round(cpu, 3), "jobs": jobs, "until_ready_s": until_ready}
    report(f"start, {RECORDS} records{how}", seconds, "s", **more)


if __name__ == "__main__":
    main()
