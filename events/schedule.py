"""Which queued job suits which worker: one pure function over the indexes that `fold` keeps.

Builds of a higher priority are served first; equal ones take turns (`State.rotation`), so a small build is
served beside a huge one. Within a build a worker gets first what it holds the result of, then what it holds
a dependency of, then what has waited long enough for such a worker (distbuild's local1, local2 and global
queues). Jobs of another kind stand in queues of their own, in nobody's way. The cost of a pick does not
depend on how many jobs are queued.
"""

from collections.abc import Iterator, Mapping
from heapq import merge
from itertools import islice
from typing import NamedTuple

from events.ids import BuildId, JobId, Position, SpecDigest
from events.model import Worker
from events.placement import preferred
from events.queue import Kind, Queue, Why, meets
from events.state import State
from events.transitions import JobStatus

# How far past jobs that do not suit this very worker we look down one line; such jobs are rare.
LOOK_MAX = 16


class Pick(NamedTuple):
    """A job for a worker, and the reason code that goes into its lease."""

    build: BuildId
    job: JobId
    why: Why


class Offer(NamedTuple):
    """What somebody who asks for work can do: jobs of these types in these channels, with these labels."""

    types: frozenset[str]
    channels: frozenset[str]
    labels: Mapping[str, str]

    def covers(self, kind: Kind) -> bool:
        """May it be given jobs of this kind?"""
        if kind.type not in self.types or kind.channel not in self.channels:
            return False
        return not kind.needs or meets(self.labels, kind.needs)


_COMMANDS = frozenset({""})


def offer_of(worker: Worker) -> Offer:
    """What a worker can do that runs commands."""
    return Offer(_COMMANDS, _COMMANDS, worker.labels)


def schedule(state: State, worker: Worker, now: float, offer: Offer | None = None) -> Pick | None:
    """The next job for this worker at `now` (seconds since 1970); None if there is none for it yet."""
    for build, queue in _turns(state, worker, offer or offer_of(worker)):
        for why, line in queue.lines_for(worker.id):
            for job, opens_at in islice(line.items(), LOOK_MAX):
                if opens_at <= now and _suits(state, worker, build, job):
                    return Pick(build, job, why)
    return None


def opens_at(state: State, after: float) -> float | None:
    """When after `after` the next queued job opens to every worker; None if all that are queued have."""
    times = (
        state.graphs[build].queues[kind].opens_at()
        for kind, rotation in state.rotation.items()
        for build in rotation
    )
    return min((time for time in times if time is not None and time > after), default=None)


def _turns(state: State, worker: Worker, offer: Offer) -> Iterator[tuple[BuildId, Queue]]:
    """The queues of all kinds that suit, in the order in which it is their turn."""
    kinds = [kind for kind in state.rotation if offer.covers(kind) and _is_placed(state, worker, kind)]
    if len(kinds) == 1:
        for build in state.rotation[kinds[0]]:
            yield build, state.graphs[build].queues[kinds[0]]
        return
    for *_, build, kind in merge(*(_places(state, kind) for kind in kinds)):
        yield build, state.graphs[build].queues[kind]


def _is_placed(state: State, worker: Worker, kind: Kind) -> bool:
    """Has the operator's policy, if there is one, nothing against it?"""
    if not state.settings.placement or kind.type or not worker.native:
        return True
    return preferred(state, kind) == worker.id


def _places(state: State, kind: Kind) -> Iterator[tuple[int, Position, BuildId, Kind]]:
    for place in state.rotation[kind].places():
        yield *place, kind


def _suits(state: State, worker: Worker, build: BuildId, job: JobId) -> bool:
    """A worker runs one job of an id at a time, since plain distbuild names jobs by id alone.

    For the same reason a worker of others that holds this id's artifact from another spec would answer
    with that one, and must not be asked. One of ours would replace the artifact.
    """
    if job in state.leases_of.get(worker.id, ()):
        return False
    held = state.holders.get(job, {}).get(worker.id, SpecDigest(""))
    if held in ("", state.graphs[build].jobs[job].digest):
        return True
    return worker.native and not _serves_an_older_build(state, build, job, held)


def _serves_an_older_build(state: State, build: BuildId, job: JobId, held: SpecDigest) -> bool:
    """Only older builds are protected, so that two that want different artifacts of one id both end."""
    for other in state.active:
        if other == build:
            break
        known = state.graphs[other].jobs.get(job)
        if known is not None and known.status is JobStatus.SUCCEEDED and known.digest == held:
            return True
    return False
