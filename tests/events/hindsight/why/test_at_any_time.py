"""Whatever happened, every job can be explained at every position, and no answer knows the future."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from events.catalog import Record
from events.errors import Rejected
from events.fold import fold
from events.hindsight.why import Explanation, Question, why
from events.hindsight.why.holding import holders
from events.hindsight.why.inquiry import Inquiry
from events.hindsight.why.queueing import obstacle
from events.hindsight.why.then import Then
from events.ids import BuildId, JobId, Position
from events.log import MemoryLog
from events.query import Scanned
from events.queue import ANY_WORKER, kind_of, meets
from events.schedule import _suits
from events.state import State
from events.transitions import JobStatus
from tests.events.test_golden import LOGS, records
from tests.events.test_stateful import IDS, Farm

WAITS = (JobStatus.BLOCKED, JobStatus.QUEUED)
# The last step of a chain.
CHAIN_ENDS = {
    JobStatus.BLOCKED: ("uploading", "blocked"),
    JobStatus.QUEUED: ("queued",),
    JobStatus.RUNNING: ("running",),
    JobStatus.SUCCEEDED: ("succeeded", "reused"),
    JobStatus.FAILED: ("failed",),
    JobStatus.CANCELLED: ("cancelled",),
}


def log_of(history: list[Record]) -> Scanned:
    log = MemoryLog()
    log.append(history)
    return Scanned(log)


def states(history: list[Record], every: int = 1) -> Iterator[State]:
    """The state after each of the records; it moves on when the next is asked for."""
    state = State()
    for record in history:
        fold(state, record)
        if record.position % every == 0:
            yield state


def jobs(state: State) -> Iterator[tuple[BuildId, JobId]]:
    for build, graph in state.graphs.items():
        for job in graph.jobs:
            yield build, job


def check(found: Explanation, state: State) -> None:
    """What it says agrees with the state, and is said in whole words about what has happened."""
    job, questions = state.graphs[found.build].jobs[found.job], [each.question for each in found.answers]
    assert (found.position, found.at, found.status) == (state.position, state.at, job.status)
    assert questions == sorted(questions, key=list(Question).index)
    assert questions[0] is Question.STATUS
    assert (Question.WAITING in questions) is (job.status in WAITS)
    assert (Question.ENDED in questions) is (job.status in (JobStatus.FAILED, JobStatus.CANCELLED))
    for answer in found.answers:
        assert answer.at <= state.at
        assert all(0 < position <= state.position for position in answer.records), answer
        assert not re.search(r"None|events\.|  |: $|\bat 0x", answer.text), answer
    assert [step.position for step in found.chain] == sorted(step.position for step in found.chain)
    assert all(step.at <= state.at and not re.search(r"None|  |: $", step.text) for step in found.chain)
    assert found.chain[-1].code in CHAIN_ENDS[job.status]
    if job.status is JobStatus.QUEUED:
        check_queued(found, state)


def check_queued(found: Explanation, state: State) -> None:
    """Whether it is kept for somebody, and whether anybody is there, is what the queue itself says."""
    [waiting] = [answer for answer in found.answers if answer.question is Question.WAITING]
    spec = state.graphs[found.build].jobs[found.job].spec
    if spec.job_type:
        assert waiting.code == "no-asker"
        return
    queue = state.graphs[found.build].queues[kind_of(spec)]
    [opens_at] = [
        queue.lines[line][found.job] for line in queue.places[found.job] if line.worker == ANY_WORKER
    ]
    assert (waiting.code == "held") is (opens_at > state.at)
    if opens_at <= state.at:
        alive = [worker for worker in state.workers.values() if worker.alive]
        able = [worker for worker in alive if meets(worker.labels, spec.needs)]
        assert (waiting.code == "no-worker") is (not alive)
        assert (waiting.code == "unable") is (bool(alive) and not able)
        assert (waiting.code == "draining") is (bool(able) and all(worker.draining for worker in able))


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_a_golden_log_is_explained_at_every_position(path: object) -> None:
    """From the whole log just as from what there was of it then."""
    history = records(path)  # type: ignore[arg-type]  # a Path
    whole = log_of(history)
    for state in states(history):
        cut = log_of(history[: state.position])
        for build, job in jobs(state):
            found = why(whole, build, job, state.position)
            assert found == why(cut, build, job, state.position)
            check(found, state)


def test_what_is_not_there_yet_is_not_explained() -> None:
    """Nor a job that its build does not have."""
    history = records(LOGS[0])
    build = next(record.event.build for record in history if hasattr(record.event, "build"))
    log, start = log_of(history), next(r.position for r in history if hasattr(r.event, "build"))
    for at, job, words in (
        (start - 1, IDS[0], "there is no build"),
        (start, IDS[0], "has no job"),
        (len(history), JobId("f" * 40), "has no job"),
    ):
        with pytest.raises(Rejected, match=words):
            why(log, build, job, Position(at))


class ExplainedFarm(Farm):
    """Random runs, and in the end every job is explained at many a position."""

    def teardown(self) -> None:
        super().teardown()
        whole = log_of(self.records)
        for state in states(self.records, every=max(1, len(self.records) // 12)):
            cut = log_of(self.records[: state.position])
            past = Then(whole, state.position)
            check_holders(past, state)
            for build, job in jobs(state):
                found = why(whole, build, job, state.position)
                assert found == why(cut, build, job, state.position)
                check(found, state)
                if found.status is JobStatus.QUEUED:
                    check_obstacles(past, state, build, job)


def check_holders(past: Then, state: State) -> None:
    """Who held what is drawn from the log as fold draws it."""
    found = holders(past, IDS, past.upto)
    assert {job: held for job, held in found.items() if held} == {
        job: held for job, held in state.holders.items() if job in IDS
    }


def check_obstacles(past: Then, state: State, build: BuildId, job: JobId) -> None:
    """A worker that cannot be given the job is one that the schedule passes over."""
    started = past.started(build)
    assert started is not None
    asked = Inquiry(past, started, job, past.history(build, job))
    for attendant in past.workers():
        suits = _suits(state, state.workers[attendant.id], build, job)
        assert (obstacle(asked, attendant) is None) is suits


TestExplainedFarm = ExplainedFarm.TestCase
TestExplainedFarm.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
