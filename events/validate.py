"""Everything that must hold of State between two commands, said once more in the slowest and plainest way.

`fold` keeps counters and indexes as it goes; here each is computed anew from what it stands for. Tests ask
after every step; it costs a walk over the whole state, some 5 µs a job, so a running coordinator takes
samples. Within a command a relation may be half done: the lease before its other builds, the loss before
its cure.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from events.folding.jobs import serves
from events.ids import ANONYMOUS, COORDINATOR, BuildId, JobId
from events.model import Job
from events.queue import ANY_WORKER, Kind, Queue, kind_of
from events.state import Graph, State
from events.transitions import JOB_ENDED, REQUEST_ENDED, BuildStatus, JobStatus, RequestStatus


class Inconsistent(AssertionError):
    """A bug: State contradicts itself; each line of the text names one contradiction."""


def validate(state: State) -> None:
    """Raise `Inconsistent` unless everything agrees with everything else."""
    _raise_all(problem for name in CHECKS for problem in problems(state, name))


def problems(state: State, name: str) -> list[str]:
    """What one of the `CHECKS` finds; nothing if all is well."""
    return list(_found(name, CHECKS[name](state)))


def validate_build(state: State, build: BuildId) -> None:
    """Raise `Inconsistent` unless this build's jobs agree with each other and with the rest."""
    _raise_all(_found(f"jobs of build {build}", _graph(state, build)))


def _raise_all(found: Iterable[str]) -> None:
    wrong = list(found)
    if wrong:
        raise Inconsistent("\n".join(wrong))


def _found(what: str, problems: Iterator[str]) -> Iterator[str]:
    try:
        yield from problems
    except KeyError as error:
        yield f"{what} refer to {error}, which is not there"


def _builds(state: State) -> Iterator[str]:
    active = {id_ for id_, build in state.builds.items() if not build.has_ended}
    yield from _same("builds that have a graph", set(state.graphs), set(state.builds))
    yield from _same("active builds", set(state.active), active)
    keys = {build.key: id_ for id_, build in state.builds.items() if build.key}
    yield from _same("keys", state.keys, keys)
    for id_, build in state.builds.items():
        statuses = {job.status for job in state.graphs[id_].jobs.values()}
        yield from _same(f"jobs of build {id_}", len(state.graphs[id_].jobs), build.job_count)
        if build.has_ended and not statuses <= JOB_ENDED:
            yield f"build {id_} has {build.status}, some of its jobs have not ended"
        if build.status is BuildStatus.RUNNING and statuses <= JOB_ENDED:
            yield f"build {id_} runs, all of its jobs have ended"
        if build.status is BuildStatus.RUNNING and state.missing_sources(id_):
            yield f"build {id_} runs without its sources {state.missing_sources(id_)}"
        if build.status is BuildStatus.UPLOADING and not statuses <= {JobStatus.BLOCKED}:
            yield f"build {id_} uploads, some of its jobs do not wait"


def _graphs(state: State) -> Iterator[str]:
    for build in state.graphs:
        yield from _graph(state, build)


def _graph(state: State, build: BuildId) -> Iterator[str]:
    graph = state.graphs[build]
    tally = Counter(job.status for job in graph.jobs.values())
    yield from _same(f"tally of build {build}", graph.tally, {s: tally[s] for s in JobStatus})
    failed = {id_ for id_, job in graph.jobs.items() if job.status is JobStatus.FAILED}
    yield from _same(f"failures of build {build}", set(graph.failures), failed)
    dependents: dict[JobId, list[JobId]] = {}
    for id_, job in graph.jobs.items():
        for dependency in dict.fromkeys(job.spec.deps):
            dependents.setdefault(dependency, []).append(id_)
    yield from _same(f"dependents in build {build}", graph.dependents, dependents)
    for job in graph.jobs.values():
        yield from _job(state, build, graph, job)


