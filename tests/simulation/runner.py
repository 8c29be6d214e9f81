"""Many seeds on several processes, and what came of them."""

import gc
import multiprocessing
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256

import structlog
import trio
from attrs import Factory, define, frozen

from tests.simulation.options import Options
from tests.simulation.sometimes import Hits
from tests.simulation.world import World, run

# Garbage of so many seeds is collected in one go, since each collection walks over it all.
COLLECT_EVERY = 10
STORY_LINES = 40


@frozen(kw_only=True)
class Result:
    """One seed: `error` tells what was wrong, `story` how it came to that."""

    options: Options
    seconds: float
    virtual_seconds: float
    records: int
    commands: int
    hits: Counter[str]
    digest: str
    error: str = ""
    story: str = ""

    @property
    def headline(self) -> str:
        """What was wrong, in one line."""
        lines = [line.strip(" |+-") for line in self.error.splitlines()]
        return next((line for line in reversed(lines) if line), "")

    @property
    def again(self) -> str:
        """The one line that reproduces it."""
        return f"python -m tests.simulation --seed {self.options.seed} --options '{self.options.to_json()}'"


class Trace(trio.abc.Instrument):
    """Takes note of which task ran when."""

    def __init__(self) -> None:
        self.hash = sha256()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.hash.update(f"{trio.current_time()} {task.name}\n".encode())


def simulate(options: Options, *, traced: bool = False) -> Result:
    """Run one seed in this process, whatever comes of it."""
    silence()
    began, hits, trace = time.process_time(), Hits(), Trace()
    worlds: list[World] = []
    error = ""
    try:
        run(options, hits, begun=worlds.append, instruments=[trace] if traced else [])
    except Exception as broken:
        error = "".join(traceback.format_exception(broken))
    entries = worlds[0].checks.disk.entries if worlds else []
    for entry in entries:
        trace.hash.update(entry.text)
    return Result(
        options=options,
        seconds=time.process_time() - began,
        virtual_seconds=worlds[0].ended_at if worlds else 0.0,
        records=len(entries),
        commands=worlds[0].checks.commands if worlds else 0,
        hits=hits.counts,
        digest=trace.hash.hexdigest(),
        error=error,
        story=worlds[0].story(STORY_LINES) if worlds and error else "",
    )


def silence() -> None:
    """The farm's own log lines are for its operators; here they would cost more than the farm."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=True
    )


def simulate_all(seeds: Sequence[int], *, processes: int) -> Iterator[Result]:
    """Run many seeds on several processes; results come as they are there."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_prepare) as pool:
        try:
            yield from pool.map(_simulate_seed, seeds, chunksize=1)
        finally:
            pool.shutdown(cancel_futures=True)


def _prepare() -> None:
    gc.collect()
    gc.freeze()
    gc.disable()


def _simulate_seed(seed: int) -> Result:
    result = simulate(Options.of(seed))
    if not seed % COLLECT_EVERY:
        gc.collect()
    return result


@define
class Summary:
    """What many seeds add up to."""

    seeds: int = 0
    seconds: float = 0.0
    virtual_seconds: float = 0.0
    records: int = 0
    commands: int = 0
    hits: Counter[str] = Factory(Counter)
    red: list[Result] = Factory(list)

    @classmethod
    def of(cls, results: Iterable[Result]) -> "Summary":
        summary = cls()
        for result in results:
            summary.add(result)
        return summary

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.seconds += result.seconds
        self.virtual_seconds += result.virtual_seconds
        self.records += result.records
        self.commands += result.commands
        self.hits += result.hits
        if result.error:
            self.red.append(result)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.seeds} seeds, {len(self.red)} red"
        yield f"{self.virtual_seconds / 3600:.1f} virtual hours in {self.seconds:.0f} s of CPU time"
        yield f"{self.commands} commands, {self.records} records"
        for name, count in sorted(self.hits.items()):
            yield f"{count:9} {name}"
        for result in self.red:
            yield f"RED {result.headline}"
            yield f"    {result.again}"
