"""Placement policies: who has the next job, computed from State alone, for each kind and not for each job."""

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve

from events.catalog import Container, CoordinatorStarted
from events.commands import FinishUpload, RequestWork, Result, Settings
from events.ids import BuildId, JobId, WorkerId
from events.placement import Candidate, candidates, capacity, taken
from events.queue import Amount, Kind
from events.state import State
from tests.events.story import BUILD, A, B, C, Story, V, W, X, beat, build_id, job, lease_id, plain, start

ENGINE = "engine=docker"
GIB = 1 << 30


def labels(cpus: int = 4, memory: int = 8, disk: int = 100) -> dict[str, str]:
    return {"engine": "docker", "cpus": str(cpus), "memory": str(memory * GIB), "disk": str(disk * GIB)}


def farm(placement: str, **machines: dict[str, str]) -> Story:
    """Workers v, w and x with room for four jobs each."""
    story = Story(Settings(placement=placement))
    for id_ in (V, W, X):
        story.given(beat(id_, 4, slots=4, labels=machines.get(id_, labels())))
    return story


def boxed(id_: JobId, cpu: float = 1.0, memory: int = 1, disk: int = 0) -> Any:
    return job(id_, container=Container(image="box:1", cpu=cpu, memory=memory * GIB, disk=disk * GIB))


def placed(story: Story, number: int) -> list[WorkerId]:
    """Let one task after the other be placed; whoever is not preferred asks in vain."""
    where: list[WorkerId] = []
    for count in range(1, number + 1):
        id_ = JobId(f"{count:040x}")
        build = build_id(len(story.state.builds) + 1)
        story.given(start(boxed(id_)), FinishUpload(build=build))
        for worker in (V, W, X):
            story.when(RequestWork(worker=worker, slots_free=4))
            where += [leased for _, leased, _ in story.leases()]
    return where


def test_round_robin_goes_round() -> None:
    """Whoever asks first has to wait for its turn."""
    assert placed(farm("roundrobin"), 7) == [V, W, X, V, W, X, V]


def test_greedy_takes_the_least_loaded() -> None:
    """By processors, in proportion to what there is."""
    assert placed(farm("greedy", w=labels(cpus=8)), 4) == [V, W, X, W]


def test_epvm_weighs_memory_and_jobs_as_well() -> None:
    """A machine with less memory fills up sooner."""
    assert placed(farm("epvm", v=labels(memory=1)), 4) == [W, X, W, X]


def test_without_a_policy_whoever_asks_is_served() -> None:
    """As ever."""
    assert placed(farm(""), 3) == [V, V, V]


def test_only_who_has_room_is_a_candidate() -> None:
    """On its disk, and for one job more; of ours, there, staying, and with what is needed."""
    story = farm("epvm", v=labels(disk=1), w={"cpus": "4"})
    kind = Kind(needs=(ENGINE,), wants=Amount(1.0, GIB, 2 * GIB))
    assert [one.id for one in candidates(story.state, kind)] == [X]
    story.given(beat(X, 0, slots=4, labels=labels(), draining=True), plain(WorkerId("other")))
    assert list(candidates(story.state, kind)) == []
    none = start(job(A, container=Container(image="box:1", disk=2 * GIB)))
    story.given(none, FinishUpload(build=BUILD)).when(RequestWork(worker=V, slots_free=4)).then()


def test_what_a_worker_has_and_what_is_taken() -> None:
    """From its labels and from what runs there; a job that says nothing takes a processor."""
    story = farm("").given(start(boxed(A, cpu=0.5, memory=2, disk=3), job(B)), FinishUpload(build=BUILD))
    story.given(RequestWork(worker=V, slots_free=4))
    assert capacity(story.state.workers[V]) == Amount(4.0, 8 * GIB, 100 * GIB)
    assert taken(story.state, V) == Amount(1.5, 2 * GIB, 3 * GIB)
    odd = story.state.workers[V]._replace(labels={"cpus": "many", "memory": "-1"})
    assert capacity(odd) == Amount(4.0, 0, 0)


def test_the_choice_is_replayed_from_the_log() -> None:
    """The policy is in the log; a log without one has none."""
    story = farm("roundrobin")
    started = story.records[0].event
    assert isinstance(started, CoordinatorStarted)
    assert (started.placement, story.state.settings.placement) == ("roundrobin", "roundrobin")
    placed(story, 2)
    assert story.state.last_placed == W
    assert evolve(started, placement="") == Story(Settings()).records[0].event


def test_others_are_served_as_they_ask() -> None:
    """A worker of plain distbuild may be unable to run a job for reasons of its own; nobody waits for it."""
    story = farm("roundrobin").given(plain(WorkerId("other")), start(job(C)), FinishUpload(build=BUILD))
    story.when(plain(WorkerId("other")))
    assert [worker for _, worker, _ in story.leases()] == ["other"]


@pytest.mark.parametrize("count", [1, 50])
def test_many_queued_jobs_of_a_kind_are_one_question(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait, who is not preferred is told so at once."""
    story = farm("roundrobin")
    for number in range(count):
        build = BuildId(f"{number + 1:040x}")
        story.given(start(boxed(JobId(f"{number:040x}"))), FinishUpload(build=build))
    asked = list[Kind]()
    really = candidates

    def counted(state: State, kind: Kind) -> Iterator[Candidate]:
        asked.append(kind)
        return really(state, kind)

    monkeypatch.setattr("events.placement.candidates", counted)
    story.when(RequestWork(worker=W, slots_free=4)).then()
    assert len(asked) == 1


def test_a_worker_that_is_done_has_room_again() -> None:
    """What has ended takes nothing."""
    story = farm("greedy")
    placed(story, 1)
    done = Result(job=JobId(f"{1:040x}"), lease=lease_id(1))
    story.given(beat(V, 4, slots=4, labels=labels(), finished=(done,)))
    assert taken(story.state, V) == Amount()
