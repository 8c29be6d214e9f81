"""Held heartbeats: who is woken, when, and who is let sleep."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock, wait_all_tasks_blocked

from coordinator.core import Coordinator
from coordinator.dispatch import Dispatch
from coordinator.heartbeats import BUSY_SECONDS, FULL_SECONDS_MAX, IDLE_SECONDS, Answer, Heartbeats
from coordinator.quiet import Quiet
from events.catalog import WorkRequested
from events.commands import CancelBuild, Heartbeat, Result, Settings
from events.errors import STORAGE_FULL, Rejected
from events.ids import LeaseId, WorkerId
from events.log import MemoryLog
from tests.coordinator.memory import WORKER, FullLog, beat, build, job, job_id, running

OTHER = WorkerId("http://other.invalid")


def plain(worker: WorkerId = WORKER, **fields: object) -> Heartbeat:
    """A report of a worker of others, who knows neither sessions nor leases."""
    values: dict[str, object] = {"slots_free": 1, "running": (), **fields}
    return Heartbeat(worker=worker, **values)  # type: ignore[arg-type]  # tests know the fields


@frozen
class Floor:
    core: Coordinator
    dispatch: Dispatch
    heartbeats: Heartbeats
    log: MemoryLog


@asynccontextmanager
async def floor(settings: Settings | None = None, log: MemoryLog | None = None) -> AsyncIterator[Floor]:
    log = log or MemoryLog()
    async with (
        running(log, settings=settings, has_room=lambda: not getattr(log, "is_full", False)) as core,
        trio.open_nursery() as nursery,
    ):
        dispatch = Dispatch(core)
        await nursery.start(dispatch.call_forever)
        await wait_all_tasks_blocked()
        yield Floor(core, dispatch, Heartbeats(core, dispatch, Quiet(core)), log)
        nursery.cancel_scope.cancel()


class Asked:
    """A heartbeat under way, and when it was answered."""

    def __init__(self, floor: Floor, command: Heartbeat, wait_seconds: float | None) -> None:
        self._floor = floor
        self._command = command
        self._wait_seconds = wait_seconds
        self.scope = trio.CancelScope()
        self.answer: Answer | None = None
        self.at = -1.0

    async def __call__(self) -> None:
        with self.scope:
            self.answer = await self._floor.heartbeats.take(self._command, self._wait_seconds)
            self.at = trio.current_time()

    @property
    def jobs(self) -> list[str]:
        assert self.answer is not None, "not answered yet"
        return [each.spec.name for each in self.answer.assignments]


async def ask(
    nursery: trio.Nursery, floor: Floor, command: Heartbeat, wait_seconds: float | None = 10.0
) -> Asked:
    asked = Asked(floor, command, wait_seconds)
    nursery.start_soon(asked)
    await wait_all_tasks_blocked()
    return asked


async def test_a_held_worker_is_answered_when_a_job_comes(autojump_clock: MockClock) -> None:
    """At that very moment, with the lease."""
    async with floor() as at, trio.open_nursery() as nursery:
        asked = await ask(nursery, at, beat())
        await trio.sleep(3)
        assert asked.answer is None
        await build(at.core, job("a"))
        came = trio.current_time()
        await wait_all_tasks_blocked()
        assert asked.jobs == ["a"]
        assert asked.at == came


async def test_no_more_workers_are_woken_than_there_are_jobs(autojump_clock: MockClock) -> None:
    """Longest waiting first; the others go on waiting and are never asked."""
    async with floor() as at, trio.open_nursery() as nursery:
        all_asked = [await ask(nursery, at, beat(WorkerId(f"http://w{n}.invalid"))) for n in range(10)]
        await build(at.core, job("a"), job("b"))
        await wait_all_tasks_blocked()
        assert [asked.answer is not None for asked in all_asked] == [True] * 2 + [False] * 8
        asked_again = [e for e in at.log.read() if isinstance(e.record.event, WorkRequested)]
        assert len(asked_again) == 2
        nursery.cancel_scope.cancel()


async def test_a_worker_takes_as_many_jobs_as_it_has_slots(autojump_clock: MockClock) -> None:
    """So fewer are woken when they have room for more."""
    async with floor() as at, trio.open_nursery() as nursery:
        first = await ask(nursery, at, beat(slots=3))
        second = await ask(nursery, at, beat(OTHER, slots=3))
        await build(at.core, job("a"), job("b"))
        await wait_all_tasks_blocked()
        assert first.jobs == ["a", "b"]
        assert second.answer is None
        nursery.cancel_scope.cancel()


async def test_a_newer_heartbeat_supersedes_an_older_one(autojump_clock: MockClock) -> None:
    """The older, whose connection may be dead, is answered at once with nothing; the newer gets the job."""
    async with floor() as at, trio.open_nursery() as nursery:
        older = await ask(nursery, at, beat())
        await trio.sleep(1)
        newer = await ask(nursery, at, beat())
        assert older.answer == Answer()
        assert older.at == trio.current_time()
        await build(at.core, job("a"))
        await wait_all_tasks_blocked()
        assert newer.jobs == ["a"]


async def test_a_newer_heartbeat_supersedes_even_if_it_does_not_wait(autojump_clock: MockClock) -> None:
    """One that is answered at once ends the older one, too."""
    async with floor() as at, trio.open_nursery() as nursery:
        older = await ask(nursery, at, beat())
        newer = await ask(nursery, at, beat(), wait_seconds=0.0)
        assert newer.answer is not None
        assert older.answer == Answer()


async def test_of_two_that_wait_at_once_the_later_is_called(autojump_clock: MockClock) -> None:
    """However close together they came."""
    async with floor() as at:
        await at.core.submit(beat())
        called: list[tuple[str, bool]] = []

        async def wait(name: str) -> None:
            called.append((name, await at.dispatch.wait(WORKER, 1, 10.0)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, "earlier")
            await wait_all_tasks_blocked()
            nursery.start_soon(wait, "later")
            await wait_all_tasks_blocked()
            assert called == [("earlier", False)]
            await build(at.core, job("a"))
        assert called == [("earlier", False), ("later", True)]


async def test_a_worker_that_has_hung_up_is_not_called(autojump_clock: MockClock) -> None:
    """The job goes at once to the one that still waits."""
    async with floor() as at, trio.open_nursery() as nursery:
        gone = await ask(nursery, at, beat())
        waiting = await ask(nursery, at, beat(OTHER))
        gone.scope.cancel()
        await wait_all_tasks_blocked()
        await build(at.core, job("a"))
        came = trio.current_time()
        await wait_all_tasks_blocked()
        assert waiting.jobs == ["a"]
        assert waiting.at == came


async def test_a_lease_that_ended_wakes_its_worker(autojump_clock: MockClock) -> None:
    """It is told to let go, although it has no slot free."""
    async with floor() as at, trio.open_nursery() as nursery:
        id_ = await build(at.core, job("a"))
        first = await ask(nursery, at, beat())
        assert first.answer is not None
        lease = first.answer.assignments[0].lease.id
        held = await ask(nursery, at, beat(slots_free=0, running=(lease,)))
        assert held.answer is None
        await at.core.submit(CancelBuild(build=id_, reason="x"))
        await wait_all_tasks_blocked()
        assert held.answer == Answer(revoked=(lease,))


async def test_a_job_that_opens_with_time_is_given_at_that_time(autojump_clock: MockClock) -> None:
    """b waits 100 ms for the busy worker that holds its dependency, and not a whole look longer."""
    async with floor() as at, trio.open_nursery() as nursery:
        await build(at.core, job("a"), job("b", "a"), job("c", "a"))
        first = await ask(nursery, at, beat())
        assert first.answer is not None
        done = Result(job=job_id("a"), lease=first.answer.assignments[0].lease.id)
        other = await ask(nursery, at, beat(OTHER))
        await trio.sleep(0.61)
        near = await ask(nursery, at, beat(finished=(done,)))
        began = trio.current_time()
        assert near.jobs == ["b"]
        assert other.answer is None
        await trio.sleep(0.3)
        assert other.jobs == ["c"]
        assert other.at - began == pytest.approx(0.1, abs=0.02)


async def test_work_that_came_before_the_waiting_is_not_missed(autojump_clock: MockClock) -> None:
    """Between a worker's question and its waiting there is a visit to the disk; a lot can happen."""
    async with floor() as at:
        await at.core.submit(beat())
        await build(at.core, job("a"))
        await wait_all_tasks_blocked()
        began = trio.current_time()
        assert await at.dispatch.wait(beat().worker, 1, 10.0)
        assert trio.current_time() == began


