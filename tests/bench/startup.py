"""How long `terzetto --version` takes."""

import subprocess
import sys
from pathlib import Path

from tests.bench.measure import Stopwatch, percentile, report

RUNS = 15


def main() -> None:
    command = [str(Path(sys.executable).with_name("terzetto")), "--version"]
    seconds = []
    for _ in range(RUNS):
        watch = Stopwatch()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(watch.seconds)
    report("terzetto --version", percentile(seconds, 0.5) * 1000, "ms")


if __name__ == "__main__":
    main()
