"""`python -m tests.simulation`: run one seed and tell its story, or many and sum them up."""

import argparse
import sys
import time

from tests.simulation import sometimes
from tests.simulation.options import Options
from tests.simulation.runner import Summary, simulate, simulate_all

PROGRESS_EVERY = 500

ARGUMENTS = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
ARGUMENTS.add_argument("--seed", type=int, help="run this one seed and tell its story if it is red")
ARGUMENTS.add_argument("--options", help="what the seed stood for when it was drawn, as JSON")
ARGUMENTS.add_argument("--digest", action="store_true", help="print a digest of the seed's whole schedule")
ARGUMENTS.add_argument("--seeds", default="0-199", help="run all of FIRST-LAST (default: %(default)s)")
ARGUMENTS.add_argument("--processes", type=int, default=2)
ARGUMENTS.add_argument("--first", action="store_true", help="stop at the first red seed")
ARGUMENTS.add_argument("--sometimes", action="store_true", help="what never happened is an error, too")


def one(options: Options, *, digest: bool) -> int:
    """Run one seed; its story goes to stdout."""
    result = simulate(options, traced=digest)
    if digest:
        print(result.digest)
    else:
        print(f"{result.records} records, {result.virtual_seconds:.1f} virtual s, {result.seconds:.2f} s")
    if result.error:
        print(result.story, result.error, result.again, sep="\n")
    return 1 if result.error else 0


def many(first: int, last: int, *, processes: int, stop: bool, check_sometimes: bool) -> int:
    """Run a range of seeds; the summary goes to stdout, red seeds to stderr as soon as they are known."""
    began, summary = time.monotonic(), Summary()
    for result in simulate_all(range(first, last + 1), processes=processes):
        summary.add(result)
        if not summary.seeds % PROGRESS_EVERY:
            print(f"{summary.seeds} seeds, {len(summary.red)} red", file=sys.stderr, flush=True)
        if result.error:
            print(f"RED seed {result.options.seed}", file=sys.stderr, flush=True)
            if stop:
                break
    print(*summary.lines(), sep="\n")
    print(f"{time.monotonic() - began:.0f} s")
    missing = sometimes.missing(summary.hits) if check_sometimes else []
    for name in missing:
        print(f"NEVER {name}")
    return 1 if summary.red or missing else 0


def main() -> int:
    arguments = ARGUMENTS.parse_args()
    if arguments.seed is not None:
        text = arguments.options
        options = Options.from_json(text) if text else Options.of(arguments.seed)
        return one(options, digest=arguments.digest)
    first, _, last = arguments.seeds.partition("-")
    return many(
        int(first),
        int(last or first),
        processes=arguments.processes,
        stop=arguments.first,
        check_sometimes=arguments.sometimes,
    )


if __name__ == "__main__":
    sys.exit(main())