async def test_a_worker_without_room_is_not_called_in_vain(autojump_clock: MockClock) -> None:
    """It says it has a free slot, but all its slots are leased: the job is for somebody else."""
    async with floor() as at, trio.open_nursery() as nursery:
        await build(at.core, job("a"))
        await at.core.submit(beat())
        in_vain = False

        async def wait() -> None:
            nonlocal in_vain
            in_vain = await at.dispatch.wait(beat().worker, 1, 10.0)

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        await build(at.core, job("b"))
        await trio.sleep(20)
        assert not in_vain


async def test_a_stop_answers_everybody(autojump_clock: MockClock) -> None:
    """And nobody is held from then on."""
    async with floor() as at, trio.open_nursery() as nursery:
        held = await ask(nursery, at, beat())
        at.core.journal.stop_followers()
        await wait_all_tasks_blocked()
        assert held.answer == Answer()
        late = await ask(nursery, at, beat(OTHER))
        assert late.answer == Answer()
        assert not await at.dispatch.wait(OTHER, 1, 10.0)


async def test_nobody_is_held_until_it_is_taken_for_lost(autojump_clock: MockClock) -> None:
    """Who waits cannot report; half of the time after which silence counts is the most."""
    async with floor(Settings(lease_seconds=8, worker_silence_seconds=10)) as at:
        began = trio.current_time()
        assert await at.heartbeats.take(beat(), 60.0) == Answer()
        assert trio.current_time() - began == pytest.approx(4)


