"""A whole worker, real processes and sockets, under a coordinator of a few lines."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import trio

from clients import wire
from clients.archive import unpack
from clients.distbuild import Cmd, decode_bytes
from tests.workers.farm import DIGEST, A, B, C, open_farm, open_worker
from workers.app import run
from workers.config import WorkerConfig
from workers.disk import Locked


def _sh(script: str) -> Cmd:
    return Cmd(exec=("sh", "-c", script), environ=(f"PATH={os.environ['PATH']}",))


async def test_jobs_are_run_and_reported(tmp_path: Path) -> None:
    """With their output, exit codes and artifacts, which can be fetched from the worker."""
    async with open_farm() as farm, open_worker(farm, tmp_path / "w", labels={"os": "linux"}) as url:
        farm.files = {"01" * 20: b"source"}
        farm.give(A, _sh("cat s; cp s {{.OutputDir}}/copy"), source_files={"01" * 20: "s"})
        farm.give(B, _sh("echo bad >&2; exit 7"))
        result = await farm.result(A)
        assert (decode_bytes(result.stdout), result.error, result.exit_code) == (b"source", None, 0)
        failed = await farm.result(B)
        assert (decode_bytes(failed.stderr), failed.error, failed.exit_code) == (b"bad\n", "exit status 7", 7)
        first = farm.reports[0]
        assert (first.worker_id, first.slots, first.labels) == (url, 2, {"os": "linux"})
        announced = next(report for report in farm.reports if report.added_artifacts)
        assert (announced.added_artifacts, announced.artifact_digests) == ((A,), {A: DIGEST})
        async with (
            wire.Client(url) as client,
            client.request("GET", f"/artifact?id={A}&digest={DIGEST}", timeout_seconds=5) as response,
        ):
            await unpack(response, tmp_path / "copy")
        assert _read(tmp_path / "copy" / "copy") == b"source"


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _read(path: Path) -> bytes:
    return path.read_bytes()


async def test_artifacts_travel_between_workers(tmp_path: Path) -> None:
    """The one that needs it fetches it from the one that made it."""
    async with (
        open_farm() as farm,
        open_worker(farm, tmp_path / "1") as one,
        open_worker(farm, tmp_path / "2") as two,
    ):
        farm.give(A, _sh("echo lib > {{.OutputDir}}/x"), worker=one)
        await farm.result(A)
        fields = {"deps": (A,), "artifacts": {A: one}, "artifact_digests": {A: DIGEST}}
        farm.give(B, _sh(f'cat {{{{index .Deps "{A}"}}}}/x'), worker=two, **fields)
        assert decode_bytes((await farm.result(B)).stdout) == b"lib\n"
        fields = {"deps": (C,), "artifacts": {C: one}}
        farm.give(A, _sh(f'ls {{{{index .Deps "{C}"}}}}'), worker=two, **fields)
        del farm.results[A]
        assert (await farm.result(A)).lost_artifacts == (C,)


async def test_output_is_streamed_while_a_job_runs(tmp_path: Path) -> None:
    """What was streamed is not in the result, which says from where it goes on."""
    async with open_farm() as farm, open_worker(farm, tmp_path / "w"):
        farm.give(A, _sh("echo early; sleep 0.7; printf late"))
        lease = farm.open[A][0].lease
        with trio.fail_after(10):
            while not farm.streamed.get(f"{lease}/stdout"):
                await farm.changed.wait()
        assert A not in farm.results
        result = await farm.result(A)
        streamed = farm.streamed[f"{lease}/stdout"][: result.stdout_offset]
        assert result.stdout_offset >= len(b"early\n")
        assert streamed + decode_bytes(result.stdout) == b"early\nlate"


async def test_a_foreign_coordinator_is_served(tmp_path: Path) -> None:
    """No leases, no streaming: results by job id, with all output; a known job is not run again."""
    async with open_farm(has_leases=False) as farm, open_worker(farm, tmp_path / "w"):
        script = f"echo early; sleep 0.5; echo ran >> {tmp_path}/count"
        for _ in range(2):
            farm.give(A, _sh(script))
            result = await farm.result(A)
            assert (decode_bytes(result.stdout), result.lease, result.stdout_offset) == (b"early\n", "", 0)
            del farm.results[A]
        assert _read(tmp_path / "count") == b"ran\n"
        assert farm.streamed == {}


async def test_artifacts_survive_a_restart(tmp_path: Path) -> None:
    """They are announced again under the new life's session."""
    async with open_farm() as farm:
        async with open_worker(farm, tmp_path / "w"):
            farm.give(A, _sh("echo lib > {{.OutputDir}}/x"))
            await farm.result(A)
        before = len(farm.reports)
        async with open_worker(farm, tmp_path / "w"):
            await farm.report()
        again = farm.reports[before]
        assert again.artifact_digests == {A: DIGEST}
        assert again.session != farm.reports[0].session


async def test_two_workers_do_not_share_a_data_directory(tmp_path: Path) -> None:
    """The second one says so and leaves."""
    async with open_farm() as farm, open_worker(farm, tmp_path / "w"):
        config = WorkerConfig(coordinator=farm.url, data=tmp_path / "w")
        with pytest.raises(Locked, match=str(os.getpid())):
            await run(config, stop=trio.Event())


async def test_a_stop_kills_jobs_and_says_goodbye(tmp_path: Path) -> None:
    """What runs is killed and handed back, within a few seconds; nothing of it is left."""
    async with open_farm() as farm:
        async with open_worker(farm, tmp_path / "w"):
            farm.give(A, _sh(f"echo $$ > {tmp_path}/pid; setsid sleep 1000 & sleep 1000"))
            await farm.running(A)
            with trio.fail_after(10):
                while not (tmp_path / "pid").exists():
                    await trio.sleep(0.01)
            began = trio.current_time()
        assert trio.current_time() - began < 5
        pid = int(_read(tmp_path / "pid"))
        assert not _lives(pid)
        last = farm.reports[-1]
        assert (last.draining, last.free_slots, last.running_jobs) == (True, 0, ())
        assert farm.results == {}


async def test_a_worker_serves_below_the_path_of_its_url(tmp_path: Path) -> None:
    """Its name is what it was told, and artifacts are found there."""
    async with open_farm() as farm, open_worker(farm, tmp_path / "w", id="http://w.example/worker/0") as url:
        assert url == "http://w.example/worker/0"
        assert (await farm.report()).worker_id == url


PROCESS = textwrap.dedent("""\
    import sys, trio
    from functools import partial
    from pathlib import Path
    from workers.app import run
    from workers.config import WorkerConfig

    async def main():
        config = WorkerConfig(coordinator=sys.argv[1], data=Path(sys.argv[2]), slots=1)
        await run(config, stop=trio.Event())

    trio.run(main)
""")


async def test_nothing_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    """Not even what has left its session; and the next worker finds the directory free and in order."""
    async with open_farm() as farm:
        argv = [sys.executable, "-c", PROCESS, farm.url, str(tmp_path / "w")]
        worker = await trio.lowlevel.open_process(argv, stdout=subprocess.DEVNULL)
        farm.give(A, _sh(f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 1000' & sleep 1000"))
        with trio.fail_after(15):
            while not (tmp_path / "pid").exists() or not _read(tmp_path / "pid"):
                await trio.sleep(0.01)
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        pid = int(_read(tmp_path / "pid"))
        with trio.fail_after(2):
            while _lives(pid):
                await trio.sleep(0.01)
        farm.open.clear()
        async with open_worker(farm, tmp_path / "w"):
            farm.give(B, _sh("ls -A {{.SourceDir}}"))
            assert (await farm.result(B)).error is None
