"""Followers: every record once and in order, whatever memory, pages and the disk are doing."""

import random
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from coordinator.builds import start
from coordinator.core import Coordinator
from coordinator.follow import Follower
from coordinator.recent import Recent
from events.catalog import SourceStored
from events.commands import CancelBuild, ForgetBuild, StartBuild, StoreSource
from events.ids import BlobDigest, BuildId, Position, SourceId
from events.log import Entry, MemoryLog
from tests.coordinator.memory import Disk, beat, build, job, running

tiny = partial(Recent, records_max=3, subjects_max=1)


async def make_noise(core: Coordinator, chance: random.Random, times: int) -> None:
    """Records of the whole log, between which the builds' are scattered."""
    for _ in range(times):
        await core.submit(beat())
        await trio.sleep(chance.random() * 0.1)


async def make_builds(core: Coordinator, chance: random.Random, made: list[BuildId]) -> None:
    for number in range(5):
        id_ = await start(core, StartBuild(jobs=(job("a"), job("b", "a")), key=str(number)))
        made.append(id_)
        await trio.sleep(chance.random())
        await core.submit(CancelBuild(build=id_, reason="enough"))


def told(entries: list[Entry]) -> list[int]:
    return [entry.record.position for entry in entries]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("page", [1, 3, 2000])
