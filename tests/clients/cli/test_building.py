"""`terzetto build` against a scripted coordinator: exit codes, streams, interruption."""

import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from clients import wire
from clients.cli.api import Api
from clients.cli.building import CANCEL_SECONDS, Wishes, build
from clients.graphs.files import load
from tests.clients.cli.command import ARGV, environ, kill, terzetto
from tests.clients.cli.nightly import begun, ended_badly, ended_well, ids
from tests.clients.coordinators import BUILD, Answer, ScriptedCoordinator, record, tar
from tests.clients.peers import Network, Peer, serving


async def test_a_success_leaves_what_was_made(file: Path, tmp_path: Path) -> None:
    """Stdout has the paths and nothing else; stderr tells the story, ending with the summary."""
    jobs = ids(file)
    source = re.search(r"[0-9a-f]{40}", (await terzetto("graph", "show", file, "--json")).out)
    assert source is not None
    coordinator = ScriptedCoordinator(missing=(source[0],))
    coordinator.records = ended_well(jobs)
    coordinator.blobs[f"/api/builds/{BUILD}/artifacts/{jobs['bin/app']}"] = tar(app=b"binary")
    async with serving(coordinator) as url:
        done = await terzetto("build", file, "--out", tmp_path / "made", url=url)
    assert (done.code, done.out) == (0, f"{tmp_path}/made/bin_app/app\n"), done.err
    assert (tmp_path / "made/bin_app/app").read_bytes() == b"binary"
    assert list(coordinator.files.values()) == [b"world"]
    page = f"{url}/#/b/{BUILD}"
    assert done.err.splitlines() == [
        "[build] uploading 0/1 source files",
        f"[build] build bbbbbbbb (nightly) started: {page}",
        "[build] all source files are there",
        "[compile] running on w1:1",
        "[compile] done in 2.0s on w1:1",
        "[bin/app] running on w1:1",
        "[bin/app] done in 1.0s on w1:1",
        "[build] fetching what was made: 0/1",
        "[build] ✓ build bbbbbbbb (nightly) succeeded in 11s",
        "[build]   2 jobs: 2 done",
        "[build]   critical path 3.0s: compile 2.0s → bin/app 1.0s",
        f"[build]   next: terzetto log critical-path bbbbbbbb --coordinator {url}",
        f"[build]   {page}",
    ]


async def test_a_failure_shows_why(file: Path) -> None:
    """The failed job's output is there at once, and its end once more in the summary; exit code 1."""
    jobs = ids(file)
    coordinator = ScriptedCoordinator()
    coordinator.records = ended_badly(jobs)
    coordinator.blobs[f"/api/builds/{BUILD}/jobs/{jobs['compile']}/output"] = b"\x1b[31mno\x1b[0m\n"
    async with serving(coordinator) as url:
        done = await terzetto("build", file, url=url)
    assert (done.code, done.out) == (1, f"{BUILD}\n")
    assert done.err.splitlines()[3:] == [
        "[compile] failed: exit status 2 after 1.0s on w1:1",
        "[compile] | no",
        "[build] ✗ compile: exit status 2",
        "[build]     | no",
        "[build] ✗ build bbbbbbbb (nightly) failed in 8.0s: job compile failed: exit status 2",
        "[build]   2 jobs: 1 failed, 1 cancelled",
        "[build]   next: terzetto output bbbbbbbb compile",
        "[build]         terzetto why bbbbbbbb compile",
        f"[build]   {url}/#/b/{BUILD}",
    ]


