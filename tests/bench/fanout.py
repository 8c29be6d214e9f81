"""One build and very many who watch it: what each costs, and how long after the fact it hears of it."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.request import urlopen

from tests.bench import builds
from tests.bench.graphs import graph
from tests.bench.measure import Server, coordinator, percentile, report, scratch
from tests.bench.plain_http import Connection

VIEWERS = (100, 1000, 5000)
CARRIERS = ("chunked", "websocket")
IDLE = {"WorkerID": "http://bench.invalid", "Session": "bench", "Slots": 1, "FreeSlots": 1}
# So often a job ends and another begins, which is one message for each viewer; and so many of those a second.
BEATS, MESSAGES_PER_SECOND = 40, 4000
# Room for what a process opens beside the viewers' sockets.
OTHER_FILES = 200


def main() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for carrier in CARRIERS:
        for count in VIEWERS:
            assert count + OTHER_FILES < most, f"{count} viewers need more files than {most}"
            with scratch() as directory, coordinator(directory) as server:
                measure(server, carrier, count)


def measure(server: Server, carrier: str, count: int) -> None:
    build = builds.start(server.url, graph("flat", 1000))
    target = f"/api/builds/{build}/events?after={_position(server)}&batch=1"
    before = _resident_bytes(server)
    with watching(server, target, carrier, count) as viewers:
        each = (_resident_bytes(server) - before) / count
        worker, began = Worker(server.url), server.cpu_seconds()
        for _ in range(BEATS):
            worker.beat()
            time.sleep(count / MESSAGES_PER_SECOND)
        used = server.cpu_seconds() - began
        messages, delays = viewers.seen()
    assert len(delays) >= (BEATS - 2) * count, "they did not hear of everything"
    report(
        f"fan-out, {carrier}, {count} viewers",
        percentile(delays, 0.5) * 1000,
        "ms p50",
        p99_ms=round(percentile(delays, 0.99) * 1000, 1),
        messages=messages,
        messages_per_cpu_second=round(messages / used),
        kilobytes_per_viewer=round(each / 1000, 1),
    )


class Worker:
    """It runs each job in no time, and is given the next one with the same heartbeat."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url)
        self._done: list[dict[str, object]] = []

    def beat(self) -> None:
        sent = {**IDLE, "FinishedJob": self._done, "AddedArtifacts": [done["ID"] for done in self._done]}
        answer = self._connection.post("/heartbeat?wait=0", sent)
        assert isinstance(answer, dict)
        self._done = [
            {"ID": id_, "Lease": spec["Lease"], "ExitCode": 0, "Error": None}
            for id_, spec in answer["JobsToRun"].items()
        ]
        assert self._done, "there are no jobs left"


class Viewers:
    """A process full of them, all connected."""

    def __init__(self, told: IO[str], heard: IO[str]) -> None:
        self._told, self._heard = told, heard
        assert heard.readline() == "ready\n"

    def seen(self) -> tuple[int, list[float]]:
        """How many messages they got, and how old each record in them was; then they leave."""
        self._told.close()
        value = json.loads(self._heard.readline())
        return value["messages"], value["delays"]


@contextmanager
def watching(server: Server, target: str, carrier: str, count: int) -> Iterator[Viewers]:
    """So many viewers of a target."""
    command = [sys.executable, "-m", "tests.bench.viewers", server.url, target, carrier, str(count)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        yield Viewers(child.stdin, child.stdout)
    finally:
        builds.stop(child)


def _position(server: Server) -> int:
    """Of the last record."""
    with urlopen(f"{server.url}/readyz", timeout=60) as answer:
        found: int = json.load(answer)["position"]
    return found


def _resident_bytes(server: Server) -> int:
    """The memory that the server has."""
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
