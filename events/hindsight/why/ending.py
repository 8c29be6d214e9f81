"""Why did the job fail, or why was it cancelled?"""

from collections.abc import Iterator

from events.catalog import JobCancelled, JobFailed, Record, SignalReceived, SourceDropped
from events.hindsight.why.answers import Answer, Question
from events.hindsight.why.inquiry import Inquiry
from events.hindsight.why.standing import ran
from events.hindsight.why.then import told
from events.hindsight.words import because, short
from events.ids import JobId
from events.log import Subject
from events.transitions import JobStatus


def explain(asked: Inquiry) -> Iterator[Answer]:
    """One answer, with what stands behind the reason code."""
    record = asked.last
    if isinstance(record.event, JobFailed):
        yield Answer.about(record, Question.ENDED, "failed", (failure(record.event), ()))
        return
    reason = told(record, JobCancelled).reason
    match reason:
        case "build-failed":
            cause, text = _first_failure(asked, record)
        case "dependency-failed":
            cause, text = _failed_dependency(asked)
        case "build-cancelled":
            cause, text = _cancelled(asked, record)
        case "source-lost":
            cause, text = _lost_source(asked, record)
        case _:
            cause, text = None, because(reason)
    others = () if cause is None else (cause.position,)
    yield Answer.about(record, Question.ENDED, reason, (text, others))


def failure(event: JobFailed) -> str:
    """`exit 2, exit status 2`."""
    said = event.error or "no reason was given"
    return said if event.exit_code < 0 or str(event.exit_code) in said else f"exit {event.exit_code}, {said}"


def _first_failure(asked: Inquiry, record: Record) -> tuple[Record | None, str]:
    failed = asked.past.last(subject=Subject.build(asked.build), types=("JobFailed",), upto=record.position)
    if failed is None:
        return None, because("build-failed")
    return failed, f"{_failed(asked, failed)}, and the build does not keep going"


def _failed(asked: Inquiry, record: Record) -> str:
    event = told(record, JobFailed)
    other = Inquiry(asked.past, asked.started, event.job, asked.past.history(asked.build, event.job))
    return f"{other.name} failed{ran(other, record)}, at record {record.position} ({failure(event)})"


def _failed_dependency(asked: Inquiry) -> tuple[Record | None, str]:
    """The failure at the end of the chain of dependencies that did not run."""
    chain: list[JobId] = [asked.job]
    while True:
        below = [id_ for id_ in asked.graph.deps(chain[-1]) if _stopped(asked, id_)]
        if not below:
            return None, because("dependency-failed")
        chain.append(below[0])
        position, type_, _ = asked.past.last_moves(asked.build)[chain[-1]]
        if type_ == "JobFailed":
            break
    failed = asked.past.record(position)
    between = "".join(f"{asked.graph.name(id_)}, which needs " for id_ in chain[1:-1])
    return failed, f"it needs {between}{asked.graph.name(chain[-1])}: {_failed(asked, failed)}"


def _stopped(asked: Inquiry, job: JobId) -> bool:
    return asked.past.status(asked.build, job) in (JobStatus.FAILED, JobStatus.CANCELLED)


def _cancelled(asked: Inquiry, record: Record) -> tuple[Record | None, str]:
    signal = asked.past.last(
        subject=Subject.build(asked.build), types=("SignalReceived",), upto=record.position
    )
    if signal is None or told(signal, SignalReceived).signal != "cancel":
        return None, because("build-cancelled")
    why = told(signal, SignalReceived).reason
    return signal, f"the build was cancelled at record {signal.position}" + (f": {why}" if why else "")


def _lost_source(asked: Inquiry, record: Record) -> tuple[Record | None, str]:
    dropped = asked.past.last(types=("SourceDropped",), upto=record.position)
    if dropped is None:
        return None, because("source-lost")
    event = told(dropped, SourceDropped)
    paths = [path for path, id_ in asked.graph.sources.items() if id_ == event.source]
    name = paths[0] if paths else short(event.source)
    return dropped, f"the source file {name} was lost at record {dropped.position}: {event.reason}"