async def test_json_is_one_object(file: Path, tmp_path: Path) -> None:
    """A program gets how it ended, with the exit code, and records on stderr if it wants them."""
    jobs = ids(file)
    coordinator = ScriptedCoordinator()
    coordinator.records = ended_well(jobs)
    coordinator.blobs[f"/api/builds/{BUILD}/artifacts/{jobs['bin/app']}"] = tar(app=b"binary")
    async with serving(coordinator) as url:
        done = await terzetto(
            "build", file, "--out", tmp_path / "made", "--json", "--progress", "json", url=url
        )
    assert done.json == {
        "schema_version": 1,
        "id": BUILD,
        "name": "nightly",
        "state": "succeeded",
        "verdict": "succeeded",
        "reason": "",
        "url": f"{url}/#/b/{BUILD}",
        "started_at": 5.0,
        "ended_at": 16.0,
        "jobs": 2,
        "counts": {
            "blocked": 0,
            "queued": 0,
            "running": 0,
            "succeeded": 2,
            "failed": 0,
            "cancelled": 0,
        },
        "reused": 0,
        "attempts_lost": 0,
        "failed": [],
        "made": [f"{tmp_path}/made/bin_app/app"],
        "unfetched": [],
        "exit_code": 0,
    }
    told = [json.loads(line) for line in done.err.splitlines()]
    assert [line["position"] for line in told] == [*range(5, 11), *range(12, 17)]


@pytest.mark.parametrize(
    ("case", "code"), [("cancelled", 4), ("timed out", 5), ("broken off", 8), ("unfetched", 3)]
)
async def test_every_end_has_its_exit_code(file: Path, tmp_path: Path, case: str, code: int) -> None:
    """Cancelled by someone, timed out, unknown: never success, and none looks like another."""
    jobs = ids(file)
    coordinator, records = ScriptedCoordinator(), begun(jobs)
    match case:
        case "cancelled":
            records += [record(20, "BuildCancelled", reason="wrong branch")]
        case "timed out":
            failed = record(19, "JobFailed", job=jobs["compile"], exit_code=-1, error="timed out after 1 s")
            records += [failed, record(20, "BuildFailed", error="timed out")]
        case "broken off":
            coordinator.is_native = False
            coordinator.updates = [{"JobFinished": {"ID": jobs["compile"], "Error": None}}]
        case _:
            records = ended_well(jobs)
    coordinator.records = records
    out = ["--out", str(tmp_path / "made")]
    async with serving(coordinator) as url:
        done = await terzetto("build", file, "--json", *out, url=url)
    assert (done.code, done.json["exit_code"]) == (code, code), done.err


async def test_a_foreign_coordinator(file: Path) -> None:
    """It tells only how jobs end, and that is shown; there is no page to look at."""
    jobs = ids(file)
    coordinator = ScriptedCoordinator(is_native=False)
    coordinator.updates = [
        {"JobFinished": {"ID": jobs["compile"], "Stdout": "aGk=", "ExitCode": 1, "Error": "exit status 1"}},
        {"BuildFailed": {"Error": "compile failed"}},
    ]
    async with serving(coordinator) as url:
        done = await terzetto("build", file, url=url)
    assert (done.code, done.out) == (1, f"{BUILD}\n")
    assert done.err.splitlines()[:2] == ["[compile] failed: exit status 1", "[compile] | hi"]
    assert "http" not in done.err
    assert "terzetto" not in done.err


async def test_detached(file: Path) -> None:
    """The id and the page are printed once the sources are there, and the build goes on without us."""
    coordinator = ScriptedCoordinator()
    async with serving(coordinator) as url:
        done = await terzetto("build", file, "--detach", url=url)
        as_json = await terzetto("build", file, "--detach", "--json", url=url)
        assert (done.code, done.out) == (0, f"{BUILD} {url}/#/b/{BUILD}\n")
        assert as_json.json == {
            "schema_version": 1,
            "id": BUILD,
            "url": f"{url}/#/b/{BUILD}",
            "state": "running",
        }
    assert coordinator.signals == [{"UploadDone": {}}] * 2


