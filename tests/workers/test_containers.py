"""Jobs in real containers: what they see and may use, what they leave, and that no container is left."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from clients import wire
from clients.distbuild import Cmd, Container
from tests.podman import IMAGE, Podman
from tests.workers.farm import A, B, Farm, open_farm, open_worker
from workers import containers

BOX = Container(image=IMAGE)


def _sh(script: str) -> Cmd:
    return Cmd(exec=("sh", "-c", script), environ=("PATH=/bin",))


async def _gone(podman: Podman) -> None:
    """Wait until there is no container any more."""
    with trio.fail_after(60):
        while await trio.to_thread.run_sync(podman.containers):
            await trio.sleep(0.05)


async def test_a_job_in_a_container_is_a_job_like_any_other(podman: Podman, tmp_path: Path) -> None:
    """It reads its sources and dependencies, and leaves its artifact; but sees the image, not our machine."""
    async with open_farm() as farm, open_worker(farm, tmp_path / "w", engine=podman.url) as url:
        farm.files = {"01" * 20: b"source"}
        farm.give(A, _sh("cat s > {{.OutputDir}}/a; ls /"), source_files={"01" * 20: "s"}, container=BOX)
        seen = (await farm.printed(A)).split()
        assert set(seen) - {tmp_path.parts[1].encode()} <= {
            b"bin",
            b"dev",
            b"etc",
            b"proc",
            b"run",
            b"sys",
            b"tmp",
        }
        dep = f'{{{{index .Deps "{A}"}}}}'
        reads = _sh(f"cat {dep}/a; touch {dep}/b 2>/dev/null || echo no; echo $X > {{{{.OutputDir}}}}/b")
        farm.give(B, reads, deps=(A,), artifacts={A: url}, artifact_digests={A: "d" * 64}, container=BOX)
        result = await farm.result(B)
        assert (await farm.printed(B), result.error) == (b"sourceno\n", None)
        assert farm.reports[0].labels["engine"] == "docker"
        assert int(farm.reports[0].labels["memory"]) > 1 << 20
    await _gone(podman)


async def test_each_command_runs_anew_until_one_fails(podman: Podman, tmp_path: Path) -> None:
    """What is in the workspace stays between them; the exit code is that of the container."""
    async with open_farm() as farm, open_worker(farm, tmp_path / "w", engine=podman.url):
        cmds = (_sh("echo 1 > {{.OutputDir}}/x; touch /etc/y"), _sh("cat {{.OutputDir}}/x; ls /etc; exit 7"))
        farm.give(A, *cmds, container=BOX)
        result = await farm.result(A)
        assert (result.exit_code, result.error) == (7, "exit status 7")
        assert b"1\n" in await farm.printed(A)
        assert b"y\n" not in await farm.printed(A)
    await _gone(podman)


async def test_an_image_without_commands_runs_what_it_is_made_for(podman: Podman, tmp_path: Path) -> None:
    """Its ports are bound where the worker serves, and where is told."""
    podman.run(
        "import", "--change", 'CMD ["httpd","-f","-p","7777","-h","/"]', "-", "localhost/web:1", image=True
    )
    async with open_farm() as farm, open_worker(farm, tmp_path / "w", engine=podman.url):
        farm.give(A, container=Container(image="localhost/web:1", ports=("7777/tcp",)))
        started = await farm.started(A)
        where = started["Ports"]["7777/tcp"]
        assert re.fullmatch(r"127\.0\.0\.1:\d+", where)
        async with wire.Client(f"http://{where}") as client:
            reply = await client.call("GET", "/bin/sh", timeout_seconds=5)
        assert reply.status == 200
        assert started["Container"] in podman.run("ps", "--no-trunc", "--quiet")
        await _revoke(farm, podman)


async def _revoke(farm: Farm, podman: Podman) -> None:
    """The lease is over: what runs is stopped, and taken away."""
    farm.revoked = tuple(spec.lease for spec, _ in farm.open.values())
    farm.open.clear()
    await _gone(podman)


async def test_limits_are_the_container_s(podman: Podman, tmp_path: Path) -> None:
    """Beyond its memory a job is killed, and the result says what was probably the cause."""
    async with open_farm() as farm, open_worker(farm, tmp_path / "w", engine=podman.url):
        eats = _sh("x=x; while true; do x=$x$x; done")
        farm.give(A, eats, container=Container(image=IMAGE, memory=16 << 20, cpu=0.5))
        result = await farm.result(A)
        assert result.exit_code == 137
        assert "16777216 bytes" in (result.error or "")
    await _gone(podman)


WRONG: dict[str, tuple[Any, str]] = {
    "no such image": (Container(image="localhost/none:1"), "no image localhost/none:1"),
    "no such program": (BOX, "nowhere"),
}


@pytest.mark.parametrize(("container", "said"), WRONG.values(), ids=WRONG)
async def test_what_cannot_be_started_fails(
    podman: Podman, tmp_path: Path, container: Container, said: str
) -> None:
    """With the engine's words."""
    async with open_farm() as farm, open_worker(farm, tmp_path / "w", engine=podman.url):
        farm.give(A, Cmd(exec=("nowhere",)), container=container)
        result = await farm.result(A)
        assert result.exit_code == -1
        assert said in (result.error or "")
    await _gone(podman)


