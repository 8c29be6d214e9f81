"""Why? What a job did at a position of the log, and for what reasons, in plain words.

Answers come from what was recorded when it was decided, and from no record beyond the position: asked
again a week later, they are the same.
"""

from collections.abc import Iterator

from events.catalog import BuildStarted
from events.errors import BUILD_UNKNOWN, JOB_UNKNOWN, Rejected
from events.hindsight.why import ending, placing, repeating, reusing, waiting
from events.hindsight.why.answers import Answer, Explanation, Question, Step
from events.hindsight.why.chain import chain
from events.hindsight.why.inquiry import Inquiry
from events.hindsight.why.standing import standing
from events.hindsight.why.then import Then, told
from events.ids import BuildId, JobId, Position
from events.query import Searchable
from events.transitions import JobStatus

__all__ = ["Answer", "Explanation", "Question", "Step", "why"]


def why(log: Searchable, build: BuildId, job: JobId, at: Position) -> Explanation:
    """Explain a job as of the record at this position; raises `Rejected` if it was not there yet."""
    past = Then(log, at)
    started = past.started(build)
    if started is None or not isinstance(started.event, BuildStarted):
        raise Rejected(BUILD_UNKNOWN, f"at position {at} there is no build {build}")
    graph = past.graph(build)
    if not graph.has(job):
        raise Rejected(JOB_UNKNOWN, f"at position {at} build {build} has no job {job}")
    graph.fetch(graph.deps(job))
    if not past.has_ended(started):
        past.last_moves(build)  # of all its jobs, since what this one waits for may be wanted
    asked = Inquiry(past, started, job, past.history(build, job))
    return Explanation(
        build=build,
        build_name=told(started, BuildStarted).name,
        job=job,
        name=asked.name,
        position=at,
        at=past.at,
        status=asked.status,
        chain=tuple(chain(asked)),
        answers=tuple(_answers(asked)),
    )


def _answers(asked: Inquiry) -> Iterator[Answer]:
    yield standing(asked)
    if asked.status in (JobStatus.BLOCKED, JobStatus.QUEUED):
        yield from waiting.explain(asked)
    if asked.status in (JobStatus.FAILED, JobStatus.CANCELLED):
        yield from ending.explain(asked)
    yield from placing.explain(asked)
    yield from repeating.explain(asked)
    yield from reusing.explain(asked)