def _job(state: State, build: BuildId, graph: Graph, job: Job) -> Iterator[str]:
    name = f"job {job.id} of build {build}"
    undone = {id_ for id_ in job.spec.deps if not serves(graph.jobs[id_], job)}
    yield from _same(f"dependencies that {name} waits for", job.waits_for, len(undone))
    queue = graph.queues.get(kind_of(job.spec), Queue())
    yield from _same(f"{name} stands in line", job.id in queue.places, job.status is JobStatus.QUEUED)
    if job.status is JobStatus.QUEUED and undone:
        yield f"{name} is queued, yet waits for {undone}"
    runs = state.builds[build].status is BuildStatus.RUNNING
    if runs and job.status is JobStatus.BLOCKED and not undone:
        yield f"{name} is blocked, yet waits for nothing"
    dependents = graph.dependents.get(job.id, ())
    needed = not dependents or any(graph.jobs[id_].status not in JOB_ENDED for id_ in dependents)
    if runs and needed and job.status is JobStatus.SUCCEEDED and state.locate(job.id, job.digest) is None:
        yield f"{name} has succeeded and is needed, yet nobody holds its artifact"


def _queues(state: State) -> Iterator[str]:
    queued: dict[JobId, set[BuildId]] = {}
    waiting: dict[Kind, set[BuildId]] = {}
    for build, graph in state.graphs.items():
        for kind, queue in graph.queues.items():
            waiting.setdefault(kind, set()).add(build)
            for job in queue.places:
                queued.setdefault(job, set()).add(build)
            yield from _queue(build, kind, graph, queue)
    yield from _same("queued jobs", {job: set(builds) for job, builds in state.queued.items()}, queued)
    yield from _same("kinds that take turns", set(state.rotation), set(waiting))
    for kind, rotation in state.rotation.items():
        turns = {build: priority for priority, line in rotation.lines.items() for build in line}
        priorities = {build: state.builds[build].priority for build in waiting.get(kind, ())}
        yield from _same("builds that take turns", turns, priorities)
        places = list(rotation.places())
        if not all(rotation.lines.values()) or places != sorted(set(places)):
            yield f"turns of {kind} are not in their order: {rotation.lines}"


def _queue(build: BuildId, kind: Kind, graph: Graph, queue: Queue) -> Iterator[str]:
    if not queue.places:
        yield f"build {build} keeps an empty queue for {kind}"
    for line, jobs in queue.lines.items():
        if not jobs:
            yield f"build {build} keeps the empty line {line}"
    standing = {(line, job) for line, jobs in queue.lines.items() for job in jobs}
    places = {(line, job) for job, lines in queue.places.items() for line in lines}
    yield from _same(f"places in the queue of build {build}", places, standing)
    for job, lines in queue.places.items():
        yield from _same(f"kind of job {job} of build {build}", kind, kind_of(graph.jobs[job].spec))
        if [line.worker for line in lines].count(ANY_WORKER) != 1:
            yield f"job {job} of build {build} does not stand in one line for any worker: {lines}"


def _leases(state: State) -> Iterator[str]:
    running = {
        (build, job.lease, job.worker, job.id, job.digest)
        for build, graph in state.graphs.items()
        for job in graph.jobs.values()
        if job.status is JobStatus.RUNNING
    }
    leases = state.leases.values()
    leased = {(build, a.id, a.worker, a.job, a.digest) for a in leases for build in a.builds}
    yield from _same("leases of running jobs", leased, running)
    yield from _same("leases by work", state.running, {(a.job, a.digest): a.id for a in leases})
    by_worker = {(a.worker, a.job): a.id for a in leases}
    found = {(w, job): id_ for w, held in state.leases_of.items() for job, id_ in held.items()}
    yield from _same("leases by worker", found, by_worker)
    yield from _same("number of leases by worker", len(by_worker), len(state.leases))
    for lease in leases:
        if not lease.builds or len(set(lease.builds)) < len(lease.builds):
            yield f"lease {lease.id} is for the builds {lease.builds}"
        for build in state.queued.get(lease.job, ()):
            if state.graphs[build].jobs[lease.job].digest == lease.digest:
                yield f"job {lease.job} is queued in build {build} beside the lease {lease.id} for it"


def _typed(state: State) -> Iterator[str]:
    typed = {a.id for a in state.leases.values() if state.graphs[a.builds[0]].jobs[a.job].spec.job_type}
    yield from _same("leases of typed jobs", set(state.heard), typed)
    yield from _in_order("leases", list(state.heard.values()), state.at)
    for id_ in typed:
        if not state.workers[state.leases[id_].worker].asking:
            yield f"lease {id_} of a typed job is held by {state.leases[id_].worker}"
    if not state.cancelled.keys().isdisjoint(state.leases):
        yield f"cancelled leases live: {state.cancelled.keys() & state.leases.keys()}"


