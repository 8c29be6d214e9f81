"""How long a heartbeat takes with few and with very many queued jobs: it must be the same.

And what one costs that says nothing new, as those of an idle farm do.
"""

import time

from tests.bench import builds
from tests.bench.graphs import graph
from tests.bench.measure import coordinator, percentile, report, scratch
from tests.bench.plain_http import Connection

QUEUED = (10, 100_000)
BEATS = 1500


def main() -> None:
    idle()
    for queued in QUEUED:
        with scratch() as directory, coordinator(directory) as server:
            builds.start(server.url, graph("flat", queued))
            seconds = beat(server.url)
        report(
            f"heartbeat, {queued} queued",
            percentile(seconds, 0.5) * 1000,
            "ms p50",
            p99_ms=round(percentile(seconds, 0.99) * 1000, 3),
        )


def idle() -> None:
    """A worker that reports again and again that it is idle."""
    sent = {"WorkerID": "http://bench.invalid", "Session": "bench", "Slots": 1, "FreeSlots": 1}
    seconds = []
    with scratch() as directory, coordinator(directory) as server:
        connection = Connection(server.url)
        began = server.cpu_seconds()
        for _ in range(BEATS):
            start = time.perf_counter()
            connection.post("/heartbeat?wait=0", sent)
            seconds.append(time.perf_counter() - start)
        cpu_ms = (server.cpu_seconds() - began) / BEATS * 1000
        connection.close()
    report("heartbeat, idle", percentile(seconds, 0.5) * 1000, "ms p50", cpu_ms=round(cpu_ms, 3))


def beat(url: str) -> list[float]:
    """One worker with one slot, reporting in turn that it runs its job and that it does not."""
    connection = Connection(url)
    leases: list[str] = []
    seconds = []
    for _ in range(BEATS):
        sent = {
            "WorkerID": "http://bench.invalid",
            "Session": "bench",
            "Slots": 1,
            "FreeSlots": 1 - len(leases),
            "RunningLeases": leases,
        }
        start = time.perf_counter()
        answer = connection.post("/heartbeat?wait=0", sent)
        seconds.append(time.perf_counter() - start)
        assert isinstance(answer, dict)
        # Every other time the job is not reported, and so is owed and given again: the queue stays long.
        leases = [] if leases else [spec["Lease"] for spec in answer["JobsToRun"].values()]
    connection.close()
    return seconds


if __name__ == "__main__":
    main()
