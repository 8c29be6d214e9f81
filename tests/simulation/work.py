"""Simulated commands: what a job makes is a pure function of its graph, so that everybody can check it."""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import trio
from attrs import define

from clients.distbuild import Cmd, Graph, Job
from workers.commands import Ended, NotStarted, OnOutput, ReaperLost

PROGRAM = "simulate"
FILE = "made"


def command(job: str, deps: Sequence[str], *, seconds: float, prints: int, fate: str) -> Cmd:
    """Take so long, print so many bytes, end like that: `ok`, `exit:N`, `signal:N` or `missing`."""
    places = [f'{{{{index .Deps "{dep}"}}}}' for dep in deps]
    return Cmd(
        exec=(PROGRAM, job, f"{seconds:g}", str(prints), fate, "{{.SourceDir}}", "{{.OutputDir}}", *places)
    )


def fate_of(job: Job) -> str:
    return job.cmds[0].exec[4] if job.cmds else "ok"


def seconds_of(job: Job) -> float:
    return float(job.cmds[0].exec[2]) if job.cmds else 0.0


def artifacts(graph: Graph, contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """What each job makes if all goes well; `contents` are the sources by path."""
    made: dict[str, bytes] = {}
    jobs = {job.id: job for job in graph.jobs}

    def make(job: Job) -> bytes:
        if job.id not in made:
            sources = [contents[path] for path in sorted(job.inputs)]
            made[job.id] = _made(job.cmds[0].exec[1], sources, [make(jobs[dep]) for dep in job.deps])
        return made[job.id]

    for job in graph.jobs:
        make(job)
    return made


def printed(job: str, count: int) -> bytes:
    """What a job prints, a byte pattern of its own."""
    line = f"{job} says something.\n".encode()
    return (line * (count // len(line) + 1))[:count]


def _made(job: str, sources: Iterable[bytes], deps: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256(job.encode())
    for part in (*sources, *deps):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest().encode()


def _make(job: str, source: Path, output: Path, deps: Sequence[Path]) -> None:
    sources = [path.read_bytes() for path in sorted(source.iterdir())]
    (output / FILE).write_bytes(_made(job, sources, [(dep / FILE).read_bytes() for dep in deps]))


@define(eq=False)
class SimulatedRunner:
    """A `Runner` whose processes are sleeps."""

    chance: random.Random
    reaper_lost: float = 0.0
    is_alone: bool = True

    async def run(
        self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path, on_output: OnOutput
    ) -> Ended:
        _, job, seconds, prints, fate, source, output, *deps = argv
        if fate == "missing":
            await trio.lowlevel.checkpoint()
            raise NotStarted(f'"{job}": executable file not found in $PATH')
        await self._work(float(seconds), printed(job, int(prints)), on_output)
        if self.reaper_lost and self.chance.random() < self.reaper_lost:
            raise ReaperLost("the reaper has ended")
        kind, _, number = fate.partition(":")
        if kind == "exit":
            return Ended(exit_code=int(number))
        if kind == "signal":
            return Ended(exit_code=-1, signal=int(number))
        _make(job, Path(source), Path(output), [Path(dep) for dep in deps])
        return Ended(exit_code=0)

    async def _work(self, seconds: float, text: bytes, on_output: OnOutput) -> None:
        pieces = 3 if text and seconds else 1
        for piece in range(pieces):
            await trio.sleep(seconds / pieces)
            start, end = len(text) * piece // pieces, len(text) * (piece + 1) // pieces
            on_output(text[start:end], b"" if piece else text[:10])

    async def clean(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
