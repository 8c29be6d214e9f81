"""What became of a job in one line: how long it waited and for what, where it ran, why it ran again."""

from collections.abc import Iterator
from itertools import zip_longest

from events.catalog import (
    JobBlocked,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobReleased,
    JobReopened,
    JobReused,
    JobSucceeded,
    Record,
    WorkerLost,
)
from events.hindsight.why import queueing
from events.hindsight.why.answers import Step
from events.hindsight.why.ending import failure
from events.hindsight.why.inquiry import Inquiry
from events.hindsight.why.restarts import RESTARTS, badly
from events.hindsight.why.then import DONE, STATUS_AFTER, told
from events.hindsight.words import because, listed, seconds, worker
from events.ids import Position
from events.log import Subject
from events.transitions import JobStatus

# A shorter wait is none.
WAIT_SECONDS = 0.1
# Of so many waits it is told what they were for: to find that out takes a look at all workers each time.
REASONS_MAX = 8


def chain(asked: Inquiry) -> Iterator[Step]:
    """Step by step, up to what the job does at the position that is asked about."""
    leased, reasons = asked.started, 0
    for record, end in zip_longest([asked.started, *asked.history], asked.history):
        yield from _event(asked, leased, record)
        match STATUS_AFTER.get(type(record.event).__name__, JobStatus.BLOCKED):
            case JobStatus.BLOCKED:
                yield from _blocked(asked, record, end)
            case JobStatus.QUEUED if end is None or end.at - record.at >= WAIT_SECONDS:
                reasons += 1
                yield _queued(asked, record, end, says_why=reasons <= REASONS_MAX)
            case JobStatus.RUNNING:
                leased = record
                yield _ran(asked, record, end)
            case _:
                pass  # it did not wait, or the event itself says all


def _lasted(asked: Inquiry, record: Record, end: Record | None) -> float:
    return (end.at if end else asked.past.at) - record.at


def _event(asked: Inquiry, leased: Record, record: Record) -> Iterator[Step]:
    """What moved the job, where that is not told by what it did then."""
    match record.event:
        case JobReleased():
            yield Step.of(record, "released", _lost(asked, leased, record))
        case JobSucceeded():
            yield Step.of(record, "succeeded", "succeeded")
        case JobReused():
            yield Step.of(record, "reused", "an earlier result was reused")
        case JobFailed(error=error, exit_code=code):
            is_all = code >= 0 and (not error or str(code) in error)
            yield Step.of(
                record, "failed", f"failed exit {code}" if is_all else f"failed: {failure(record.event)}"
            )
        case JobCancelled(reason=reason):
            yield Step.of(record, "cancelled", f"cancelled: {because(reason)}")
        case JobReopened():
            yield Step.of(record, "reopened", "its artifact was lost while it was needed")
        case JobBlocked():
            yield Step.of(record, "blocked", "the artifact of a dependency was lost")
        case _:
            pass


def _blocked(asked: Inquiry, record: Record, end: Record | None) -> Iterator[Step]:
    """For the build's source files first, then for the last of the dependencies."""
    subject = Subject.build(asked.build)
    ready = asked.past.first(subject=subject, types=("SourcesReady",), upto=end.position if end else None)
    if record is asked.started:
        there = ready or end
        waited = _lasted(asked, record, there)
        if waited >= WAIT_SECONDS or not there:
            yield Step.of(record, "uploading", f"{_verb(there)} {seconds(waited)} for source files")
    since = ready if ready and ready.position > record.position else record
    waited = _lasted(asked, since, end)
    if ready and (end is None or waited >= WAIT_SECONDS):
        yield Step.of(since, "blocked", f"{_verb(end)} {seconds(waited)} for {_dependency(asked, end)}")


def _verb(end: Record | None) -> str:
    return "waited" if end else "waiting"


def _dependency(asked: Inquiry, end: Record | None) -> str:
    """The last that came; or all that have not come, if it is not over."""
    deps = tuple(dict.fromkeys(asked.graph.deps(asked.job)))
    if end is None:
        undone = [id_ for id_ in deps if asked.past.status(asked.build, id_) is not DONE]
        return listed([asked.graph.name(id_) for id_ in undone]) or "its turn"
    types = ("JobReused", "JobSucceeded")
    last = deps and asked.past.last(
        subject=Subject.build(asked.build), jobs=deps, types=types, upto=end.position
    )
    if not last or isinstance(end.event, JobCancelled):
        return "its dependencies"
    assert isinstance(last.event, JobReused | JobSucceeded)
    return asked.graph.name(last.event.job)


def _queued(asked: Inquiry, record: Record, end: Record | None, *, says_why: bool) -> Step:
    """The reason is that of the moment in which it was queued; if it still is, that of now."""
    upto = _end_of_moment(asked, record, end) if end else asked.past.upto
    text = f"queued {seconds(_lasted(asked, record, end))}"
    why = f": {queueing.brief(asked.as_of(upto))}" if says_why else ""
    return Step.of(record, "queued", text + why)


def _end_of_moment(asked: Inquiry, record: Record, end: Record) -> Position:
    """The last record of the same time: all that was decided together with it has happened then."""
    low, high = record.position, Position(end.position - 1)
    while low < high:
        middle = Position((low + high + 1) // 2)
        if asked.past.record(middle).at <= record.at:
            low = middle
        else:
            high = Position(middle - 1)
    return low


def _ran(asked: Inquiry, record: Record, end: Record | None) -> Step:
    lease = told(record, JobLeased)
    who = lease.worker.removeprefix("http://")
    what = f"attempt {lease.attempt}" if lease.attempt > 1 else ("ran" if end else "running")
    return Step.of(record, "running", f"{what} on {who} {seconds(_lasted(asked, record, end))}")


def _lost(asked: Inquiry, leased: Record, record: Record) -> str:
    lease, reason = told(leased, JobLeased), told(record, JobReleased).reason
    who = worker(lease.worker)
    match reason:
        case "worker-lost":
            of_worker = Subject.worker(lease.worker)
            lost = asked.past.first(subject=of_worker, types=("WorkerLost",), after=record.position)
            how = told(lost, WorkerLost).reason if lost else "gone"
            return f"lost: {who} {_silence(asked, lease, record) if how == 'silent' else how}"
        case "lease-ran-out":
            return f"lost: {who} {_silence(asked, lease, record)}"
        case _ if reason in RESTARTS:
            return badly(asked, leased, record)[0]
        case _:
            return f"taken back from {who}: {because(reason)}"


def _silence(asked: Inquiry, lease: JobLeased, record: Record) -> str:
    heard = asked.past.last_word(lease.worker, upto=record.position)
    return f"silent {seconds(record.at - heard.at)}" if heard else "silent"
