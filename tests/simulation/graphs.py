"""Graphs for the simulation: some alike, so that builds share work, some with the same ids for other work."""

import hashlib
import random
from collections.abc import Sequence

from attrs import frozen

from clients.distbuild import Cmd, Graph, Job
from clients.graphs import source_id
from tests.simulation.options import Options
from tests.simulation.work import artifacts, command, fate_of, seconds_of

SOURCES = {f"s{number}": bytes([112 + number]) * (1 << 2 * number) for number in range(6)}


@frozen(eq=False)
class Plan:
    """A graph with what is known of it in advance."""

    graph: Graph
    made: dict[str, bytes]

    @classmethod
    def of(cls, graph: Graph) -> "Plan":
        return cls(graph, artifacts(graph, SOURCES))

    @property
    def bad(self) -> list[Job]:
        """Those that fail, whatever happens."""
        return [job for job in self.graph.jobs if fate_of(job) != "ok" or job.timeout_seconds]

    @property
    def is_sound(self) -> bool:
        """Would every job succeed, if nothing went wrong?"""
        return not self.bad

    @property
    def seconds(self) -> float:
        return sum(seconds_of(job) for job in self.graph.jobs)


def plans(options: Options, chance: random.Random) -> list[Plan]:
    """A plan for each build: the first is drawn, the others are like it, contend with it, or are new."""
    first = _graph(options, chance, "a")
    found = [Plan.of(first)]
    while len(found) < options.builds:
        match chance.choice(["same", "same", "contending", "new"]):
            case "same":
                graph = first
            case "contending":
                graph = _altered(first, chance)
            case _:
                graph = _graph(options, chance, f"n{len(found)}")
        found.append(Plan.of(graph))
    return found


def _graph(options: Options, chance: random.Random, name: str) -> Graph:
    jobs: list[Job] = []
    for number in range(chance.randint(max(1, options.jobs // 2), options.jobs)):
        earlier = [job.id for job in jobs[-6:]]
        deps = chance.sample(earlier, min(len(earlier), chance.choice([0, 1, 1, 2, 3])))
        jobs.append(_job(options, chance, f"{name}{number}", deps))
    inputs = {path for job in jobs for path in job.inputs}
    return Graph(
        source_files={source_id(path, SOURCES[path]): path for path in sorted(inputs)}, jobs=tuple(jobs)
    )


def _job(options: Options, chance: random.Random, name: str, deps: Sequence[str]) -> Job:
    bad = ["exit:3", "signal:9", "missing", "slow"]
    fate = chance.choice(bad) if chance.random() < options.bad_jobs else "ok"
    seconds = chance.choice([0.1, 0.5, 1.0]) * options.job_seconds
    prints = chance.choice([0, 0, 50, 5_000, 70_000])
    cmd = command(name, deps, seconds=seconds, prints=prints, fate="ok" if fate == "slow" else fate)
    return Job(
        id=hashlib.sha1(name.encode()).hexdigest(),
        name=name,
        inputs=tuple(chance.sample(sorted(SOURCES), chance.choice([0, 0, 1, 2]))),
        deps=tuple(deps),
        cmds=(cmd,),
        timeout_seconds=seconds / 2 if fate == "slow" else 0.0,
    )


def _altered(graph: Graph, chance: random.Random) -> Graph:
    """The same ids, for work of which some is other work."""
    jobs = []
    for job in graph.jobs:
        if chance.random() < 0.3:
            old = job.cmds[0].exec
            cmd = Cmd(exec=(old[0], old[1] + "'", *old[2:]))
            job = Job(
                id=job.id,
                name=job.name,
                inputs=job.inputs,
                deps=job.deps,
                cmds=(cmd,),
                timeout_seconds=job.timeout_seconds,
            )
        jobs.append(job)
    return Graph(source_files=graph.source_files, jobs=tuple(jobs))
