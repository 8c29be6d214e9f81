"""Why was no earlier result of the job reused; or why was one?"""

from collections.abc import Iterator

from events.catalog import (
    ArtifactCached,
    BuildStarted,
    JobAdded,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobQueued,
    JobReused,
    JobSucceeded,
    Record,
)
from events.hindsight.why.answers import Answer, Question, Said
from events.hindsight.why.comparing import Comparison, Version
from events.hindsight.why.ending import failure
from events.hindsight.why.holding import loss
from events.hindsight.why.inquiry import Inquiry, called
from events.hindsight.why.then import STATUS_AFTER, told
from events.hindsight.words import LISTED_MAX, because, seconds, short, worker
from events.ids import BuildId, Position
from events.log import Subject
from events.query import saying
from events.transitions import JobStatus

# So many earlier jobs of the same name are looked at for one of a build of the same name.
LOOKED_AT_MAX = 8


def explain(asked: Inquiry) -> Iterator[Answer]:
    """Whether there was one when the job could first have run, and if one turned up later."""
    queued, reused = asked.moved_by(JobQueued), asked.moved_by(JobReused)
    if queued:
        yield _not_reused(asked, queued[0])
    for record in reused:
        yield _reused(asked, record)


def _not_reused(asked: Inquiry, record: Record) -> Answer:
    event = told(record, JobQueued)
    match event.reason:
        case "artifact-gone":
            said = _gone(asked, record)
        case "result-unknown":
            said = because(event.reason), ()
        case _:
            said = _unknown(asked, record)
    return Answer.about(record, Question.NOT_REUSED, event.reason or "never-done", said)


def _gone(asked: Inquiry, record: Record) -> Said:
    """The very work was done; where, and how its artifact was lost."""
    how, records = loss(asked.past, asked.job, told(record, JobQueued).digest, record.position)
    made = asked.past.last(types=("JobSucceeded",), jobs=(asked.job,), upto=record.position)
    if made is None:
        return f"the same work was done before, but nobody holds its artifact: {how}", records
    where = _where(asked, made)
    when = f"{seconds(record.at - made.at)} before{where}, at record {made.position}"
    return f"the same work was done {when}, but its artifact is gone: {how}", (made.position, *records)


def _where(asked: Inquiry, made: Record) -> str:
    event = told(made, JobSucceeded)
    leased = asked.past.lease(event.lease, made.position)
    on = f" on {worker(told(leased, JobLeased).worker)}" if leased else ""
    return on if event.build == asked.build else f"{on}, in {_called(asked, event.build)}"


def _called(asked: Inquiry, build: BuildId) -> str:
    started = asked.past.started(build)
    named = started is not None and isinstance(started.event, BuildStarted)
    return called(build, told(started, BuildStarted).name) if started and named else f"build {short(build)}"


def _unknown(asked: Inquiry, record: Record) -> Said:
    """Nobody remembers a result: what became of the job, or of that of its name, the last time?"""
    before = Position(asked.started.position - 1)
    same = asked.past.last(types=("JobAdded",), jobs=(asked.job,), upto=before)
    if same is not None:
        return _same_id(asked, same, record)
    other = _of_same_name(asked, before)
    if other is None:
        name = "of this name" if asked.added.name else "of this id"
        return f"it never ran before: no earlier build has a job {name}", ()
    earlier = told(other, JobAdded).build
    text = f"in {_called(asked, earlier)}, the last with a job of this name (record {other.position}),"
    return f"{text} it was other work: {_difference(asked, other)}", (other.position,)


