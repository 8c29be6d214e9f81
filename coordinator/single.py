"""A typed job by itself becomes a build: of the job, and of all that it rests on.

What it depends on was handed in before, so those jobs come along as the very same ones: what has succeeded is
reused, what runs is shared, and what has failed has failed here, too.
"""

from collections.abc import Iterator, Sequence

from attrs import evolve

from clients import composer
from events.catalog import JobAdded
from events.commands import NewJob, StartBuild
from events.decide.builds import new_job
from events.errors import BAD_GRAPH, JOB_CANCELLED, JOB_UNKNOWN, Rejected
from events.ids import BuildId, JobId, SourceId, is_hex40
from events.state import State
from events.transitions import JobStatus

KEY = "job/"


def key_of(uuid: str) -> str:
    """What the build of a job is known by."""
    return f"{KEY}{uuid}"


def single(state: State, job: NewJob, uuid: str, dependencies: Sequence[str]) -> StartBuild:
    """The build of a job that depends on those; raises `Rejected` if one is unknown or was cancelled."""
    found = [_find(state, name) for name in dependencies]
    jobs: dict[JobId, NewJob] = {}
    sources: dict[SourceId, str] = {}
    for build, id_ in found:
        for spec in _resting_on(state, build, id_):
            copy = _same(spec, build)
            if not _is_same(jobs.setdefault(spec.job, copy), copy):
                raise Rejected(BAD_GRAPH, f"the dependencies mean different jobs by {spec.job}")
            sources |= {state.graphs[build].sources[path]: path for path in spec.inputs}
    wanted = NewJob(
        id=job.id,
        name=job.name,
        deps=tuple(id_ for _, id_ in found),
        job_type=job.job_type,
        channel=job.channel,
        args=job.args,
        after_failure=True,
    )
    return StartBuild(
        jobs=(*jobs.values(), wanted),
        sources=sources,
        name=job.name,
        key=key_of(uuid),
        keep_going=True,
        detached=True,
        at_once=True,
    )


def _find(state: State, name: str) -> tuple[BuildId, JobId]:
    """A job that was handed in, by its UUID or, from a graph, by its id there; the latest of that id."""
    digits = composer.hex_of(name)
    build = state.keys.get(key_of(composer.uuid_of(digits))) if digits else None
    if digits is not None and build is not None:
        id_ = JobId(digits.ljust(40, "0"))
        return _unless_cancelled(state, build, id_)
    if is_hex40(name):
        for other in reversed(state.graphs):
            if name in state.graphs[other].jobs:
                return _unless_cancelled(state, other, JobId(name))
    raise Rejected(JOB_UNKNOWN, f"no job {name[:80]!r} was handed in")


def _unless_cancelled(state: State, build: BuildId, id_: JobId) -> tuple[BuildId, JobId]:
    if state.graphs[build].jobs[id_].status is JobStatus.CANCELLED:
        raise Rejected(JOB_CANCELLED, f"job {id_} was cancelled, and what depends on it would wait for ever")
    return build, id_


def _resting_on(state: State, build: BuildId, id_: JobId) -> Iterator[JobAdded]:
    """The job and all that it rests on, each once."""
    jobs, pending = state.graphs[build].jobs, [id_]
    seen = {id_}
    while pending:
        spec = jobs[pending.pop()].spec
        yield spec
        pending += [dep for dep in dict.fromkeys(spec.deps) if dep not in seen]
        seen.update(spec.deps)


def _same(spec: JobAdded, build: BuildId) -> NewJob:
    """What it makes is kept once, by the build that it is from."""
    return evolve(new_job(spec), outputs=(), same_as=build)


def _is_same(one: NewJob, other: NewJob) -> bool:
    return evolve(one, same_as=other.same_as) == other
