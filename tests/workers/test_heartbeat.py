"""The heartbeat loop against a scripted coordinator, over streams in memory and in virtual time."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from clients import codec, wire
from clients.distbuild import HeartbeatRequest, HeartbeatResponse, JobResult, JobSpec
from clients.distbuild_client import DistbuildClient
from events.ids import JobId, WorkerId
from tests.clients.peers import Network, Peer
from workers.bell import Bell
from workers.execute import Slot, Verdict
from workers.heartbeat import Heartbeats
from workers.jobs import Jobs
from workers.machine import Machine
from workers.output import Output
from workers.stream import OutputStreams

A, B, C = (JobId(name * 20) for name in ("aa", "bb", "cc"))


def _spec(job: JobId, lease: str = "") -> JobSpec:
    return JobSpec(id=job, lease=lease)


@define(eq=False)
class FakeExecutor:
    """Jobs that last as long as a test says, in seconds by job id; for ever, if it says nothing."""

    seconds: dict[str, float] = field(factory=dict)
    started: list[str] = field(factory=list)
    killed: list[str] = field(factory=list)

    async def run(self, spec: JobSpec, slot: Slot, output: Output) -> Verdict:
        self.started.append(spec.id)
        try:
            await trio.sleep(self.seconds.get(spec.id, float("inf")))
        except trio.Cancelled:
            self.killed.append(spec.id)
            raise
        output.append(b"out", b"")
        return Verdict()


@define
class Heard:
    """A heartbeat as the coordinator got it."""

    at: float
    wait: float
    report: HeartbeatRequest


Script = Callable[["Coordinator", Peer, Heard], Awaitable[None]]


@define(eq=False)
class Coordinator:
    """Answers each heartbeat as `script` does; remembers what it heard."""

    script: Script
    heard: list[Heard] = field(factory=list)

    async def talk(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            target, body = request
            report = codec.read(body, HeartbeatRequest)
            heard = Heard(trio.current_time(), float(target.partition("wait=")[2]), report)
            self.heard.append(heard)
            await self.script(self, peer, heard)


@define(eq=False)
class World:
    coordinator: Coordinator
    executor: FakeExecutor
    machine: Machine
    heartbeats: Heartbeats
    jobs: Jobs
    bell: Bell
    held: dict[JobId, str]

    @property
    def heard(self) -> list[Heard]:
        return self.coordinator.heard

    @property
    def results(self) -> list[str]:
        return [result.id for heard in self.heard for result in heard.report.finished_job]


async def _give(peer: Peer, *specs: JobSpec, **fields: Any) -> None:
    response = HeartbeatResponse(jobs_to_run={spec.id: spec for spec in specs}, **fields)
    await peer.answer(codec.write(response))


async def _hold(peer: Peer, heard: Heard) -> None:
    """As our coordinator does with nothing to say."""
    await trio.sleep(heard.wait)
    await _give(peer)


@asynccontextmanager
async def _world(script: Script, *, slots: int = 2, **seconds: float) -> AsyncIterator[World]:
    names = {"a": A, "b": B, "c": C}
    executor = FakeExecutor({names[name]: value for name, value in seconds.items()})
    coordinator = Coordinator(script)
    machine = Machine(worker=WorkerId("http://w"), slots=slots, session="s")
    bell = Bell()
    held: dict[JobId, str] = {}
    async with trio.open_nursery() as nursery:
        network = Network(nursery, coordinator.talk)
        client = wire.Client("http://coordinator", open_stream=network.open_stream)
        jobs = Jobs(
            machine,
            executor,  # type: ignore[arg-type]  # all of it that is used
            OutputStreams(client),
            [None] * slots,  # type: ignore[list-item]  # never looked at
            bell.ring,
        )
        heartbeats = Heartbeats(
            DistbuildClient(client), machine, jobs, bell, held=lambda: held, chance=random.Random(1)
        )
        await nursery.start(jobs.serve_forever)
        nursery.start_soon(heartbeats.beat_forever)
        yield World(coordinator, executor, machine, heartbeats, jobs, bell, held)
        nursery.cancel_scope.cancel()


async def test_an_idle_worker_lets_itself_be_held(autojump_clock: MockClock) -> None:
    """One heartbeat per fifteen seconds, each held as long as it asked for."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        await _hold(peer, heard)

    async with _world(script) as world:
        await trio.sleep(62)
        assert [heard.at - world.heard[0].at for heard in world.heard] == [0, 15, 30, 45, 60]
        assert {heard.wait for heard in world.heard} == {15.0}


