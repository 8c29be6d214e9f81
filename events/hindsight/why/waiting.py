"""Why is the job waiting: for sources, for which dependencies and what they wait for, or for a worker?"""

from collections.abc import Iterator, Sequence

from events.catalog import JobLeased, Record, SourceDropped, SourceStored
from events.hindsight.why import queueing
from events.hindsight.why.answers import Answer, Question
from events.hindsight.why.inquiry import Inquiry
from events.hindsight.why.then import DONE, STATUS_AFTER, told
from events.hindsight.words import LISTED_MAX, count, listed, worker
from events.ids import JobId, SourceId
from events.log import Subject
from events.transitions import JobStatus

# Of a long chain of dependencies so many are named at its beginning; its end always is.
NAMED_MAX = 3


def explain(asked: Inquiry) -> Iterator[Answer]:
    """For what, down to what keeps it from being there."""
    if asked.status is JobStatus.QUEUED:
        yield queueing.explain(asked)
    elif not _is_running(asked):
        yield _uploading(asked)
    else:
        yield from _dependencies(asked)


def _is_running(asked: Inquiry) -> bool:
    return asked.past.first(subject=Subject.build(asked.build), types=("SourcesReady",)) is not None


def _uploading(asked: Inquiry) -> Answer:
    """The build's sources are not there, or its client has not said that they all are."""
    sources, stored = asked.graph.sources, _stored(asked)
    missing = [path for path, id_ in sources.items() if id_ not in stored]
    if not missing:
        text = "all source files are there, but the client has not said that its upload is done"
        return Answer.about(asked.started, Question.WAITING, "upload-not-done", (text, ()))
    own = [path for path in asked.added.inputs if path in missing]
    many = f"{len(missing)} of {count(len(sources), 'source file')} of the build are not there"
    reads = f"this job reads {listed(own)}" if own else "this job reads none of them"
    text = f"{many}: {listed(missing)}; {reads}"
    return Answer.about(asked.started, Question.WAITING, "sources-missing", (text, ()))


def _stored(asked: Inquiry) -> set[SourceId]:
    stored: set[SourceId] = set()
    for record in asked.past.find(types=("SourceStored", "SourceDropped")):
        match record.event:
            case SourceStored(source=source):
                stored.add(source)
            case SourceDropped(source=source):
                stored.discard(source)
            case _:
                pass  # nothing else was asked for
    return stored


def _dependencies(asked: Inquiry) -> Iterator[Answer]:
    """Those that are not done, together with others that wait for the same."""
    undone = _undone(asked, asked.job)
    if not undone:
        yield _dependency(asked.last, "every dependency is there: it is queued with the next records")
    groups: dict[tuple[object, ...], list[JobId]] = {}
    for dependency in undone:
        chain = _chain(asked, dependency)
        is_queued = asked.past.status(asked.build, dependency) is JobStatus.QUEUED
        key = ("queued",) if is_queued else tuple(chain[1:]) or (dependency,)
        groups.setdefault(key, []).append(dependency)
    for group in list(groups.values())[:LISTED_MAX]:
        yield _group(asked, group)
    if rest := sum(map(len, list(groups.values())[LISTED_MAX:])):
        yield _dependency(asked.last, f"for {rest} more of its {len(set(asked.added.deps))} dependencies")


def _dependency(record: Record, text: str) -> Answer:
    return Answer.about(record, Question.WAITING, "dependency", (text, ()))


def _group(asked: Inquiry, dependencies: Sequence[JobId]) -> Answer:
    """The dependencies, and the chain from them down to what keeps it from going on."""
    tail = _chain(asked, dependencies[0])[1:]
    asked.graph.fetch((*dependencies, *tail))
    names = [asked.graph.name(id_) for id_ in tail]
    if len(names) > NAMED_MAX:
        names = [*names[: NAMED_MAX - 1], f"… {len(names) - NAMED_MAX} more …", names[-1]]
    links = "".join(f" ← {name}" for name in names)
    heads = listed([asked.graph.name(id_) for id_ in dependencies])
    root = _moved_last(asked, tail[-1] if tail else dependencies[0])
    state = _state(asked, root, is_one=bool(tail) or len(dependencies) == 1)
    return _dependency(root or asked.last, f"for {heads}{links}, which {state}")


def _chain(asked: Inquiry, dependency: JobId) -> list[JobId]:
    """From the dependency to a job that waits for no other."""
    chain = [dependency]
    while asked.past.status(asked.build, chain[-1]) is JobStatus.BLOCKED:
        undone = _undone(asked, chain[-1])
        if not undone:
            break
        chain.append(min(undone, key=lambda id_: _NEARNESS[asked.past.status(asked.build, id_)]))
    return chain


# Of several things that a job waits for, the most telling: what runs, what could, what cannot yet.
_NEARNESS = {
    JobStatus.RUNNING: 0,
    JobStatus.QUEUED: 1,
    JobStatus.BLOCKED: 2,
    JobStatus.FAILED: 3,
    JobStatus.CANCELLED: 4,
}


def _undone(asked: Inquiry, job: JobId) -> list[JobId]:
    deps = dict.fromkeys(asked.graph.deps(job))
    return [id_ for id_ in deps if asked.past.status(asked.build, id_) is not DONE]


def _moved_last(asked: Inquiry, job: JobId) -> Record | None:
    """What moved the job at the end of a chain; None if nothing ever did."""
    move = asked.past.last_moves(asked.build).get(job)
    return asked.past.record(move[0]) if move else None


def _state(asked: Inquiry, record: Record | None, *, is_one: bool) -> str:
    """What becomes of the job that was moved by the record."""
    be = "is" if is_one else "are"
    status = STATUS_AFTER[type(record.event).__name__] if record else JobStatus.BLOCKED
    if record is None or status is JobStatus.BLOCKED:
        return f"{be} queued with the next records"
    since = f"since record {record.position}, for {asked.ago(record)}"
    match status:
        case JobStatus.RUNNING:
            return f"runs on {worker(told(record, JobLeased).worker)} {since}"
        case JobStatus.QUEUED:
            job: JobId = record.event.job  # type: ignore[union-attr]  # all that move a job name it
            queued = Inquiry(asked.past, asked.started, job, asked.past.history(asked.build, job))
            return f"{be} queued {since}: {queueing.explain(queued).text}"
        case _:
            return f"{status} at record {record.position}"