@pytest.mark.parametrize(
    ("content", "code", "error"),
    [
        ("[jobs.a]\nrun = 3", 2, "error[TZ-2005]: the graph cannot be built\ncause: "),
        (None, 2, "error[TZ-2005]: the graph cannot be built\ncause: "),
    ],
)
async def test_a_graph_that_is_none(tmp_path: Path, content: str | None, code: int, error: str) -> None:
    """The coordinator is not even asked."""
    if content is not None:
        (tmp_path / "g.toml").write_text(content)
    done = await terzetto("build", "g.toml", cwd=tmp_path, url="http://127.0.0.1:1")
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(error + "g.toml")


async def test_a_coordinator_that_refuses(file: Path) -> None:
    """Its words are the error's cause."""
    coordinator = ScriptedCoordinator()

    async def refuses(peer: Peer) -> None:
        await peer.answer(b'{"error": "too many jobs"}', status=413)

    coordinator.instead["POST /build"] = [refuses]
    async with serving(coordinator) as url:
        done = await terzetto("build", file, url=url)
    assert (done.code, "cause: too many jobs" in done.err) == (2, True), done.err


async def test_an_out_directory_that_is_occupied(file: Path, tmp_path: Path) -> None:
    """What no build made is not touched, and nothing is started."""
    (tmp_path / "made/bin_app").mkdir(parents=True)
    coordinator = ScriptedCoordinator()
    async with serving(coordinator) as url:
        done = await terzetto("build", file, "--out", tmp_path / "made", url=url)
    assert (done.code, coordinator.requests) == (2, [])
    assert "fix: choose another --out, or move what is there" in done.err


@asynccontextmanager
async def running(file: Path, coordinator: ScriptedCoordinator, url: str) -> AsyncIterator[trio.Process]:
    """`terzetto build` of a build that does not end by itself, once a job runs."""
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            partial(
                trio.run_process,
                [*ARGV, "build", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
                deliver_cancel=kill,
                env=environ(url),
            )
        )
        said = b""
        while b"[compile] running on w1:1\n" not in said:
            said += await process.stderr.receive_some()
        yield process
        await process.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_the_first_signal_cancels_and_stays(file: Path, number: signal.Signals, code: int) -> None:
    """The build is cancelled, followed to its end and told; the exit code is the signal's."""
    coordinator = ScriptedCoordinator()
    coordinator.records = begun(ids(file))
    async with serving(coordinator) as url:
        async with running(file, coordinator, url) as process:
            process.send_signal(number)
            assert process.stderr is not None
            err = b"".join([chunk async for chunk in process.stderr]).decode()
        assert process.returncode == code
    assert [signal["Cancel"] for signal in coordinator.signals[1:]] == [
        {"Reason": f"its client got {number.name}"}
    ]
    lines = err.splitlines()
    assert lines[0] == ("[build] Cancelling build bbbbbbbb (1 running). Press Ctrl-C again to detach now.")
    assert f"[build] ⊘ build bbbbbbbb (nightly) cancelled in 1m 34s: its client got {number.name}" in lines


async def test_the_second_signal_leaves_at_once(file: Path) -> None:
    """Even when nobody answers the cancellation."""
    coordinator = ScriptedCoordinator()
    coordinator.records = begun(ids(file))
    asked = trio.Event()

    async def stalls(peer: Peer) -> None:
        asked.set()
        await trio.sleep_forever()  # until the client goes away, or the test ends

    async with serving(coordinator) as url, running(file, coordinator, url) as process:
        coordinator.instead["POST /signal"] = [stalls]
        process.send_signal(signal.SIGINT)
        await asked.wait()
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130