def _same_id(asked: Inquiry, added: Record, record: Record) -> Said:
    """The id was there before, in an earlier build."""
    build = told(added, JobAdded).build
    history = [each for each in asked.past.history(build, asked.job) if each.position < record.position]
    where = _called(asked, build)
    if not history or STATUS_AFTER[type(history[-1].event).__name__] not in _ENDED:
        return f"nobody had done it yet: {where} wanted the same work, too", (added.position,)
    end = history[-1]
    places = (added.position, end.position)
    match end.event:
        case JobFailed():
            text = f"the same work failed in {where}, at record {end.position} ({failure(end.event)})"
            return f"{text}, and failures are not kept", places
        case JobCancelled():
            return f"the same work was cancelled in {where}, at record {end.position}", places
        case _ if _digest(history) == told(record, JobQueued).digest:
            return f"it was done in {where}, at record {end.position}, which is no longer remembered", places
        case _:
            text = f"in {where} the same id stood for other work (record {added.position})"
            return f"{text}: {_difference(asked, added)}", places


_ENDED = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.SUCCEEDED)


def _digest(history: list[Record]) -> str:
    made_of = [each.event.digest for each in history if isinstance(each.event, JobQueued | JobReused)]
    return made_of[-1] if made_of else ""


def _of_same_name(asked: Inquiry, before: Position) -> Record | None:
    """The latest earlier job of this name, in a build of the same name if there is one lately."""
    if not asked.added.name:
        return None
    text = saying("name", asked.added.name)
    mine = told(asked.started, BuildStarted).name
    latest: Record | None = None
    for _ in range(LOOKED_AT_MAX):
        found = asked.past.last(types=("JobAdded",), text=text, upto=before)
        if found is None:
            break
        if _name(asked, told(found, JobAdded).build) == mine:
            return found
        latest, before = latest or found, Position(found.position - 1)
    return latest


def _name(asked: Inquiry, build: BuildId) -> str:
    started = asked.past.started(build)
    return told(started, BuildStarted).name if started else ""


def _difference(asked: Inquiry, added: Record) -> str:
    """What changed in the job, or in those that it is made from."""
    before = told(added, JobAdded)
    old, new = _version(asked, before.build), _version(asked, asked.build)
    causes = Comparison(asked.past, old, new).causes(asked.added)
    clauses = [clause for cause in causes if cause.job == asked.job for clause in cause.clauses]
    others = [cause for cause in causes if cause.job != asked.job]
    clauses += [
        f"{asked.graph.name(cause.job)}, which it is made from, changed: {'; '.join(cause.clauses)}"
        for cause in others[:LISTED_MAX]
    ]
    if len(others) > LISTED_MAX:
        clauses.append(f"{len(others) - LISTED_MAX} more of those that it is made from changed")
    return "; ".join(clauses) or "nothing in it differs but its id, which its client chose"


def _version(asked: Inquiry, build: BuildId) -> Version:
    ready = asked.past.first(subject=Subject.build(build), types=("SourcesReady",))
    return Version(asked.past.graph(build), ready.position if ready else asked.past.upto)


def _reused(asked: Inquiry, record: Record) -> Answer:
    """Which run made it, and whether its artifact turned up only after the job was queued."""
    event = told(record, JobReused)
    leased = asked.past.lease(event.lease, record.position)
    turned_up, records = _turned_up(asked, record)
    if leased is None:
        text = f"the same work was done before, in lease {short(event.lease)}{turned_up}"
        return Answer.about(record, Question.REUSED, "reused", (text, records))
    lease = told(leased, JobLeased)
    where = "this build" if lease.build == asked.build else _called(asked, lease.build)
    when = f"from record {leased.position} on, {seconds(record.at - leased.at)} earlier"
    done = f"the same work was done on {worker(lease.worker)} for {where}, {when}"
    text = f"{done}; its artifact is held{turned_up}"
    return Answer.about(record, Question.REUSED, "reused", (text, (leased.position, *records)))


def _turned_up(asked: Inquiry, record: Record) -> Said:
    before = [each for each in asked.history if each.position < record.position][-1:]
    if not before or not isinstance(before[0].event, JobQueued):
        return "", ()
    cached = asked.past.last(
        types=("ArtifactCached",), jobs=(asked.job,), upto=record.position, after=before[0].position
    )
    if cached is None:
        return "", ()
    holder = worker(told(cached, ArtifactCached).worker)
    return f" and turned up while the job was queued: {holder} told of it at record {cached.position}", (
        cached.position,
    )