@pytest.mark.parametrize(
    ("fields", "held_seconds"),
    [
        ({}, IDLE_SECONDS),
        ({"running": None}, IDLE_SECONDS),
        ({"running": (job_id("z"),)}, BUSY_SECONDS),
        ({"finished": (Result(job=job_id("z")),)}, 0.0),
        ({"slots_free": 0}, BUSY_SECONDS),
    ],
)
async def test_a_worker_of_others_is_held_only_while_it_is_idle(
    autojump_clock: MockClock, fields: dict[str, object], held_seconds: float
) -> None:
    """Some ask in a tight loop; but behind a held answer their results would have to wait."""
    async with floor() as at:
        began = trio.current_time()
        assert await at.heartbeats.take(plain(WORKER, **fields), None) == Answer()
        assert trio.current_time() - began == pytest.approx(held_seconds)


async def test_a_mute_worker_s_results_do_not_wait_for_long(autojump_clock: MockClock) -> None:
    """It has room left and says nothing of the job it runs, which may end at any moment."""
    async with floor() as at:
        await build(at.core, job("a"))
        assert (await at.heartbeats.take(plain(running=None, slots_free=2), None)).assignments
        began = trio.current_time()
        assert await at.heartbeats.take(plain(running=None, slots_free=1), None) == Answer()
        assert trio.current_time() - began == pytest.approx(BUSY_SECONDS)


async def test_a_lost_answer_is_given_again(autojump_clock: MockClock) -> None:
    """As long as the worker does not report the lease, and no longer."""
    async with floor() as at:
        await build(at.core, job("a"))
        first = await at.heartbeats.take(beat(), 0.0)
        again = await at.heartbeats.take(beat(), 0.0)
        assert [each.lease.id for each in again.assignments] == [first.assignments[0].lease.id]
        reported = beat(slots_free=0, running=(first.assignments[0].lease.id,))
        assert await at.heartbeats.take(reported, 0.0) == Answer()