def _in_order(what: str, times: list[float], now: float) -> Iterator[str]:
    if times != sorted(times) or any(time > now for time in times):
        yield f"{what} are not in the order of their silence: {times} at {now}"


def _workers(state: State) -> Iterator[str]:
    alive = {id_ for id_, worker in state.workers.items() if worker.alive}
    asking = {id_ for id_ in alive if state.workers[id_].asking}
    yield from _same("workers that may fall silent", set(state.silence), alive - asking)
    yield from _same("asking workers that may fall silent", set(state.askers), asking - {ANONYMOUS})
    for index in (state.silence, state.askers):
        yield from _in_order("workers", [state.workers[id_].last_seen for id_ in index], state.at)
    for id_, held in state.leases_of.items():
        if len(held) > state.workers[id_].capacity:
            yield f"worker {id_} has room for {state.workers[id_].capacity}, not for {list(held.values())}"
    busy = {id_ for id_, held in state.leases_of.items() if held}
    for what, workers in (("leases", busy), ("artifacts", set(state.held)), ("revoked", set(state.revoked))):
        if not workers <= {*alive, COORDINATOR}:
            yield f"workers {workers - alive} are gone, yet have {what}"
    for id_, revoked in state.revoked.items():
        live = state.leases_of.get(id_, {}).values()
        if not revoked or not state.workers[id_].native or not revoked.keys().isdisjoint(live):
            yield f"worker {id_} is told to let go of {list(revoked)}"


def _artifacts(state: State) -> Iterator[str]:
    holders = {(worker, job) for job, held in state.holders.items() for worker in held}
    held = {(worker, job) for worker, jobs in state.held.items() for job in jobs}
    yield from _same("artifacts by worker", held, holders)
    for job, workers in state.holders.items():
        if not workers:
            yield f"job {job} has an empty list of holders"


def _files(state: State) -> Iterator[str]:
    for id_, file in state.files.items():
        source = state.sources.get(file.source)
        if source is None or (source.blob, source.size) != (file.blob, file.size):
            yield f"file {id_} is not the source {file.source}: {source}"
    unkept = {id_ for id_ in state.graphs if _is_unkept(state, id_)}
    yield from _same("builds whose outputs are not kept", set(state.unkept), unkept)


def _is_unkept(state: State, build: BuildId) -> bool:
    graph, status = state.graphs[build], state.builds[build].status
    if graph.outputs is not None or status not in (BuildStatus.SUCCEEDED, BuildStatus.FAILED):
        return False
    return any(job.spec.outputs for job in graph.jobs.values())


def _containers(state: State) -> Iterator[str]:
    for id_, graph in state.graphs.items():
        for job in {**graph.containers, **graph.restarts}:
            container = graph.jobs[job].spec.container
            if container is None:
                yield f"job {job} of build {id_} has run in a container and names no image"
            elif graph.restarts.get(job, 0) > container.restarts:
                yield f"job {job} of build {id_} was begun anew {graph.restarts[job]} times"


def _same(what: str, kept: object, computed: object) -> Iterator[str]:
    if kept != computed:
        yield f"{what}: kept are {kept}, there are {computed}"


def _requests(state: State) -> Iterator[str]:
    ended = {id_ for id_, request in state.requests.items() if request.status in REQUEST_ENDED}
    yield from _same("open requests", set(state.open_requests), set(state.requests) - ended)
    logged = {id_ for id_, request in state.requests.items() if request.status is RequestStatus.LOGGED}
    yield from _same("unpublished requests", set(state.unpublished), logged)
    if any(id_ > state.requests_logged for id_ in state.requests):
        yield f"more than {state.requests_logged} requests were logged: {list(state.requests)}"
    numbers = {build.number: id_ for id_, build in state.builds.items() if build.number}
    yield from _same("numbers of builds", state.numbers, numbers)


# By the names that people use for them.
CHECKS: Mapping[str, Callable[[State], Iterator[str]]] = {
    "builds": _builds,
    "graphs": _graphs,
    "queues": _queues,
    "leases": _leases,
    "typed": _typed,
    "workers": _workers,
    "artifacts": _artifacts,
    "requests": _requests,
    "files": _files,
    "containers": _containers,
}
