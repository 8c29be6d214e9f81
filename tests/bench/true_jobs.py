"""Real `/bin/true` jobs a second on two real workers, against `xargs -P2` in the same minute."""

import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from tests.bench import builds
from tests.bench.graphs import graph
from tests.bench.measure import Server, Stopwatch, coordinator, process, report, scratch

JOBS = 3_000
SLOTS = 16


def main() -> None:
    yardstick = xargs()
    with scratch() as directory, coordinator(directory / "c") as server:
        one = process(
            "worker", "--coordinator", server.url, "--slots", str(SLOTS), "--data", str(directory / "1")
        )
        two = process(
            "worker", "--coordinator", server.url, "--slots", str(SLOTS), "--data", str(directory / "2")
        )
        with one, two:
            builds.wait(server.url, builds.start(server.url, graph("flat", 100, salt="a")))
            watch = Stopwatch()
            build = builds.start(server.url, graph("flat", JOBS, salt="b"))
            builds.wait(server.url, build)
            rate = JOBS / watch.seconds
    report(
        "/bin/true jobs, two workers",
        rate,
        "jobs/s",
        xargs_P2=round(yardstick),
        ratio=round(rate / yardstick, 2),
    )


def worker(url: str, data: Path) -> AbstractContextManager[Server]:
    """A real worker."""
    return process("worker", "--coordinator", url, "--slots", str(SLOTS), "--data", str(data))


def xargs() -> float:
    """Processes a second that xargs starts, two at a time."""
    watch = Stopwatch()
    numbers = "\n".join(map(str, range(JOBS)))
    subprocess.run(["xargs", "-P2", "-n1", "/bin/true"], input=numbers, text=True, check=True)
    return JOBS / watch.seconds


if __name__ == "__main__":
    main()
