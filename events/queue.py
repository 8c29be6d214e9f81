"""Where queued jobs wait: a `Queue` for each kind of job in a build, with a line for each worker it suits.

An index that `fold` keeps and `schedule` reads. Every line is an OrderedDict, so joining, leaving from
the middle and looking at the head cost the same however long it is. (A plain dict walks over what left
from its head before.)
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from attrs import Factory, define

from events.catalog import Container, JobAdded
from events.ids import JobId, WorkerId

ANY_WORKER = WorkerId("")
# A dependency that more workers than this hold ties its dependents to none of them.
HOLDERS_MAX = 8


class Why(StrEnum):
    """Why a job stands in a line, and so the reason code of a lease taken from it."""

    HOLDS_RESULT = "holds-result"
    HOLDS_DEPENDENCY = "holds-dependency"
    FIRST_COME = "first-come"
    WAITED_FOR_DEPENDENCY = "waited-for-dependency"
    WAITED_FOR_RESULT = "waited-for-result"
    SHARED = "shared"


class Amount(NamedTuple):
    """What jobs take or a machine has: processors, bytes of memory, bytes of disk."""

    cpu: float = 0.0
    memory: int = 0
    disk: int = 0


# What a job takes that says nothing of it: a processor.
ONE = Amount(1.0)


class Kind(NamedTuple):
    """What a job asks of whoever runs it; jobs of one kind suit the same workers.

    `type` and `channel` are what a worker asks for, `needs` labels that it must have. A job that runs
    commands has neither type nor channel. `wants`: what its container may use, by which it is placed.
    """

    type: str = ""
    channel: str = ""
    needs: tuple[str, ...] = ()
    wants: Amount = ONE


COMMANDS = Kind()


def kind_of(spec: JobAdded) -> Kind:
    """The kind of the job, which nearly always is `COMMANDS`."""
    if not (spec.job_type or spec.needs):
        return COMMANDS
    return Kind(spec.job_type, spec.channel, spec.needs, wants(spec.container))


def wants(container: Container | None) -> Amount:
    """What a job takes of the machine it runs on, as far as it says so."""
    return Amount(container.cpu, container.memory, container.disk) if container else ONE


def meets(labels: Mapping[str, str], needs: Iterable[str]) -> bool:
    """Has a worker with these labels all that a job needs?"""
    return {f"{name}={value}" for name, value in labels.items()}.issuperset(needs)


class Line(NamedTuple):
    """Which line: of one worker, or of `ANY_WORKER`."""

    why: Why
    worker: WorkerId


FIRST_COME = Line(Why.FIRST_COME, ANY_WORKER)
WAITED_FOR_DEPENDENCY = Line(Why.WAITED_FOR_DEPENDENCY, ANY_WORKER)
WAITED_FOR_RESULT = Line(Why.WAITED_FOR_RESULT, ANY_WORKER)
_FOR_ANYONE = (FIRST_COME, WAITED_FOR_DEPENDENCY, WAITED_FOR_RESULT)


@define
class Queue:
    """Queued jobs of one kind: each line holds jobs in order, with the time from which they may go."""

    lines: dict[Line, OrderedDict[JobId, float]] = Factory(dict)
    places: dict[JobId, tuple[Line, ...]] = Factory(dict)

    def __len__(self) -> int:
        return len(self.places)

    def join(self, job: JobId, line: Line, opens_at: float) -> None:
        """Put the job in one more line."""
        jobs = self.lines.get(line)
        if jobs is None:
            jobs = self.lines[line] = OrderedDict()
        jobs[job] = opens_at
        places = self.places.get(job)
        self.places[job] = (line,) if places is None else (*places, line)

    def leave(self, job: JobId) -> None:
        """Take the job out of every line it stands in."""
        for line in self.places.pop(job):
            jobs = self.lines[line]
            del jobs[job]
            if not jobs:
                del self.lines[line]

    def lines_for(self, worker: WorkerId) -> Iterator[tuple[Why, OrderedDict[JobId, float]]]:
        """The lines this worker may take from, best first."""
        for line in (Line(Why.HOLDS_RESULT, worker), Line(Why.HOLDS_DEPENDENCY, worker), *_FOR_ANYONE):
            jobs = self.lines.get(line)
            if jobs:
                yield line.why, jobs

    def opens_at(self) -> float | None:
        """When the first job that is held back opens to all; None if none is."""
        lines = [self.lines[line] for line in _FOR_ANYONE if line in self.lines]
        return min((next(iter(jobs.values())) for jobs in lines), default=None)
