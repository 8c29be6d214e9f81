"""Who held which artifacts at a position, as far as the log tells."""

from collections.abc import Collection, Iterator
from operator import attrgetter
from typing import TypeAlias

from events.catalog import (
    ArtifactCached,
    ArtifactDropped,
    JobLeased,
    JobQueued,
    JobSucceeded,
    Record,
    WorkerLost,
)
from events.hindsight.why.answers import Said
from events.hindsight.why.then import Then
from events.hindsight.words import because, worker
from events.ids import ASKING, COORDINATOR, BuildId, JobId, LeaseId, Position, SpecDigest, WorkerId

Holders: TypeAlias = dict[JobId, dict[WorkerId, SpecDigest]]

_TYPES = ("ArtifactCached", "ArtifactDropped", "JobLeased", "JobQueued", "JobSucceeded")


def holders(past: Then, jobs: Collection[JobId], upto: Position) -> Holders:
    """Which workers held artifacts of these jobs, each with the digest of its spec."""
    found: Holders = {job: {} for job in jobs}
    for _ in _walk(past, found, upto):
        pass
    return found


def loss(past: Then, job: JobId, digest: SpecDigest, upto: Position) -> Said:
    """How the last artifact of this work was lost, and the record that says so."""
    found: Holders = {job: {}}
    before, lost = Holders(), None
    for record in _walk(past, found, upto):
        if _has(before, job, digest) and not _has(found, job, digest):
            lost = record, before
        before = {job: dict(found[job])}
    if lost is None:
        return "the log does not tell how", ()
    record, before = lost
    [*_, last] = [id_ for id_, held in before[job].items() if held in (digest, "")]
    match record.event:
        case ArtifactDropped(reason="evicted"):
            how = f"{worker(last)} had dropped it"
        case ArtifactDropped(reason=reason):
            how = f"{worker(last)} was said to hold it, but it was {reason}"
        case WorkerLost(reason=reason):
            how = f"{worker(last)}, which held it, was lost: {because(reason)}"
        case _:
            how = f"{worker(last)} made other work under the same id"
    return f"{how} (record {record.position})", (record.position,)


def _has(found: Holders, job: JobId, digest: SpecDigest) -> bool:
    return any(held in (digest, "") for held in found.get(job, {}).values())


def _walk(past: Then, found: Holders, upto: Position) -> Iterator[Record]:
    """Keep `found` up with each record that may change it."""
    digests: dict[tuple[BuildId, JobId], SpecDigest] = {}
    workers: dict[LeaseId, WorkerId] = {}
    for record in _told_of(past, found, upto):
        match record.event:
            case JobQueued(build=build, job=job, digest=digest):
                digests[build, job] = digest
            case JobLeased(lease=lease, worker=who):
                # What those who ask for typed jobs make lies with the coordinator.
                workers[lease] = COORDINATOR if who.startswith(ASKING) else who
            case JobSucceeded(build=build, job=job, lease=lease):
                found[job][workers[lease]] = digests[build, job]
            case ArtifactCached(worker=who, job=job, digest=digest):
                found[job][who] = digest
            case ArtifactDropped(worker=who, job=job):
                found[job].pop(who, None)
            case WorkerLost(worker=who):
                for held in found.values():
                    held.pop(who, None)
            case _:
                pass  # nothing else was asked for
        yield record


def _told_of(past: Then, jobs: Collection[JobId], upto: Position) -> list[Record]:
    about = past.find(types=_TYPES, jobs=jobs, upto=upto)
    return sorted([*about, *past.find(types=("WorkerLost",), upto=upto)], key=attrgetter("position"))