async def test_a_mute_worker_is_not_told_twice(autojump_clock: MockClock) -> None:
    """Null says nothing about what runs; only a worker with all slots free says that nothing does."""
    async with floor() as at:
        await build(at.core, job("a"), job("b"))
        first = await at.heartbeats.take(plain(running=None, slots_free=2), 0.0)
        assert [each.spec.name for each in first.assignments] == ["a", "b"]
        assert await at.heartbeats.take(plain(running=None, slots_free=1), 0.0) == Answer()
        again = await at.heartbeats.take(plain(running=None, slots_free=2), 0.0)
        assert [each.spec.name for each in again.assignments] == ["a", "b"]


async def test_a_job_of_the_same_id_may_follow_at_once(autojump_clock: MockClock) -> None:
    """A failed result makes room for another build's job of that id; the same answer brings it."""
    async with floor() as at:
        await build(at.core, job("a"))
        first = await at.heartbeats.take(plain(), 0.0)
        await build(at.core, job("a", "dep"), job("dep"))
        assert (await at.heartbeats.take(plain(OTHER), 0.0)).assignments
        done = Result(job=job_id("dep"))
        assert await at.heartbeats.take(plain(OTHER, slots_free=0, finished=(done,)), 0.0) == Answer()
        await trio.sleep(1)
        failed = Result(job=job_id("a"), exit_code=1, error="exit status 1")
        second = await at.heartbeats.take(plain(finished=(failed,)), 0.0)
        assert [each.spec.name for each in second.assignments] == ["a"]
        assert second.assignments[0].lease != first.assignments[0].lease


async def test_a_stranger_is_asked_to_introduce_itself(autojump_clock: MockClock) -> None:
    """One of ours that names a session we do not know, and does not say what it has; others never."""
    async with floor() as at:
        assert (await at.heartbeats.take(beat(slots=0), 0.0)).is_stranger
        assert not (await at.heartbeats.take(beat(slots=1), 0.0)).is_stranger
        plain = Heartbeat(worker=OTHER, slots_free=0)
        assert not (await at.heartbeats.take(plain, 0.0)).is_stranger


async def test_all_that_a_job_needs_is_in_the_assignment(autojump_clock: MockClock) -> None:
    """Where each dependency's artifact is, and of which spec."""
    async with floor() as at:
        await build(at.core, job("a"), job("b", "a"))
        first = (await at.heartbeats.take(beat(), 0.0)).assignments[0]
        done = Result(job=job_id("a"), lease=LeaseId(first.lease.id))
        second = (await at.heartbeats.take(beat(finished=(done,)), 0.0)).assignments[0]
        assert second.places == {job_id("a"): beat().worker}
        assert second.digests == {job_id("a"): first.lease.digest}
        assert second.sources == {}


async def test_a_report_waits_for_room_on_a_full_disk(autojump_clock: MockClock) -> None:
    """Some workers of others exit when they are refused, and a disk is often made room on quickly."""
    log = FullLog()
    async with floor(log=log) as there, trio.open_nursery() as nursery:
        log.is_full = True
        asked = await ask(nursery, there, plain(), wait_seconds=0.0)
        await trio.sleep(FULL_SECONDS_MAX / 2)
        assert asked.at < 0
        log.is_full = False
        await trio.sleep(FULL_SECONDS_MAX / 2)
        assert asked.answer == Answer()
        assert WORKER in there.core.state.workers


async def test_a_report_is_refused_if_the_disk_stays_full(autojump_clock: MockClock) -> None:
    """It does not wait for ever: its worker's request would time out."""
    log = FullLog()
    async with floor(log=log) as there:
        log.is_full = True
        began = trio.current_time()
        with pytest.raises(Rejected) as refused:
            await there.heartbeats.take(plain(), 0.0)
        assert refused.value.code is STORAGE_FULL
        assert FULL_SECONDS_MAX <= trio.current_time() - began < FULL_SECONDS_MAX + 2
