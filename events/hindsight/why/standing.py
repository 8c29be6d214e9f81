"""What is the status of the job, and since when?"""

from events.catalog import (
    JobBlocked,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobQueued,
    JobReleased,
    JobReopened,
    JobReused,
    JobSucceeded,
    Record,
)
from events.hindsight.why.answers import Answer, Question
from events.hindsight.why.inquiry import Inquiry
from events.hindsight.why.then import told
from events.hindsight.words import seconds, worker


def standing(asked: Inquiry) -> Answer:
    """The status, as the last change says."""
    last = asked.last
    return Answer.about(last, Question.STATUS, str(asked.status), (_said(asked, last), ()))


def ran(asked: Inquiry, end: Record) -> str:
    """Where the run that `end` ended was, and how long it took; empty if nothing ran."""
    before = [record for record in asked.history if record.position < end.position]
    if not before or not isinstance(before[-1].event, JobLeased):
        return ""
    return f" on {worker(before[-1].event.worker)} after {seconds(end.at - before[-1].at)}"


def _said(asked: Inquiry, last: Record) -> str:
    since = f"since record {last.position}, {asked.ago(last)} ago"
    match last.event:
        case JobBlocked():
            return f"blocked again {since}"
        case JobReopened():
            return f"has to run again {since}"
        case JobQueued() | JobReleased():
            return f"queued {since}{_next_attempt(asked)}"
        case JobLeased():
            return _running(asked, last, last.event)
        case JobSucceeded():
            return f"succeeded{ran(asked, last)}, at record {last.position}"
        case JobReused() if asked.moved_by(JobSucceeded):
            return f"has its earlier result back, at record {last.position}"
        case JobReused():
            return f"did not run: an earlier result was reused, at record {last.position}"
        case JobFailed():
            return f"failed{ran(asked, last)}, at record {last.position}"
        case JobCancelled():
            return f"cancelled{ran(asked, last)}, at record {last.position}"
        case _:
            return f"blocked since its build began at record {last.position}, {asked.ago(last)} ago"


def _next_attempt(asked: Inquiry) -> str:
    leases = asked.moved_by(JobLeased)
    return f", for attempt {told(leases[-1], JobLeased).attempt + 1}" if leases else ""


def _running(asked: Inquiry, last: Record, lease: JobLeased) -> str:
    again = f", attempt {lease.attempt}" if lease.attempt > 1 else ""
    who = worker(lease.worker)
    heard = asked.past.last_word(lease.worker, after=last.position)
    word = (
        f"{who} was last heard of at record {heard.position}, {asked.ago(heard)} ago"
        if heard
        else f"{who} has not been heard of since"
    )
    return f"running on {who} since record {last.position}, for {asked.ago(last)}{again}; {word}"
