"""One job, with real processes: what it sees, what becomes of what it makes, and how it fails."""

import os
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from clients import wire
from clients.archive import pack
from clients.distbuild import Cmd, JobSpec
from clients.distbuild_client import DistbuildClient
from clients.graphs import source_id
from events.ids import JobId, SourceId
from tests.clients.peers import Network, Peer
from workers import execute
from workers.cache import Cache
from workers.commands import Commands
from workers.execute import Executor, Slot, Verdict
from workers.fetch import Fetcher
from workers.output import Output
from workers.workspace import Workspace

A, B, C = (JobId(name * 20) for name in ("aa", "bb", "cc"))
PATH = f"PATH={os.environ['PATH']}"
DIGEST = "d" * 64


@define(eq=False)
class Bench:
    """A slot with all that belongs to it; `files` and `artifacts` are what can be downloaded."""

    cache: Cache
    executor: Executor
    slot: Slot
    files: dict[str, bytes] = field(factory=dict)
    artifacts: dict[str, bytes] = field(factory=dict)
    asked: list[str] = field(factory=list)
    output: Output = field(factory=Output.limited)

    async def run(self, *cmds: Cmd, job: JobId = A, **fields: Any) -> Verdict:
        self.output = Output.limited()
        with trio.fail_after(20):
            return await self.executor.run(JobSpec(id=job, cmds=cmds, **fields), self.slot, self.output)

    async def sh(self, script: str, **fields: Any) -> Verdict:
        return await self.run(Cmd(exec=("sh", "-c", script), environ=(PATH,)), **fields)

    @property
    def stdout(self) -> bytes:
        return bytes(self.output.stdout.kept)

    def artifact(self, job: JobId = A) -> dict[str, bytes]:
        kept = self.cache.artifact(job, "")
        assert kept is not None
        directory = self.cache.directory_of(kept)
        files = [path for path in directory.rglob("*") if path.is_file()]
        return {str(path.relative_to(directory)): path.read_bytes() for path in files}

    async def serve(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            self.asked.append(request[0])
            target = request[0].partition(" ")[2]
            store = self.files if target.startswith("/file") else self.artifacts
            body = store.get(target.partition("id=")[2])
            await (peer.answer(b"no", status=404) if body is None else peer.answer(body))


@asynccontextmanager
async def _bench(tmp_path: Path) -> AsyncIterator[Bench]:
    cache = Cache(tmp_path / "cache", bytes_max=1 << 30)
    cache.open("boot")
    slot = Slot(Workspace(tmp_path / "slot", cache.trash), Commands())
    async with trio.open_nursery() as nursery:
        network = Network(nursery, lambda peer: bench.serve(peer))

        def client(url: str) -> wire.Client:
            return wire.Client(url, open_stream=network.open_stream)

        fetcher = Fetcher(
            cache,
            DistbuildClient(client("http://coordinator")),
            client,
            own_url="http://self",
            chance=random.Random(1),
        )
        bench = Bench(cache, Executor(cache, fetcher), slot)
        try:
            yield bench
            assert slot.workspace.is_clean
        finally:
            await slot.commands.aclose()
            nursery.cancel_scope.cancel()


async def test_a_plain_command_succeeds(tmp_path: Path) -> None:
    """Its artifact is there, empty, and has cost no disk."""
    async with _bench(tmp_path) as bench:
        assert await bench.run(Cmd(exec=("/bin/true",)), digest=DIGEST) == Verdict()
        assert bench.artifact() == {}
        assert bench.cache.artifacts() == {A: DIGEST}
        assert list((tmp_path / "cache" / "artifacts").iterdir()) == []


async def test_commands_run_in_order_until_one_fails(tmp_path: Path) -> None:
    """Their output is concatenated; there is no artifact."""
    async with _bench(tmp_path) as bench:
        cmds = [Cmd(exec=("sh", "-c", f"echo {n}; echo e{n} >&2; exit {n - 1}")) for n in (1, 8, 9)]
        assert await bench.run(*cmds) == Verdict(exit_code=7, error="exit status 7")
        assert bytes(bench.output.stdout.kept + bench.output.stderr.kept) == b"1\n8\ne1\ne8\n"
        assert bench.cache.artifacts() == {}


async def test_what_is_in_the_output_directory_becomes_the_artifact(tmp_path: Path) -> None:
    """Files and directories, from commands and from `cat`; templates name where."""
    async with _bench(tmp_path) as bench:
        verdict = await bench.run(
            Cmd(exec=("mkdir", "{{.OutputDir}}/d")),
            Cmd(cat_template="from {{.SourceDir}}", cat_output="{{.OutputDir}}/d/cat"),
            Cmd(exec=("sh", "-c", "printf x > made"), working_directory="{{.OutputDir}}"),
        )
        assert verdict == Verdict()
        source = str(bench.slot.workspace.source)
        assert bench.artifact() == {"d/cat": f"from {source}".encode(), "made": b"x"}


async def test_sources_are_laid_out_and_fetched_once(tmp_path: Path) -> None:
    """At their paths; the second job finds them in the cache, unharmed by what the first did to them."""
    async with _bench(tmp_path) as bench:
        one, two = SourceId("01" * 20), SourceId(source_id("dir/two.h", b"2"))
        bench.files = {one: b"1", two: b"2"}
        sources = {one: "one.c", two: "dir/two.h"}
        script = "cat one.c dir/two.h; echo spoilt >> one.c"
        for job in (A, B):
            assert await bench.sh(script, source_files=sources, job=job) == Verdict()
        assert bench.stdout == b"12"
        assert sorted(bench.asked) == sorted([f"GET /file?id={one}", f"GET /file?id={two}"])


async def test_the_time_that_fetching_took_is_told(
    tmp_path: Path, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is in the cache already there is nothing to tell."""
    mock_clock.rate = 1.0
    answer = Peer.answer

    async def answer_late(self: Peer, body: bytes, **more: Any) -> None:
        mock_clock.jump(7.0)
        await answer(self, body, **more)

    monkeypatch.setattr(Peer, "answer", answer_late)
    async with _bench(tmp_path) as bench:
        bench.files = {"01" * 20: b"1"}
        first, second = [await bench.run(job=job, source_files={"01" * 20: "one.c"}) for job in (A, B)]
        assert (first, second) == (Verdict(), Verdict())
        assert first.fetch_seconds >= 7.0 > second.fetch_seconds


async def test_a_source_that_cannot_be_had_fails_the_job(tmp_path: Path) -> None:
    """With the reason, and nothing has run."""
    async with _bench(tmp_path) as bench:
        verdict = await bench.sh("echo ran", source_files={"01" * 20: "one.c"})
        assert verdict.exit_code == -1
        assert verdict.error == f"worker: source {'01' * 20} cannot be had from the coordinator: 404: no"
        assert bench.stdout == b""


async def test_dependencies_are_read_in_place(tmp_path: Path) -> None:
    """Own artifacts are used as they are, empty ones too."""
    async with _bench(tmp_path) as bench:
        assert await bench.sh("echo lib > {{.OutputDir}}/x", job=B, digest=DIGEST) == Verdict()
        assert await bench.run(job=C) == Verdict()
        verdict = await bench.sh(
            f'cat {{{{index .Deps "{B}"}}}}/x; ls {{{{index .Deps "{C}"}}}}',
            deps=(B, C),
            artifacts={B: "http://self", C: "http://self"},
            artifact_digests={B: DIGEST},
        )
        assert (verdict, bench.stdout, bench.asked) == (Verdict(), b"lib\n", [])


async def test_dependencies_are_fetched_from_their_workers(tmp_path: Path) -> None:
    """What came is an artifact of this worker from then on."""
    async with _bench(tmp_path / "one") as one, _bench(tmp_path / "two") as two:
        await one.sh("echo lib > {{.OutputDir}}/x", digest=DIGEST)
        kept = one.cache.artifact(A, DIGEST)
        assert kept is not None
        packed = b"".join([chunk async for chunk in pack(one.cache.directory_of(kept))])
        two.artifacts = {f"{A}&digest={DIGEST}": packed}
        for job in (B, C):
            verdict = await two.sh(
                f'cat {{{{index .Deps "{A}"}}}}/x',
                job=job,
                deps=(A,),
                artifacts={A: "http://other:1"},
                artifact_digests={A: DIGEST},
            )
            assert (verdict, two.stdout) == (Verdict(), b"lib\n")
        assert two.asked == [f"GET /artifact?id={A}&digest={DIGEST}"]
        assert two.cache.artifacts() == {A: DIGEST, B: "", C: ""}


LOST: dict[str, Mapping[str, Any]] = {
    "refused": {"artifacts": {B: "http://other"}},
    "held by ourselves, we thought": {"artifacts": {B: "http://self"}},
    "nobody is named": {"artifacts": {}},
    "no URL": {"artifacts": {B: "nonsense"}},
}


@pytest.mark.parametrize("fields", LOST.values(), ids=LOST)
async def test_a_lost_dependency_is_named(tmp_path: Path, fields: Mapping[str, Any]) -> None:
    """The job did not run; the coordinator can have the artifact made again."""
    async with _bench(tmp_path) as bench:
        verdict = await bench.sh(f'ls {{{{index .Deps "{B}"}}}}', deps=(B,), **fields)
        assert (verdict.exit_code, verdict.lost) == (-1, (B,))
        assert verdict.error
        assert B in verdict.error


async def test_a_hostile_artifact_counts_as_lost(tmp_path: Path) -> None:
    """It is refused by the unpacker and leaves nothing."""
    async with _bench(tmp_path) as bench:
        bench.artifacts = {B: b"no tar at all" * 100}
        verdict = await bench.sh(f'ls {{{{index .Deps "{B}"}}}}', deps=(B,), artifacts={B: "http://other"})
        assert verdict.lost == (B,)
        assert list((tmp_path / "cache" / "incoming").iterdir()) == []


UNMENTIONED: Any = {"deps": (B, C), "artifacts": {B: "http://other", C: "http://other"}}


async def test_a_short_job_does_not_wait_for_dependencies_that_nobody_mentions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not even asked for."""
    monkeypatch.setattr(execute, "LEISURE_SECONDS", 3600.0)
    async with _bench(tmp_path) as bench:
        assert await bench.run(Cmd(exec=("true",)), **UNMENTIONED) == Verdict()
        assert bench.asked == []


async def test_a_longer_job_has_dependencies_fetched_that_nobody_mentions(tmp_path: Path) -> None:
    """While it runs: here until they are there. One that cannot be had does not harm it."""
    async with _bench(tmp_path) as bench:
        bench.artifacts = {B: bytes(1024)}
        bench.cache.on_change = lambda job, _digest: (tmp_path / job).touch()
        until_fetched = f"until test -e {tmp_path}/{B}; do sleep 0.02; done; exit 3"
        verdict = await bench.sh(until_fetched, **UNMENTIONED)
        assert verdict == Verdict(exit_code=3, error="exit status 3")
        assert bench.asked[0] == f"GET /artifact?id={B}"
        assert B in bench.cache.artifacts()


ERRORS: dict[str, tuple[Cmd, str]] = {
    "not to be found": (
        Cmd(exec=("no-such-program",)),
        'exec: "no-such-program": executable file not found in $PATH',
    ),
    "killed": (Cmd(exec=("sh", "-c", "kill -9 $$")), "signal: killed"),
    "template": (Cmd(exec=("echo", "{{.Foo}}")), "error rendering cmd: {{.Foo}} is not known"),
    "no dependency": (
        Cmd(exec=("ls", f'{{{{index .Deps "{B}"}}}}')),
        f"error rendering cmd: {B} is not among the job's Deps",
    ),
    "working directory": (
        Cmd(exec=("true",), working_directory="{{.OutputDir}}/../.."),
        "/../.. is outside the job's workspace",
    ),
    "missing directory": (
        Cmd(exec=("true",), working_directory="{{.SourceDir}}/none"),
        "none: no such file or directory",
    ),
    "cat outside": (Cmd(cat_output="{{.OutputDir}}/../../x"), "/../../x is outside the job's workspace"),
    "cat into nothing": (Cmd(cat_output="a/b"), "open a/b: no such file or directory"),
    "environment": (Cmd(exec=("true",), environ=("PATH",)), "exec: not an environment entry: 'PATH'"),
    "artifact": (
        Cmd(exec=("mkfifo", "{{.OutputDir}}/pipe")),
        "the job's artifact cannot be kept: neither a file nor a directory: pipe",
    ),
}


async def test_a_path_that_is_spelled_out_may_lie_anywhere(tmp_path: Path) -> None:
    """As distbuild has it; its own tests look for such a file to see whether a job ran."""
    (tmp_path / "elsewhere").mkdir()
    async with _bench(tmp_path) as bench:
        verdict = await bench.run(
            Cmd(cat_template="ran", cat_output=f"{tmp_path}/elsewhere/mark"),
            Cmd(exec=("sh", "-c", "pwd > where"), working_directory=f"{tmp_path}/elsewhere"),
        )
        assert verdict.error is None
    assert (tmp_path / "elsewhere" / "mark").read_text() == "ran"
    assert (tmp_path / "elsewhere" / "where").read_text() == f"{tmp_path}/elsewhere\n"


@pytest.mark.parametrize(("cmd", "error"), ERRORS.values(), ids=ERRORS)
async def test_errors_say_what_is_wrong(tmp_path: Path, cmd: Cmd, error: str) -> None:
    """With exit code -1, and there is no artifact."""
    async with _bench(tmp_path) as bench:
        verdict = await bench.run(cmd)
        assert verdict.exit_code == -1
        assert verdict.error
        assert error in verdict.error
        assert bench.cache.artifacts() == {}


async def test_a_job_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    """The limit is for all its commands together; what it said until then is kept."""
    async with _bench(tmp_path) as bench:
        sleep = Cmd(exec=("sh", "-c", "echo on; exec sleep 1.5"))
        verdict = await bench.run(sleep, sleep, timeout_seconds=2.5)
        assert verdict == Verdict(exit_code=-1, error="timed out after 2.5 s")
        assert bench.stdout == b"on\non\n"


async def test_output_beyond_the_limit_is_drained(tmp_path: Path) -> None:
    """The job runs to its end; what is kept says how much there was."""
    async with _bench(tmp_path) as bench:
        output = Output.limited(10)
        spec = JobSpec(id=A, cmds=(Cmd(exec=("head", "-c", "1000000", "/dev/zero")),))
        assert await bench.executor.run(spec, bench.slot, output) == Verdict()
        assert output.stdout.kept == bytes(10) + b"\n[output truncated: 999990 bytes dropped]\n"
        assert output.stderr.kept == b""


async def test_every_job_starts_from_nothing(tmp_path: Path) -> None:
    """What one leaves in its directories, or where it ran without any, the next does not see."""
    async with _bench(tmp_path) as bench:
        for _ in range(2):
            verdict = await bench.sh("ls -A; touch left; mkdir -m 000 locked")
            assert (verdict, bench.stdout) == (Verdict(), b"")
        for _ in range(2):
            await bench.sh("ls -A {{.SourceDir}} {{.OutputDir}}; touch {{.SourceDir}}/x; false")
            assert b"x" not in bench.stdout


async def test_a_daemon_does_not_outlive_its_job(tmp_path: Path) -> None:
    """But it lives from one command of the job to the next."""
    async with _bench(tmp_path) as bench:
        start = "setsid sleep 1000 >/dev/null 2>&1 & echo $! > {{.OutputDir}}/pid; cat {{.OutputDir}}/pid"
        check = "kill -0 $(cat {{.OutputDir}}/pid) && echo alive"
        cmds = [Cmd(exec=("sh", "-c", script), environ=(PATH,)) for script in (start, check)]
        assert await bench.run(*cmds) == Verdict()
        pid, alive = bench.stdout.split()
        assert alive == b"alive"
        assert not _exists(int(pid))


async def test_a_cancelled_job_leaves_nothing(tmp_path: Path) -> None:
    """Its processes are gone, its directories too, within two seconds; there is no artifact."""
    async with _bench(tmp_path) as bench:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.sh, "echo $$; setsid sleep 1000 & touch {{.OutputDir}}/x; sleep 1000")
            with trio.fail_after(10):
                while not bench.stdout:
                    await trio.sleep(0.01)
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began < 2
        assert not _exists(int(bench.stdout))
        assert bench.cache.artifacts() == {}


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_ids_are_never_taken_for_paths(tmp_path: Path) -> None:
    """A coordinator that gives odd ids gets an error, not a file somewhere else."""
    async with _bench(tmp_path) as bench:
        for fields in ({"job": JobId("../../x")}, {"digest": "../x"}, {"source_files": {"../x": "x"}}):
            verdict = await bench.run(Cmd(exec=("true",)), **fields)
            assert verdict.exit_code == -1