async def test_an_idle_worker_does_not_pester_a_coordinator_that_holds_nothing(
    autojump_clock: MockClock,
) -> None:
    """The protocol's own coordinators answer at once: then twenty times a second, not a thousand."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        await _give(peer)

    async with _world(script) as world:
        await trio.sleep(1.01)
        assert 15 <= len(world.heard) <= 22


async def test_a_result_breaks_off_a_held_heartbeat(autojump_clock: MockClock) -> None:
    """The coordinator hears of it at once, not when it would have answered."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        if len(coordinator.heard) == 1:
            await _give(peer, _spec(A, "la"))
        else:
            await _hold(peer, heard)

    async with _world(script, a=0.5) as world:
        await trio.sleep(0.6)
        first, held, news = world.heard
        assert (held.report.running_leases, held.wait) == (("la",), 1.0)
        assert [result.lease for result in news.report.finished_job] == ["la"]
        assert news.at - first.at == pytest.approx(0.5)


async def test_leases_are_renewed_while_jobs_run(autojump_clock: MockClock) -> None:
    """About once a second, whatever else happens."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        if len(coordinator.heard) == 1:
            await _give(peer, _spec(A, "la"))
        else:
            await _hold(peer, heard)

    async with _world(script) as world:
        await trio.sleep(10)
        times = [heard.at for heard in world.heard]
        assert max(later - sooner for sooner, later in pairwise(times)) < 1.1
        assert len(times) < 13
        assert world.executor.started == [A]


async def test_a_foreign_coordinator_is_never_interrupted(autojump_clock: MockClock) -> None:
    """An answer that we do not take may bring jobs that would never be given again."""
    ended = []

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        if len(coordinator.heard) == 1:
            await _give(peer, _spec(A))
            return
        await trio.sleep(0.4)
        await _give(peer, *([_spec(B)] if len(coordinator.heard) == 2 else []))
        ended.append(len(coordinator.heard))

    async with _world(script, a=0.1, b=0.1) as world:
        await trio.sleep(3)
        assert world.executor.started == [A, B]
        assert world.results == [A, B]
        assert ended[:3] == [2, 3, 4]


async def test_a_lost_answer_neither_loses_a_result_nor_runs_a_job_twice(autojump_clock: MockClock) -> None:
    """The connection breaks after the heartbeat was taken: everything is said again, nothing done again."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        number = len(coordinator.heard)
        if number == 1:
            await _give(peer, _spec(A, "la"))
        elif heard.report.finished_job and number < 4:
            await peer.stream.aclose()
        elif heard.report.finished_job or (number > 4 and not heard.report.running_leases):
            await _give(peer, _spec(B, "lb"))
        else:
            await _hold(peer, heard)

    async with _world(script, a=0.1) as world:
        await trio.sleep(5)
        reports = [heard.report for heard in world.heard]
        assert reports[2].finished_job == reports[3].finished_job
        assert reports[2].finished_job
        assert world.executor.started == [A, B]
        assert reports[4].finished_job == ()


@pytest.mark.parametrize("status", [500, 503, 507, 429])
async def test_an_outage_costs_no_job(autojump_clock: MockClock, status: int) -> None:
    """Jobs go on and end meanwhile; retries are spaced, with jitter; then everything is reported."""
    outage = range(3, 20)

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        number = len(coordinator.heard)
        if number == 1:
            await _give(peer, _spec(A, "la"), _spec(B, "lb"))
        elif number in outage:
            await peer.answer(b"not now", status=status)
        else:
            await _hold(peer, heard)

    async with _world(script, a=3.0, b=6.0) as world:
        await trio.sleep(60)
        times = [heard.at for heard in world.heard][2:19]
        pauses = [later - sooner for sooner, later in pairwise(times)]
        assert min(pauses) > 0.1
        assert max(pauses) <= 2.1
        assert len({round(pause, 6) for pause in pauses}) > 2
        assert world.executor.killed == []
        assert set(world.results) == {A, B}
        assert not world.machine.has_news


async def test_a_coordinator_that_is_away_is_found_again(autojump_clock: MockClock) -> None:
    """No connection at all is an outage like any other."""
    is_up = False

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        if is_up:
            await _hold(peer, heard)
        else:
            await peer.stream.aclose()

    async with _world(script) as world:
        await trio.sleep(60)
        tries = len(world.heard)
        assert 30 <= tries <= 75
        is_up = True
        await trio.sleep(3)
        assert len(world.heard) > tries


async def test_nonsense_from_a_coordinator_is_endured(autojump_clock: MockClock) -> None:
    """An answer that is no answer does not end the worker."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        if len(coordinator.heard) < 5:
            await peer.answer(b'{"JobsToRun": 5}')
        else:
            await _hold(peer, heard)

    async with _world(script) as world:
        await trio.sleep(30)
        assert len(world.heard) > 5


async def test_revoked_leases_are_killed(autojump_clock: MockClock) -> None:
    """Nothing is reported of them, and the slot takes the next job."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        match len(coordinator.heard):
            case 1:
                await _give(peer, _spec(A, "la"))
            case 2:
                await trio.sleep(0.3)
                await _give(peer, revoked_leases=("la",))
            case 3:
                await _give(peer, _spec(B, "lb"))
            case _:
                await _hold(peer, heard)

    async with _world(script, slots=1) as world:
        await trio.sleep(2)
        assert (world.executor.started, world.executor.killed) == ([A, B], [A])
        assert world.results == []
        assert world.heard[2].report.running_leases == ()


