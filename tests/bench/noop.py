"""Durable no-op jobs a second through real HTTP: every fact is on disk before it is answered."""

import subprocess
import sys

from tests.bench import builds
from tests.bench.graphs import graph
from tests.bench.measure import Stopwatch, coordinator, report, scratch

JOBS = {1: 2_000, 8: 10_000, 32: 10_000}
WORKERS = 2


def main() -> None:
    for shape in ("flat", "layered"):
        for batch, jobs in JOBS.items():
            measure(shape, batch, jobs)


def measure(shape: str, batch: int, jobs: int) -> None:
    with scratch() as directory:
        with coordinator(directory) as server:
            workers = [_worker(server.url, f"w{number}", batch) for number in range(WORKERS)]
            watch = Stopwatch()
            build = builds.start(server.url, graph(shape, jobs))
            started, used = watch.seconds, server.cpu_seconds()
            builds.wait(server.url, build)
            seconds, used = watch.seconds - started, server.cpu_seconds() - used
            builds.stop(*workers)
        log_bytes = (directory / "log.sqlite3").stat().st_size
    report(
        f"noop jobs, {shape}, batch {batch}",
        jobs / seconds,
        "jobs/s",
        jobs=jobs,
        start_seconds=round(started, 3),
        coordinator_cpu_us_per_job=round(used / jobs * 1e6),
        log_bytes_per_job=round(log_bytes / jobs),
    )


def _worker(url: str, name: str, batch: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.bench.simulated_worker", url, name, str(batch)]
    return subprocess.Popen(command)


if __name__ == "__main__":
    main()
