"""What every measurement needs: a line to print, and a coordinator in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


def report(name: str, value: float, unit: str, **more: object) -> None:
    """Print one measurement as a JSON object."""
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, **more}), flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 … 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory for one measurement, on the disk that /tmp is on."""
    with tempfile.TemporaryDirectory(prefix="terzetto-bench-") as name:
        yield Path(name)


class Server(NamedTuple):
    """A process that serves at `url`."""

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """What it has used of a processor so far, which says more than the clock on a busy machine."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def process(*arguments: str) -> Iterator[Server]:
    """A `terzetto` server that has said that it is ready."""
    command = [sys.executable, "-m", "clients.cli", *arguments]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line.startswith("ready "), f"{arguments} did not get ready: {line!r}"
        yield Server(line.split()[1], child.pid)
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@contextmanager
def coordinator(data: Path, *options: str) -> Iterator[Server]:
    """A coordinator on a free port of this machine, saying little."""
    with process(
        "coordinator", "--bind", "127.0.0.1:0", "--data", str(data), "--log-level", "warning", *options
    ) as server:
        yield server


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start
