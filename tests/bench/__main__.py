"""All measurements, or those named: `python -m tests.bench noop replay`."""

import sys

from tests.bench import fanout, heartbeat, idle, noop, pixel, replay, start, startup, true_jobs, why

ALL = {
    "noop": noop.main,
    "true": true_jobs.main,
    "heartbeat": heartbeat.main,
    "fanout": fanout.main,
    "replay": replay.main,
    "start": start.main,
    "why": why.main,
    "idle": idle.main,
    "pixel": pixel.main,
    "startup": startup.main,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        ALL[name]()
