"""The journal: what it stores in one go, who is told when, and what becomes of a disk that fails."""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from coordinator.builds import start
from coordinator.core import Coordinator
from coordinator.follow import Follower
from events.commands import CancelBuild, StartBuild, StoreSource
from events.errors import STORAGE_FULL, Rejected
from events.ids import BlobDigest, Position, SourceId
from events.log import LogError, MemoryLog
from tests.coordinator.memory import Disk, FullLog, beat, build, job, positions, replayed, running, types


@pytest.fixture
def disk() -> Disk:
    disk = Disk()
    disk.is_open.set()
    return disk


def source(number: int) -> StoreSource:
    return StoreSource(source=SourceId(f"{number:040x}"), blob=BlobDigest("b" * 64), size=1)


async def test_whoever_comes_during_a_commit_shares_the_next_one(
    disk: Disk, autojump_clock: MockClock
) -> None:
    """One write for the first, one for all the others."""
    log = MemoryLog()
    async with running(log, disk=disk) as core:
        before = disk.writes
        disk.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(core.submit, source(0))
            await wait_all_tasks_blocked()
            for number in range(1, 50):
                nursery.start_soon(core.submit, source(number))
            await wait_all_tasks_blocked()
            disk.is_open.set()
        assert disk.writes - before == 2
        assert list(positions(log)) == list(range(1, core.journal.durable + 1))
        assert core.state == replayed(log)


async def test_nothing_shows_before_it_is_durable(disk: Disk, autojump_clock: MockClock) -> None:
    """Submitters, viewers, followers and those that were refused wait for the disk alike."""
    done: list[str] = []

    async def note(name: str, function: Callable[[], Awaitable[object]]) -> None:
        with contextlib.suppress(Rejected):
            await function()
        done.append(name)

    async with running(disk=disk) as core:
        id_ = await build(core)
        follower = Follower(core.journal, core.journal.durable)
        disk.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(note, "submit", partial(core.submit, source(1)))
            await wait_all_tasks_blocked()
            nursery.start_soon(note, "no news", partial(core.submit, source(1)))
            nursery.start_soon(note, "view", partial(core.view, lambda state: state.sources))
            nursery.start_soon(note, "follower", partial(follower.read))
            nursery.start_soon(note, "refused", partial(core.submit, CancelBuild(build=id_, reason="x")))
            await wait_all_tasks_blocked()
            assert core.state.sources
            assert done == []
            disk.is_open.set()
        assert sorted(done) == ["follower", "no news", "refused", "submit", "view"]


async def test_a_view_waits_only_for_what_it_saw(disk: Disk, autojump_clock: MockClock) -> None:
    """What is durable already is shown while the disk is idle, at once."""
    async with running(disk=disk) as core:
        await core.submit(source(1))
        disk.close()
        assert list(await core.view(lambda state: state.sources)) == [source(1).source]


async def test_a_caller_that_gives_up_loses_no_records(disk: Disk, autojump_clock: MockClock) -> None:
    """They were folded, so they are stored, and the log has no hole."""
    log = MemoryLog()
    async with running(log, disk=disk) as core:
        disk.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(core.submit, source(1))
            nursery.start_soon(core.submit, source(2))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        disk.is_open.set()
        await core.submit(source(3))
        assert list(positions(log)) == [1, 2, 3, 4]
        assert core.state == replayed(log)
        assert len(core.state.sources) == 3


async def refusal(core: Coordinator, command: StoreSource) -> str:
    with pytest.raises(Rejected) as caught:
        await core.submit(command)
    return caught.value.code.code


