"""What a running coordinator forgets: the oldest, if there is too much of it, and nothing that is in use."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import trio
from attrs import evolve
from trio.testing import MockClock

from coordinator.blobs import BlobStore
from coordinator.builds import start
from coordinator.core import Coordinator
from coordinator.files import Files, Wish
from coordinator.retention import (
    LOST_WORKER_SECONDS,
    LOST_WORKERS_MAX,
    REST_SECONDS,
    Limits,
    Retention,
    builds_over,
    files_over,
    useless_results,
    workers_gone,
)
from coordinator.sources import Sources
from events.catalog import FileStored, ResultsForgotten
from events.commands import CancelBuild, Result, StartBuild
from events.ids import BuildId, WorkerId, source_of
from events.log import MemoryLog
from tests.coordinator.memory import WORKER, FullLog, beat, build, job, job_id, now, replayed, running

T = TypeVar("T")

GENEROUS = Limits(builds=1000, jobs=100_000, seconds=30 * 86_400.0)


async def inline(function: Callable[..., T], *args: object) -> T:
    """Threads and a clock that jumps do not go together."""
    return function(*args)


def retention(core: Coordinator, root: Path, limits: Limits) -> Retention:
    blobs = BlobStore(root, run_sync=inline)
    return Retention(core, Files(core, blobs, Sources(core, blobs), inline), limits)


async def ended(core: Coordinator, *names: str) -> BuildId:
    """A build that was cancelled."""
    id_ = await build(core, *map(job, names))
    await core.submit(CancelBuild(build=id_, reason="enough"))
    return id_


async def test_of_too_many_builds_the_oldest_go(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Those that go on do not count and do not go."""
    async with running() as core:
        going_on = await build(core, job("z"))
        builds = [await ended(core, "a") for _ in range(5)]
        await trio.sleep(REST_SECONDS + 1)
        await retention(core, tmp_path, evolve(GENEROUS, builds=2)).look()
        assert list(core.state.builds) == [going_on, *builds[3:]]


async def test_of_too_many_jobs_the_oldest_builds_go(autojump_clock: MockClock) -> None:
    """However few builds they are."""
    async with running() as core:
        builds = [await ended(core, "a", "b", "c") for _ in range(4)]
        await trio.sleep(REST_SECONDS + 1)
        assert builds_over(core.state, evolve(GENEROUS, jobs=7), now()) == builds[:2]
        assert builds_over(core.state, evolve(GENEROUS, jobs=2), now()) == builds
        assert builds_over(core.state, evolve(GENEROUS, jobs=12), now()) == []


async def test_what_is_old_goes_even_if_it_is_all_there_is(autojump_clock: MockClock) -> None:
    """By its end, not by its beginning."""
    async with running() as core:
        old = await ended(core, "a")
        late = await build(core, job("b"))
        await trio.sleep(100)
        await core.submit(CancelBuild(build=late, reason="enough"))
        assert builds_over(core.state, GENEROUS, now() + GENEROUS.seconds - 50) == [old]


async def test_what_has_just_ended_stays_for_its_client(autojump_clock: MockClock) -> None:
    """Whatever the limits are: its results are still being fetched."""
    async with running() as core:
        last = await ended(core, "a")
        none = Limits(builds=0, jobs=0, seconds=1e9)
        await trio.sleep(REST_SECONDS - 1)
        assert builds_over(core.state, none, now()) == []
        await trio.sleep(2)
        assert builds_over(core.state, none, now()) == [last]


async def test_lost_workers_go_after_a_week(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Or earlier, if very many were lost after them; those that are here stay."""
    async with running() as core:
        await core.submit(beat())
        lost = [WorkerId(f"http://w{number}.invalid") for number in range(LOST_WORKERS_MAX + 2)]
        for worker in lost:
            await core.submit(beat(worker))
            await core.submit(beat(worker, leaving=True))
            await trio.sleep(0.001)
        assert set(workers_gone(core.state, now())) == set(lost[:2])
        await retention(core, tmp_path, GENEROUS).look()
        assert len(core.state.workers) == LOST_WORKERS_MAX + 1
        gone = workers_gone(core.state, now() + LOST_WORKER_SECONDS + 1)
        assert set(gone) == core.state.workers.keys() - {WORKER}


async def test_results_go_with_the_last_build_and_the_last_holder(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """As long as there is either, they stay; then they go in one record."""
    log = MemoryLog()
    async with running(log) as core:
        first = await build(core, job("a"), job("b"))
        await core.submit(beat(slots=2))
        leases = core.state.leases.values()
        done = tuple(Result(job=lease.job, lease=lease.id) for lease in leases)
        await core.submit(beat(slots=2, finished=done))
        assert core.state.builds[first].has_ended
        assert len(core.state.results) == 2
        await trio.sleep(REST_SECONDS + 1)
        assert await useless_results(core.state) == []
        await core.submit(beat(slots=2, dropped=(job_id("a"),)))
        assert await useless_results(core.state) == []
        await retention(core, tmp_path, evolve(GENEROUS, builds=0)).look()
        assert [id_ for id_, _ in core.state.results] == [job_id("b")]
        forgotten = [e.record.event for e in log.read() if isinstance(e.record.event, ResultsForgotten)]
        assert [list(event.results.values()) for event in forgotten] == [[job_id("a")]]
        assert replayed(log) == core.state


async def test_a_full_disk_only_puts_it_off(autojump_clock: MockClock, tmp_path: Path) -> None:
    """The look after it finds what there is to forget again."""
    log = FullLog()
    async with running(log, has_room=lambda: not log.is_full) as core, trio.open_nursery() as nursery:
        old = await ended(core, "a")
        await nursery.start(retention(core, tmp_path, evolve(GENEROUS, builds=0)).look_forever)
        log.is_full = True
        await trio.sleep(REST_SECONDS + 100)
        assert old in core.state.builds
        log.is_full = False
        await trio.sleep(100)
        assert old not in core.state.builds
        nursery.cancel_scope.cancel()


async def test_old_files_go_with_their_bytes_unless_a_known_build_needs_them(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """As what it is made from or as what it has made."""

    async def data(text: bytes) -> AsyncIterator[bytes]:
        await trio.lowlevel.checkpoint()
        yield text

    async with running() as core:
        blobs = BlobStore(tmp_path, run_sync=inline)
        files = Files(core, blobs, Sources(core, blobs), inline)

        async def store(text: bytes) -> FileStored:
            async with files.drafted(data(text)) as draft:
                return await files.store(draft, Wish())

        useless, used = await store(b"useless"), await store(b"used")
        id_ = await start(core, StartBuild(jobs=(job("a"),), sources={source_of(used.blob): "x"}))
        limits = evolve(GENEROUS, seconds=1000.0)
        await trio.sleep(limits.seconds + 1)
        await core.submit(CancelBuild(build=id_, reason="enough"))
        young = await store(b"young")
        assert await files_over(core.state, limits, now()) == [useless.file]
        await Retention(core, files, limits).look()
        assert list(core.state.files) == [used.file, young.file]
        assert not blobs.has(source_of(useless.blob))
        assert blobs.has(source_of(used.blob))
        await trio.sleep(limits.seconds + 1)
        await Retention(core, files, limits).look()
        assert (core.state.builds, core.state.files, core.state.sources) == ({}, {}, {})
        assert not blobs.has(source_of(used.blob))
