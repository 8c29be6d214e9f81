"""Why did the job run where it ran?"""

from collections.abc import Iterable, Iterator

from events.catalog import (
    ArtifactCached,
    ArtifactDropped,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobReused,
    JobSucceeded,
    Record,
)
from events.hindsight.why.answers import Answer, Question, Said
from events.hindsight.why.inquiry import Inquiry
from events.hindsight.why.then import Then, told
from events.hindsight.words import because, listed, seconds, short, worker
from events.ids import JobId, LeaseId, Position, WorkerId
from events.log import Subject
from events.queue import Why


def explain(asked: Inquiry) -> Iterator[Answer]:
    """Of the run that counts only; of others it is told why there was another."""
    ended = isinstance(asked.last.event, JobSucceeded | JobFailed | JobCancelled)
    record = asked.history[-2] if ended and len(asked.history) > 1 else asked.last
    if not isinstance(record.event, JobLeased):
        return
    lease = told(record, JobLeased)
    text, others = _because(asked, record, lease)
    text = f"{worker(lease.worker)} got it{_waited(asked, record)}: {text}"
    yield Answer.about(record, Question.PLACE, lease.reason, (text, others))


def _waited(asked: Inquiry, record: Record) -> str:
    queued = [each for each in asked.history if each.position < record.position][-1:]
    waited = record.at - queued[0].at if queued else 0.0
    return f" after {seconds(waited)} in the queue" if waited else " at once"


def _because(asked: Inquiry, record: Record, lease: JobLeased) -> Said:
    settings = asked.past.settings(record.position)
    match lease.reason:
        case Why.FIRST_COME if asked.added.job_type:
            return f"it was the first to ask for jobs of the type {asked.added.job_type}", ()
        case Why.HOLDS_DEPENDENCY:
            return _held(asked, record, lease)
        case Why.HOLDS_RESULT:
            return _said_to_hold(asked, record, lease)
        case Why.FIRST_COME if not asked.added.deps:
            return "it needs no other job, so whoever had room first got it", ()
        case Why.FIRST_COME:
            return "nobody held a dependency, or too many did, so whoever had room first got it", ()
        case Why.WAITED_FOR_DEPENDENCY:
            kept = seconds(settings.deps_timeout)
            return f"it was kept for {kept} for those who hold a dependency, but none had room by then", ()
        case Why.WAITED_FOR_RESULT:
            kept = seconds(settings.cache_timeout + settings.deps_timeout)
            return f"it was kept for {kept} for those who hold its result, but none had room by then", ()
        case Why.SHARED:
            return _shared(asked, record, lease)
        case _:
            return because(lease.reason), ()


def _held(asked: Inquiry, record: Record, lease: JobLeased) -> Said:
    """Which dependencies the worker had, and where it had them from."""
    deps = dict.fromkeys(asked.added.deps)
    held = _holdings(asked.past, lease.worker, deps, record)
    made = _made(asked, held, record) if held else {}
    named = []
    for id_, source in held.items():
        if isinstance(source.event, ArtifactCached):
            named.append((f"{asked.graph.name(id_)} (there since record {source.position})", source.position))
        elif told(source, JobLeased).lease == made.get(id_):
            named.append((f"{asked.graph.name(id_)} (ran there, record {source.position})", source.position))
    if not named:
        return because(lease.reason), ()
    texts, places = zip(*named, strict=True)
    return f"it held {_share(len(named), len(deps))}: {listed(texts)}", tuple(places)


def _share(part: int, whole: int) -> str:
    if part == whole:
        return "all of its dependencies" if whole > 1 else "its dependency"
    return f"{part} of its {whole} dependencies"


def _holdings(past: Then, id_: WorkerId, jobs: dict[JobId, None], before: Record) -> dict[JobId, Record]:
    """The last word on each job that this worker ran or fetched and did not drop."""
    upto = Position(before.position - 1)
    lost = past.last(types=("WorkerLost",), subject=Subject.worker(id_), upto=upto)
    records = past.find(
        subject=Subject.worker(id_),
        jobs=jobs,
        types=("JobLeased", "ArtifactCached", "ArtifactDropped"),
        after=lost.position if lost else 0,
        upto=upto,
    )
    held: dict[JobId, Record] = {}
    for record in records:
        job: JobId = record.event.job  # type: ignore[union-attr]  # all of these name one
        if isinstance(record.event, ArtifactDropped):
            held.pop(job, None)
        elif job not in held or isinstance(record.event, ArtifactCached):
            held[job] = record
    return held


def _made(asked: Inquiry, jobs: Iterable[JobId], before: Record) -> dict[JobId, LeaseId]:
    """The leases in which these jobs were made, as this build knows it."""
    done = asked.past.find(
        subject=Subject.build(asked.build),
        types=("JobSucceeded", "JobReused"),
        jobs=tuple(jobs),
        upto=before.position,
    )
    events = [record.event for record in done]
    return {event.job: event.lease for event in events if isinstance(event, JobSucceeded | JobReused)}


def _said_to_hold(asked: Inquiry, record: Record, lease: JobLeased) -> Said:
    cached = asked.past.last(
        subject=Subject.worker(lease.worker),
        jobs=(asked.job,),
        types=("ArtifactCached",),
        upto=record.position,
    )
    since = f" since record {cached.position}" if cached else ""
    return f"it says that it holds this very artifact{since}", (cached.position,) if cached else ()


def _shared(asked: Inquiry, record: Record, lease: JobLeased) -> Said:
    first = asked.past.lease(lease.lease, record.position)
    if first is None or first.position == record.position:
        return because(lease.reason), ()
    build = told(first, JobLeased).build
    return (
        f"it had been given the same work for build {short(build)}, at record {first.position}",
        (first.position,),
    )
