"""A build in distbuild's words, in virtual time: each job once, and values far enough apart."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import trio
from trio.testing import MockClock

from coordinator.core import Coordinator
from coordinator.follow import Follower
from coordinator.output import OutputStore
from coordinator.statuses import GAP_SECONDS, LAST_GAP_SECONDS, BuildEnded, JobEnded, statuses
from events.commands import Heartbeat, Result
from events.ids import BuildId, Position, WorkerId
from tests.coordinator.memory import beat, build, job, job_id, running

T = TypeVar("T")
OTHER = WorkerId("http://other.invalid")


async def inline(function: Callable[..., T], /, *args: object) -> T:
    await trio.lowlevel.checkpoint()
    return function(*args)


async def told(core: Coordinator, root: Path, id_: BuildId) -> list[tuple[float, JobEnded | BuildEnded]]:
    """The ended build's statuses, with the time since the first was asked for."""
    outputs, began = OutputStore(root, run_sync=inline), trio.current_time()
    follower = Follower(core.journal, Position(0), id_)
    return [(trio.current_time() - began, status) async for status in statuses(follower, outputs)]


def done(name: str, worker: WorkerId, **fields: object) -> Heartbeat:
    values: dict[str, object] = {"running": (), "finished": (Result(job=job_id(name)),), **fields}
    return Heartbeat(worker=worker, slots_free=1, **values)  # type: ignore[arg-type]  # tests know the fields


async def test_values_are_kept_apart(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Some clients lose what arrives together; the last value is the one that must not be lost."""
    async with running() as core:
        id_ = await build(core, job("a"))
        await core.submit(beat(native=False, session=""))
        await core.submit(done("a", beat().worker))
        (first_at, first), (last_at, last) = await told(core, tmp_path, id_)
        assert first == JobEnded(job=job_id("a"), stdout=b"", stderr=b"")
        assert last == BuildEnded(error=None)
        assert first_at == pytest.approx(GAP_SECONDS)
        assert last_at - first_at == pytest.approx(LAST_GAP_SECONDS)


async def test_much_to_tell_is_told_without_delay(tmp_path: Path, autojump_clock: MockClock) -> None:
    """But for the last value."""
    async with running() as core:
        jobs = [job(f"{number:03}") for number in range(100)]
        id_ = await build(core, *jobs)
        await core.submit(beat(slots=100, native=False, session=""))
        results = tuple(Result(job=each.id) for each in jobs)
        await core.submit(done("000", beat().worker, finished=results))
        values = await told(core, tmp_path, id_)
        assert [status.job for _, status in values[:-1] if isinstance(status, JobEnded)] == [
            j.id for j in jobs
        ]
        assert values[-1][0] == pytest.approx(LAST_GAP_SECONDS)


async def test_a_job_that_had_to_run_again_is_told_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Its first result was true, and clients count."""
    async with running() as core:
        id_ = await build(core, job("a"), job("b", "a"))
        await core.submit(beat())
        first = core.state.leases_of[beat().worker][job_id("a")]
        await core.submit(beat(slots_free=0, finished=(Result(job=job_id("a"), lease=first),)))
        await core.submit(beat(dropped=(job_id("a"),), slots_free=0))
        await core.submit(Heartbeat(worker=OTHER, slots_free=1, running=()))
        await core.submit(done("a", OTHER))
        await core.submit(done("b", OTHER))
        attempts = core.state.graphs[id_].jobs[job_id("a")].attempt
        assert attempts == 2
        values = [status for _, status in await told(core, tmp_path, id_)]
        assert [status.job for status in values if isinstance(status, JobEnded)] == [job_id("a"), job_id("b")]
        assert values[-1] == BuildEnded(error=None)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [(b"four", b"four"), (b"beyond", b"beyo" + "\n…truncated: 2 more bytes\n".encode())],
)
async def test_output_that_is_too_long_says_so(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, printed: bytes, shown: bytes
) -> None:
    """A client of others has no other way to learn that it did not get everything."""
    monkeypatch.setattr("coordinator.statuses.OUTPUT_BYTES_MAX", 4)
    async with running() as core:
        id_ = await build(core, job("a"))
        await core.submit(beat(native=False, session=""))
        lease = core.state.leases_of[beat().worker][job_id("a")]
        outputs = OutputStore(tmp_path, run_sync=inline)
        await outputs.append(lease, "stdout", 0, printed)
        await outputs.seal(lease)
        result = Result(job=job_id("a"), stdout_bytes=len(printed))
        await core.submit(done("a", beat().worker, finished=(result,)))
        (_, first), _ = await told(core, tmp_path, id_)
        assert first == JobEnded(job=job_id("a"), stdout=shown, stderr=b"")


async def test_a_stop_ends_the_telling_without_a_verdict(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The client finds out by asking again."""
    async with running() as core:
        id_ = await build(core, job("a"))
        core.journal.stop_followers()
        assert await told(core, tmp_path, id_) == []
