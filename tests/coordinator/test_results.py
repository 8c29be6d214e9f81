"""Results on their way in, and the end of their output, on real files."""

from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from coordinator.closing import close_outputs_forever
from coordinator.output import OutputStore
from coordinator.results import Report, keep
from events.commands import CancelBuild
from events.ids import LeaseId
from tests.coordinator.memory import WORKER, beat, build, job, job_id, running


async def test_output_is_kept_for_live_leases_only(tmp_path: Path) -> None:
    """A stray's is not: it may be anybody's."""
    outputs = OutputStore(tmp_path)
    async with running() as core:
        await build(core, job("a"))
        await core.submit(beat())
        lease = core.state.leases_of[WORKER][job_id("a")]
        stray = Report(job=job_id("a"), lease=LeaseId("f" * 32), stdout=b"stray")
        unknown = Report(job=job_id("b"), stdout=b"unknown")
        good = Report(job=job_id("a"), lease=lease, stdout=b"out", stderr=b"err!", exit_code=3, error="e")
        results = await keep(core, outputs, WORKER, [stray, unknown, good])
        assert [(each.stdout_bytes, each.stderr_bytes) for each in results] == [(0, 0), (0, 0), (3, 4)]
        assert results[2].exit_code == 3
        assert outputs.size(LeaseId("f" * 32), "stdout") == 0
        assert await outputs.read(lease, "stderr", 0, 9) == b"err!"


async def test_the_rest_is_joined_to_what_was_streamed(tmp_path: Path) -> None:
    """The offset says where it begins; what is there already is skipped."""
    outputs = OutputStore(tmp_path)
    async with running() as core:
        await build(core, job("a"))
        await core.submit(beat())
        lease = core.state.leases_of[WORKER][job_id("a")]
        await outputs.append(lease, "stdout", 0, b"streamed ")
        report = Report(job=job_id("a"), lease=lease, stdout=b"ed and last", stdout_offset=6)
        (result,) = await keep(core, outputs, WORKER, [report])
        assert await outputs.read(lease, "stdout", 0, 99) == b"streamed and last"
        assert result.stdout_bytes == 17


async def test_streamed_output_counts_though_the_result_brings_none(tmp_path: Path) -> None:
    """Whatever the result says about it."""
    outputs = OutputStore(tmp_path)
    async with running() as core:
        await build(core, job("a"))
        await core.submit(beat())
        lease = core.state.leases_of[WORKER][job_id("a")]
        await outputs.append(lease, "stderr", 0, b"streamed")
        (result,) = await keep(core, outputs, WORKER, [Report(job=job_id("a"), lease=lease)])
        assert (result.stdout_bytes, result.stderr_bytes) == (0, 8)


async def test_a_hole_in_the_output_fails_no_heartbeat(tmp_path: Path) -> None:
    """What was streamed before a power cut may be gone; the worker could report for ever otherwise."""
    outputs = OutputStore(tmp_path)
    async with running() as core:
        await build(core, job("a"))
        await core.submit(beat())
        lease = core.state.leases_of[WORKER][job_id("a")]
        await outputs.append(lease, "stdout", 0, b"first")
        report = Report(job=job_id("a"), lease=lease, stdout=b"last", stdout_offset=105)
        (result,) = await keep(core, outputs, WORKER, [report])
        text = await outputs.read(lease, "stdout", 0, 99)
        assert text == "first\n…100 bytes were lost…\nlast".encode()
        assert result.stdout_bytes == len(text)


async def test_a_lease_that_ends_ends_its_output(tmp_path: Path) -> None:
    """However it ended: its followers see the end, and nothing of it stays in memory."""
    outputs = OutputStore(tmp_path)
    with trio.fail_after(5):
        async with running() as core, trio.open_nursery() as nursery:
            await nursery.start(close_outputs_forever, core, outputs)
            id_ = await build(core, job("a"))
            await core.submit(beat())
            lease = core.state.leases_of[WORKER][job_id("a")]
            await outputs.append(lease, "stdout", 0, b"some")
            followed: list[bool] = []

            async def follow() -> None:
                followed.append(await outputs.grown(lease, "stdout", 4))

            nursery.start_soon(follow)
            await wait_all_tasks_blocked()
            assert outputs.open_leases() == {lease}
            await core.submit(CancelBuild(build=id_, reason="x"))
            while outputs.open_leases():
                await wait_all_tasks_blocked()
            await wait_all_tasks_blocked()
            assert followed == [False]
            nursery.cancel_scope.cancel()