async def test_a_cancelled_build_is_not_followed_for_ever(
    file: Path,
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
    nursery: trio.Nursery,
) -> None:
    """Whatever the coordinator does, the first Ctrl-C is the end after ten seconds."""
    coordinator, asked = ScriptedCoordinator(), trio.Event()
    coordinator.records = begun(ids(file))

    async def stalls(peer: Peer) -> None:
        asked.set()
        await trio.sleep_forever()  # until the client goes away, or the test ends

    async def interrupt() -> None:
        await coordinator.may_run.wait()
        await trio.testing.wait_all_tasks_blocked()
        coordinator.instead["POST /signal"] = [stalls] * 99
        os.kill(os.getpid(), signal.SIGINT)

    nursery.start_soon(interrupt)
    client = wire.Client("http://c", open_stream=Network(nursery, coordinator).open_stream)
    wishes = Wishes(coordinator="http://c", source=file.parent, progress="lines")
    async with client:
        code = await build(Api(client), load(str(file), source_root=file.parent), wishes)
    assert (code, asked.is_set()) == (130, True)
    assert CANCEL_SECONDS <= trio.current_time() < CANCEL_SECONDS + 2
    left = "[build] left before build bbbbbbbb had ended: terzetto watch bbbbbbbb"
    assert capsys.readouterr().err.splitlines()[-1] == left


async def test_nobody_reads_what_is_said(file: Path) -> None:
    """The command ends without a word, as SIGPIPE would end it; the build goes on."""
    coordinator = ScriptedCoordinator()
    coordinator.records = begun(ids(file))
    reader, writer = os.pipe()
    os.close(reader)
    async with serving(coordinator) as url:
        done = await trio.run_process(
            [*ARGV, "build", str(file)],
            stdin=subprocess.DEVNULL,
            capture_stdout=True,
            stderr=writer,
            check=False,
            deliver_cancel=kill,
            env=environ(url),
        )
    os.close(writer)
    assert (done.returncode, done.stdout) == (141, b"")
    assert coordinator.signals == [{"UploadDone": {}}]


async def test_nobody_left_to_cancel_with(file: Path) -> None:
    """The coordinator is gone when the signal comes: that is said, and the exit code is the signal's."""
    coordinator = ScriptedCoordinator()
    coordinator.records = begun(ids(file))

    async def fails(peer: Peer) -> None:
        await peer.answer(b'{"error": "not you"}', status=403)

    async with serving(coordinator) as url, running(file, coordinator, url) as process:
        coordinator.instead["POST /signal"] = [fails]
        coordinator.instead[f"GET /api/builds/{BUILD}/events"] = [fails]
        process.send_signal(signal.SIGTERM)
        await trio.testing.wait_all_tasks_blocked(0.3)
        coordinator.cancelled.set()  # breaks the stream off; it is not to be had again
        assert process.stderr is not None
        err = b"".join([chunk async for chunk in process.stderr]).decode()
        assert await process.wait() == 143
    assert err.splitlines()[-1].startswith("[build] left without knowing how the build ended: not you")


async def test_an_outage_is_told(file: Path) -> None:
    """While the stream is gone the display says so and when it tries again; nothing is shown twice."""
    jobs = ids(file)
    coordinator = ScriptedCoordinator()
    coordinator.records = ended_well(jobs)

    async def breaks_off(peer: Peer) -> None:
        await peer.start()
        for entry in begun(jobs):
            await peer.say(json.dumps(entry).encode() + b"\n")
        await peer.stream.aclose()

    coordinator.instead[f"GET /api/builds/{BUILD}/events"] = [breaks_off]
    async with serving(coordinator) as url:
        done = await terzetto("build", file, url=url)
    assert done.code == 0
    told = [line for line in done.err.splitlines() if line.startswith("[build] reconnecting (")]
    assert len(told) == 1
    assert done.err.count("[compile] running on w1:1") == 1


def refuses_twice() -> list[Answer]:
    async def hangs_up(peer: Peer) -> None:
        await peer.stream.aclose()

    return [hangs_up, hangs_up]


async def test_a_coordinator_that_is_about_to_start(file: Path) -> None:
    """For some seconds it is waited for, and that is said once."""
    coordinator = ScriptedCoordinator()
    coordinator.records = ended_well(ids(file))
    coordinator.instead["POST /build"] = refuses_twice()
    async with serving(coordinator) as url:
        done = await terzetto("build", file, url=url)
    assert done.code == 0, done.err
    assert done.err.count("[build] waiting for the coordinator (") == 1