async def test_a_full_disk_refuses_writes_and_nothing_else(disk: Disk, autojump_clock: MockClock) -> None:
    """What was refused never happened, reads go on, and writes resume by themselves."""
    log = FullLog()
    async with running(log, disk=disk, has_room=lambda: not log.is_full) as core:
        await core.submit(source(1))
        log.is_full = True
        disk.close()
        codes: list[str] = []

        async def submit(number: int) -> None:
            codes.append(await refusal(core, source(number)))

        async with trio.open_nursery() as nursery:
            for number in (2, 3, 4):
                nursery.start_soon(submit, number)
                await wait_all_tasks_blocked()
            disk.is_open.set()
        assert codes == [STORAGE_FULL.code] * 3
        assert core.state == replayed(log)
        assert list(await core.view(lambda state: state.sources)) == [source(1).source]
        assert [e.record.position for e in await Follower(core.journal, Position(0)).read()] == [1, 2]
        assert await refusal(core, source(5)) == STORAGE_FULL.code
        log.is_full = False
        began = trio.current_time()
        while core.journal.is_full:
            await trio.sleep(0.1)
        assert trio.current_time() - began <= 5
        await core.submit(source(2))
        assert core.state == replayed(log)
        assert len(core.state.sources) == 2


async def test_a_view_of_what_was_dropped_looks_again(disk: Disk, autojump_clock: MockClock) -> None:
    """Whoever saw facts that the full disk undid sees the state without them, and is not refused."""
    log = FullLog()
    seen: list[int] = []
    async with running(log, disk=disk, has_room=lambda: not log.is_full) as core:

        async def look() -> None:
            seen.append(await core.view(lambda state: len(state.sources)))

        log.is_full = True
        disk.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refusal, core, source(1))
            await wait_all_tasks_blocked()
            nursery.start_soon(look)
            await wait_all_tasks_blocked()
            disk.is_open.set()
        log.is_full = False
    assert seen == [0]


async def test_a_refusal_that_rests_on_dropped_facts_is_decided_anew(
    disk: Disk, autojump_clock: MockClock
) -> None:
    """The build was not cancelled after all, so the second cancellation is not "done already"."""
    log = FullLog()
    async with running(log, disk=disk, has_room=lambda: not log.is_full) as core:
        id_ = await start(core, StartBuild(jobs=(job("a"),)))
        log.is_full = True
        disk.close()
        codes: list[str] = []

        async def cancel() -> None:
            with pytest.raises(Rejected) as caught:
                await core.submit(CancelBuild(build=id_, reason="x"))
            codes.append(caught.value.code.code)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel)
            await wait_all_tasks_blocked()
            nursery.start_soon(cancel)  # a repetition changes nothing, and would be answered with success
            await wait_all_tasks_blocked()
            assert not core.state.active
            disk.is_open.set()
        assert codes == [STORAGE_FULL.code] * 2
        assert id_ in core.state.active


async def test_any_other_failure_to_write_ends_the_process(autojump_clock: MockClock) -> None:
    """The outcome is unknown, so nobody is answered, and the failure leaves the nursery."""
    answered: list[object] = []
    broken = [False]

    def fail() -> None:
        if broken[0]:
            raise LogError("input/output error")

    with pytest.RaisesGroup(pytest.RaisesExc(LogError, match="input/output")):
        async with running(MemoryLog(fail)) as core:
            broken[0] = True
            answered.append(await core.submit(source(1)))
    assert answered == []


async def test_a_bug_in_a_decision_ends_the_process(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State may hold facts by then that are not in the log; the next process replays what is."""
    log = MemoryLog()
    with pytest.RaisesGroup(ZeroDivisionError):
        async with running(log) as core:
            with pytest.raises(ZeroDivisionError):
                await core.ask(source(1), lambda _state, _records: 1 // 0)
            await core.submit(source(2))
    assert list(positions(log)) == [1]


async def test_a_restart_replays_the_log(autojump_clock: MockClock) -> None:
    """The same state, but for the facts of the start itself."""
    log = MemoryLog()
    async with running(log) as core:
        await core.submit(beat())
        await build(core, job("a"), job("b", "a"))
        await core.submit(beat())
        before = core.state
    async with running(log) as again:
        assert again.state.builds == before.builds
        assert again.state.leases == before.leases
        assert again.state.epoch == before.epoch + 1
        assert again.state == replayed(log)
        assert again.journal.durable == log.head()


async def test_submit_returns_the_records_of_its_command(autojump_clock: MockClock) -> None:
    """Cause first, then consequences; nothing for what changes nothing."""
    async with running() as core:
        assert types(await core.submit(source(1))) == ["SourceStored"]
        assert await core.submit(source(1)) == []