async def test_an_image_never_runs_without_an_engine(tmp_path: Path) -> None:
    """Whatever the coordinator thinks of the worker."""
    async with open_farm() as farm, open_worker(farm, tmp_path / "w"):
        farm.give(A, _sh("echo ran"), container=BOX)
        result = await farm.result(A)
        assert (result.stdout, result.exit_code) == ("", -1)
        assert "needs a container engine" in (result.error or "")
        assert "engine" not in farm.reports[0].labels


async def test_a_time_limit_ends_the_container(podman: Podman, tmp_path: Path) -> None:
    """As it would a process."""
    async with open_farm() as farm, open_worker(farm, tmp_path / "w", engine=podman.url):
        farm.give(A, _sh("sleep 600"), container=BOX, timeout_seconds=1.0)
        assert (await farm.result(A)).error == "timed out after 1 s"
    await _gone(podman)


async def test_an_engine_that_goes_away_fails_the_job_and_not_the_worker(
    podman: Podman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is back it says so, and what was left in it is taken away."""
    monkeypatch.setattr(containers, "LOOK_SECONDS", 0.5)
    async with open_farm() as farm, open_worker(farm, tmp_path / "w", engine=podman.url):
        farm.give(A, _sh("sleep 600"), container=BOX)
        await farm.started(A)
        podman.kill()
        assert "the container engine went away" in ((await farm.result(A)).error or "")
        assert podman.containers()
        await _introduced(farm, {})
        podman.serve()
        await _introduced(farm, {"engine": "docker"})
        await _gone(podman)
        farm.give(B, _sh("echo well"), container=BOX)
        assert (await farm.printed(B)) == b"well\n"


async def _introduced(farm: Farm, engine: dict[str, str]) -> None:
    """Wait until the worker has said, the last time that it said what it is, whether it has an engine."""
    while True:
        said = [report.labels for report in farm.reports if report.slots][-1]
        if {name: value for name, value in said.items() if name == "engine"} == engine:
            return
        await farm.changed.wait()


async def test_a_killed_worker_s_containers_are_taken_away_by_its_next_life(
    podman: Podman, tmp_path: Path
) -> None:
    """Those of this worker: another's stay."""
    other = podman.run("run", "--detach", "--name", "another", "--network", "none", IMAGE, "sleep", "600")
    async with open_farm() as farm:
        argv = [sys.executable, "-P", "-m", "clients.cli", "worker", "--coordinator", farm.url]
        argv += ["--data", str(tmp_path / "w"), "--engine", podman.url]
        worker = await trio.lowlevel.open_process(argv, stdout=subprocess.DEVNULL)
        farm.give(A, _sh("sleep 600"), container=BOX)
        await farm.started(A)
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        assert len(podman.containers()) == 2
        farm.open.clear()
        async with open_worker(farm, tmp_path / "w", engine=podman.url):
            assert podman.containers() == ["another"]
    podman.run("rm", "--force", "--time", "0", other)
