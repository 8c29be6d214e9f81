"""Why did the job run again: how did each attempt before the last one end?"""

from collections.abc import Iterator
from itertools import pairwise

from events.catalog import (
    ArtifactDropped,
    JobLeased,
    JobReleased,
    JobReopened,
    JobReused,
    JobSucceeded,
    Record,
    WorkerLost,
)
from events.hindsight.why.answers import Answer, Question, Said
from events.hindsight.why.holding import loss
from events.hindsight.why.inquiry import Inquiry
from events.hindsight.why.restarts import RESTARTS, badly
from events.hindsight.why.then import told
from events.hindsight.words import because, listed, seconds, worker
from events.log import Subject


def explain(asked: Inquiry) -> Iterator[Answer]:
    """One answer for each time that the job was taken back, in order."""
    done: Record | None = None
    for before, record in pairwise([asked.started, *asked.history]):
        match record.event:
            case JobReleased():
                yield _released(asked, before, record)
            case JobSucceeded() | JobReused():
                done = record
            case JobReopened():
                assert done is not None, "only what has succeeded is taken back"
                yield _reopened(asked, done, record)
            case _:
                pass  # the job goes on as anybody would expect


def _released(asked: Inquiry, leased: Record, record: Record) -> Answer:
    lease, event = told(leased, JobLeased), told(record, JobReleased)
    cause, records = _cause(asked, leased, record)
    text = (
        f"attempt {lease.attempt} on {worker(lease.worker)}, from record {leased.position} on, was taken back"
        f" after {seconds(record.at - leased.at)}, at record {record.position}: {cause}"
    )
    return Answer.about(record, Question.AGAIN, event.reason, (text, (leased.position, *records)))


def _cause(asked: Inquiry, leased: Record, record: Record) -> Said:
    lease, reason = told(leased, JobLeased), told(record, JobReleased).reason
    match reason:
        case "worker-lost":
            return _loss(asked, lease, record)
        case "lease-ran-out":
            heard = asked.past.last_word(lease.worker, upto=record.position)
            if heard is None:
                return because(reason), ()
            silence = seconds(record.at - heard.at)
            return f"nothing was heard of the worker for {silence}, since record {heard.position}", ()
        case "never-taken":
            return "the worker went on reporting, but never that it runs this job", ()
        case "artifact-unavailable":
            return _unfetched(asked, lease, record)
        case _ if reason in RESTARTS:
            return badly(asked, leased, record)
        case _:
            return because(reason), ()


def _loss(asked: Inquiry, lease: JobLeased, record: Record) -> Said:
    lost = asked.past.first(
        subject=Subject.worker(lease.worker), types=("WorkerLost",), after=record.position
    )
    if lost is None:
        return because("worker-lost"), ()
    why = because(told(lost, WorkerLost).reason)
    return f"the worker was lost at record {lost.position}: {why}", (lost.position,)


def _unfetched(asked: Inquiry, lease: JobLeased, record: Record) -> Said:
    """Which dependencies the worker said, in the same report, that it could not fetch, and from whom."""
    heard = asked.past.last_report(lease.worker, upto=record.position)
    lost = getattr(heard.event, "lost", {}).get(lease.lease, ()) if heard else ()
    if heard is None or not lost:
        return because("artifact-unavailable"), ()
    dropped = asked.past.find(
        types=("ArtifactDropped",), jobs=lost, after=heard.position, upto=record.position
    )
    holders = {told(each, ArtifactDropped).job: told(each, ArtifactDropped).worker for each in dropped}
    lacks = [
        asked.graph.name(job) + (f" from {worker(holders[job])}" if job in holders else "") for job in lost
    ]
    return f"the worker could not fetch {listed(lacks)} (record {heard.position})", (heard.position,)


def _reopened(asked: Inquiry, done: Record, record: Record) -> Answer:
    event = told(record, JobReopened)
    how = "an earlier result was reused" if isinstance(done.event, JobReused) else "it succeeded"
    cause, records = loss(asked.past, asked.job, asked.digest(record.position), record.position)
    later = seconds(record.at - done.at)
    text = (
        f"{how} at record {done.position}, but {later} later, at record {record.position}, its artifact was"
        f" gone while the build still needed it: {cause}"
    )
    return Answer.about(record, Question.AGAIN, event.reason, (text, (done.position, *records)))