async def test_neither_gap_nor_repeat(autojump_clock: MockClock, seed: int, page: int) -> None:
    """Of one build or of all, from wherever one begins, with a memory that forgets all the time."""
    chance, log, made, ended = random.Random(seed), MemoryLog(), list[BuildId](), trio.Event()
    whole: list[list[int]] = []

    async def follow_all(core: Coordinator, after: int) -> None:
        follower, got = Follower(core.journal, Position(after)), list[int]()
        while not follower.has_ended:
            got += told(await follower.read())
            await trio.sleep(chance.random() * 0.2)
        whole.append(got)

    async def follow_build(core: Coordinator, id_: BuildId, after: int) -> list[int]:
        follower, got = Follower(core.journal, Position(after), id_), list[int]()
        while not follower.has_ended:
            got += told(await follower.read(chance.random()))
            await trio.sleep(chance.random() * 0.1)
        return got

    async with running(log, recent=tiny, page=page) as core, trio.open_nursery() as followers:
        followers.start_soon(follow_all, core, 0)
        async with trio.open_nursery() as writers:
            writers.start_soon(make_noise, core, chance, 40)
            writers.start_soon(make_builds, core, chance, made)
            while len(made) < 5:
                await trio.sleep(0.1)
                if made:
                    await follow_build(core, made[0], 0)
        followers.start_soon(follow_all, core, log.head() // 2)
        await wait_all_tasks_blocked()
        for id_ in made:
            own = [
                e.record.position for e in log.read(limit=9999) if getattr(e.record.event, "build", "") == id_
            ]
            for after in (0, own[0], own[-2]):
                assert await follow_build(core, id_, after) == [p for p in own if p > after]
        head = log.head()
        await trio.sleep(5)
        core.journal.stop_followers()
        ended.set()
    assert sorted(map(len, whole)) == [head - head // 2, head]
    assert all(got == list(range(got[0], head + 1)) for got in whole)


async def test_it_ends_with_the_last_record_even_while_that_is_on_its_way(autojump_clock: MockClock) -> None:
    """State knows already that the build has ended; the follower must not end without saying so."""
    disk = Disk()
    disk.is_open.set()
    async with running(disk=disk) as core:
        id_ = await start(core, StartBuild(jobs=(job("a"),)))
        follower, got = Follower(core.journal, core.journal.durable, id_), list[str]()

        async def follow() -> None:
            while not follower.has_ended:
                got.extend(type(entry.record.event).__name__ for entry in await follower.read(1))

        disk.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(core.submit, CancelBuild(build=id_, reason="x"))
            await wait_all_tasks_blocked()
            assert id_ not in core.state.active
            nursery.start_soon(follow)
            await trio.sleep(10)
            assert not follower.has_ended
            disk.is_open.set()
        assert got == ["SignalReceived", "JobCancelled", "BuildCancelled"]


async def test_beyond_the_end_there_is_nothing(autojump_clock: MockClock) -> None:
    """Whoever asks for what follows a build's last record is told at once that it is over."""
    async with running() as core:
        id_ = await build(core)
        follower = Follower(core.journal, core.journal.durable, id_)
        with trio.fail_after(0.1):
            assert await follower.read() == []
        assert follower.has_ended


async def test_an_idle_reader_learns_how_far_it_has_come(autojump_clock: MockClock) -> None:
    """Nothing after the time it gave, with the cursor behind all that does not concern it."""
    async with running() as core:
        id_ = await start(core, StartBuild(jobs=(job("a"),)))
        follower = Follower(core.journal, core.journal.durable, id_)
        await core.submit(beat())
        began = trio.current_time()
        assert await follower.read(15) == []
        assert trio.current_time() - began == pytest.approx(15)
        assert follower.cursor == core.journal.durable
        assert not follower.has_ended


async def test_a_filter_hides_records_and_nothing_else(autojump_clock: MockClock) -> None:
    """However many pages hold nothing that is wanted, the next that is comes at once, and the end too."""
    log = MemoryLog()
    async with running(log) as core:
        id_ = await start(core, StartBuild(jobs=tuple(job(f"{n:03}") for n in range(100))))
    # After a restart nothing of the build is in memory.
    async with running(log, recent=tiny, page=2) as core:
        wanted = {"BuildCancelled"}
        follower = Follower(
            core.journal, Position(0), id_, wanted=lambda entry: type(entry.record.event).__name__ in wanted
        )
        with trio.fail_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(core.submit, CancelBuild(build=id_, reason="x"))
                entries = await follower.read()
        assert [type(entry.record.event).__name__ for entry in entries] == ["BuildCancelled"]
        assert follower.has_ended


async def test_a_filter_sees_the_whole_log(autojump_clock: MockClock) -> None:
    """Records of no build, too."""
    async with running() as core:
        follower = Follower(
            core.journal, Position(0), wanted=lambda entry: isinstance(entry.record.event, SourceStored)
        )
        await core.submit(beat())
        await core.submit(StoreSource(source=SourceId("a" * 40), blob=BlobDigest("b" * 64), size=1))
        assert len(await follower.read()) == 1


async def test_a_stop_ends_every_follower(autojump_clock: MockClock) -> None:
    """After it has been given what there was."""
    async with running() as core:
        id_ = await start(core, StartBuild(jobs=(job("a"),)))
        for follower in (Follower(core.journal, Position(0)), Follower(core.journal, Position(0), id_)):
            assert await follower.read()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(follower.read)
                await wait_all_tasks_blocked()
                core.journal.stop_followers()
            assert follower.has_ended


async def test_what_is_read_at_once_is_whole_commands(autojump_clock: MockClock) -> None:
    """Whatever the limits are; in a command that is larger than they are, one is told to be amid."""
    log = MemoryLog()
    limits: list[dict[str, Any]] = [
        {"records_max": 5},
        {"bytes_max": 700},
        {"records_max": 1},
        {"bytes_max": 1},
    ]
    async with running(log) as core:
        small = await start(core, StartBuild(jobs=(job("a"), job("b"))))
        large = await start(core, StartBuild(jobs=tuple(job(f"{n:03}") for n in range(30))))
        for id_ in (small, large):
            await trio.sleep(1)
            await core.submit(CancelBuild(build=id_, reason="x"))
        ends = [a.record.position for a, b in pairwise(log.read()) if a.record.at != b.record.at]
        for limit in limits:
            follower, got, parts = Follower(core.journal, Position(0), large, **limit), list[int](), 0
            while not follower.has_ended:
                got += told(await follower.read())
                parts += follower.is_amid
                assert follower.is_amid or got[-1] in [*ends, log.head()]
            assert parts > 5
            assert got == [
                e.record.position for e in log.read() if getattr(e.record.event, "build", "") == large
            ]
        follower, counts = Follower(core.journal, Position(0), records_max=7), list[int]()
        while follower.cursor < log.head():
            counts.append(len(await follower.read()))
            assert follower.is_amid or follower.cursor in [*ends, log.head()]
        assert max(counts) <= 7


async def test_nothing_follows_the_end_of_a_build(autojump_clock: MockClock) -> None:
    """Not even, for somebody who is late, that it was forgotten."""
    async with running() as core:
        id_ = await build(core)
        late = Follower(core.journal, Position(0), id_)
        await core.submit(ForgetBuild(build=id_))
        types = [type(entry.record.event).__name__ for entry in await late.read()]
        assert types[-1] == "BuildSucceeded"
        assert late.has_ended
        assert await late.read() == []
