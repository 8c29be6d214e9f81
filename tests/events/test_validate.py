"""The checker of State finds each contradiction; a checker that never objects would prove nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from events.commands import FinishUpload, Result
from events.ids import BuildId, JobId, LeaseId
from events.model import Job
from events.queue import COMMANDS, Kind, Line, Queue, Why
from events.state import Graph, State
from events.transitions import BuildStatus, JobStatus
from events.validate import Inconsistent, validate
from tests.events.story import (
    BUILD,
    LEASE,
    OTHER,
    A,
    B,
    C,
    D,
    S,
    Story,
    V,
    W,
    beat,
    build_id,
    job,
    lease_id,
    start,
    store,
)

RUNNING = lease_id(2)


def sound() -> State:
    """A has succeeded, B runs on it, C is queued on it, D waits for both; another build uploads."""
    graph = start(job(A, inputs=("s",)), job(B, A), job(C, A), job(D, B, C), key="k")
    story = Story().given(store(S), graph, FinishUpload(build=BUILD), beat(), beat(V, 0))
    return story.given(beat(finished=(Result(job=A, lease=LEASE),)), start(job(A))).state


def graph(state: State) -> Graph:
    return state.graphs[BUILD]


def change_job(state: State, id_: JobId, **fields: Any) -> None:
    found: Job = graph(state).jobs[id_]
    graph(state).jobs[id_] = found._replace(**fields)


def change_jobs(state: State, ids: tuple[JobId, ...], **fields: Any) -> None:
    for id_ in ids:
        change_job(state, id_, **fields)


def change_status(state: State, build: BuildId, status: BuildStatus) -> None:
    state.builds[build] = evolve(state.builds[build], status=status)


CONTRADICTIONS: list[tuple[Callable[[State], object], str]] = [
    (lambda s: s.graphs.update({build_id(9): Graph()}), "builds that have a graph"),
    (lambda s: s.graphs.pop(OTHER), f"builds refer to '{OTHER}', which is not there"),
    (lambda s: s.active.pop(OTHER), "active builds"),
    (lambda s: s.keys.clear(), "keys"),
    (lambda s: graph(s).jobs.pop(D), "jobs of build"),
    (lambda s: change_status(s, BUILD, BuildStatus.SUCCEEDED), "some of its jobs have not ended"),
    (lambda s: change_status(s, BUILD, BuildStatus.UPLOADING), "some of its jobs do not wait"),
    (lambda s: change_jobs(s, (B, C, D), status=JobStatus.FAILED), "all of its jobs have ended"),
    (lambda s: s.sources.clear(), "runs without its sources"),
    (lambda s: graph(s).tally.update({JobStatus.QUEUED: 2}), "tally"),
    (lambda s: graph(s).failures.update({A: None}), "failures"),  # type: ignore[dict-item]  # a wrong value
    (lambda s: graph(s).dependents.pop(A), "dependents"),
    (lambda s: change_job(s, D, waits_for=1), "waits for"),
    (lambda s: change_job(s, C, status=JobStatus.BLOCKED), "blocked, yet waits for nothing"),
    (lambda s: change_job(s, D, status=JobStatus.QUEUED), "stands in line"),
    (lambda s: change_job(s, A, status=JobStatus.BLOCKED), "is queued, yet waits for"),
    (lambda s: s.holders.clear(), "nobody holds its artifact"),
    (lambda s: graph(s).queues[COMMANDS].lines.update({Line(Why.SHARED, W): {}}), "keeps the empty line"),  # type: ignore[dict-item]  # never looked at
    (lambda s: graph(s).queues[COMMANDS].lines.popitem(), "places in the queue"),
    (lambda s: graph(s).queues[COMMANDS].places.update({C: ()}), "one line for any worker"),
    (lambda s: s.queued.clear(), "queued jobs"),
    (lambda s: s.rotation.clear(), "take turns"),
    (lambda s: graph(s).queues.update({Kind("typed"): Queue()}), "keeps an empty queue"),
    (lambda s: change_job(s, B, lease=LeaseId("?")), "leases of running jobs"),
    (lambda s: s.leases.clear(), "leases of running jobs"),
    (lambda s: s.running.clear(), "leases by work"),
    (lambda s: s.leases_of.clear(), "leases by worker"),
    (lambda s: s.leases.update({LeaseId("?"): s.leases[RUNNING]}), "number of leases by worker"),
    (
        lambda s: s.leases.update({RUNNING: s.leases[RUNNING]._replace(builds=(BUILD, BUILD))}),
        "is for the builds",
    ),
    (lambda s: s.queued.update({B: {BUILD: None}}), "is queued in build"),
    (lambda s: s.silence.pop(V), "may fall silent"),
    (lambda s: s.workers.update({V: s.workers[V]._replace(last_seen=9.0)}), "order of their silence"),
    (lambda s: s.workers.update({W: s.workers[W]._replace(slots=0, capacity=0)}), "has room for 0"),
    (lambda s: s.workers.update({W: s.workers[W]._replace(alive=False)}), "are gone, yet have leases"),
    (lambda s: s.revoked.update({W: {RUNNING: None}}), "is told to let go of"),
    (lambda s: s.revoked.update({W: {}}), "is told to let go of"),
    (lambda s: s.held.clear(), "artifacts by worker"),
    (lambda s: s.holders.update({D: {}}), "empty list of holders"),
]


@pytest.mark.parametrize(("contradict", "words"), CONTRADICTIONS, ids=[words for _, words in CONTRADICTIONS])
def test_a_contradiction_is_found(contradict: Callable[[State], object], words: str) -> None:
    """The text says what contradicts what."""
    state = sound()
    validate(state)
    contradict(state)
    with pytest.raises(Inconsistent, match=words):
        validate(state)


def test_an_empty_state_is_sound() -> None:
    """Before the first record."""
    validate(State())


def test_all_contradictions_are_told_at_once() -> None:
    """A bug seldom breaks one thing alone."""
    state = sound()
    state.keys.clear()
    state.rotation.clear()
    with pytest.raises(Inconsistent) as caught:
        validate(state)
    assert len(str(caught.value).splitlines()) == 2