async def test_short_jobs_are_reported_together(autojump_clock: MockClock) -> None:
    """While results are coming in, the loop does not open a heartbeat just to break it off."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        number = len(coordinator.heard)
        if number <= 10:
            ids = [JobId(f"{number:02d}{slot:02d}" * 10) for slot in range(heard.report.free_slots)]
            await trio.sleep(0.002)
            await _give(peer, *[_spec(id_, f"l{id_[:4]}") for id_ in ids])
        else:
            await _hold(peer, heard)

    async with _world(script, slots=4) as world:
        world.executor.seconds = dict.fromkeys(
            [f"{n:02d}{s:02d}" * 10 for n in range(1, 11) for s in range(60)], 0.001
        )
        await trio.sleep(1)
        assert len(world.results) == len(set(world.results)) == len(world.executor.started)
        assert len(world.results) >= 40
        assert len(world.heard) < 30


async def test_a_dropped_artifact_is_news(autojump_clock: MockClock) -> None:
    """The coordinator is not to send anyone here for it."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        if len(coordinator.heard) == 1:
            await _give(peer, unknown_session=True)
        else:
            await _hold(peer, heard)

    async with _world(script) as world:
        await trio.sleep(1)
        world.machine.artifact_changed(A, None)
        world.bell.ring()
        await trio.sleep(0.01)
        assert world.heard[-1].report.dropped_artifacts == (A,)


async def test_a_stranger_introduces_itself_with_all_it_has(autojump_clock: MockClock) -> None:
    """The coordinator has lost its memory of us: slots and artifacts are said again."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        if len(coordinator.heard) == 2:
            await _give(peer, unknown_session=True)
        else:
            await _hold(peer, heard)

    async with _world(script) as world:
        world.held[A] = "d" * 64
        await trio.sleep(32)
        slots = [heard.report.slots for heard in world.heard]
        assert slots[:4] == [2, 0, 2, 0]
        assert world.heard[2].report.artifact_digests == {A: "d" * 64}


async def test_draining_hands_everything_back(autojump_clock: MockClock) -> None:
    """Jobs at work are killed, ended ones reported, and the coordinator is told that this worker goes."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        if len(coordinator.heard) == 1:
            await _give(peer, _spec(A, "la"), _spec(B, "lb"))
        elif heard.report.draining:
            await _give(peer, _spec(B, "lb"))
        else:
            await peer.answer(b"not now", status=503)

    async with _world(script, a=0.1) as world:
        await trio.sleep(1)
        with trio.fail_after(3):
            await world.jobs.drain()
            await world.heartbeats.farewell()
        results, last = (heard.report for heard in world.heard[-2:])
        assert [result.lease for result in results.finished_job] == ["la"]
        assert (results.draining, results.leaving) == (True, False)
        assert (last.draining, last.leaving, last.free_slots, last.running_leases) == (True, True, 0, ())
        assert world.executor.killed == [B]
        assert sorted(world.executor.started) == [A, B]


async def test_a_farewell_does_not_wait_for_a_dead_coordinator(autojump_clock: MockClock) -> None:
    """Nobody is there to hear it: the worker goes all the same."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        await trio.sleep_forever()

    async with _world(script) as world:
        began = trio.current_time()
        await world.heartbeats.farewell()
        assert trio.current_time() - began <= 3.01


async def test_a_refused_result_does_not_block_the_others(autojump_clock: MockClock) -> None:
    """The one that the coordinator cannot take is replaced by a failure; the rest get through."""

    async def script(coordinator: Coordinator, peer: Peer, heard: Heard) -> None:
        results = {result.id: result for result in heard.report.finished_job}
        if len(coordinator.heard) == 1:
            await _give(peer, _spec(A, "la"), _spec(B, "lb"))
        elif A in results and results[A].stdout:
            await peer.answer(b"too odd", status=400)
        else:
            await _hold(peer, heard)

    async with _world(script, a=0.1, b=0.1) as world:
        await trio.sleep(40)
        last: dict[str, JobResult] = {r.id: r for heard in world.heard for r in heard.report.finished_job}
        assert {id_: result.error for id_, result in last.items()} == {
            A: "the coordinator refused the job's result: too odd",
            B: None,
        }
        assert not world.machine.has_news
