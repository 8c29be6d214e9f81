"""How a server verb lives and dies, with servers of the tests' own and with the real ones."""

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from clients import wire
from clients.cli import children, serving
from clients.cli.api import Api, WorkerInfo
from clients.cli.exits import Exit, Failure
from clients.cli.log.keeping import copied
from tests.clients.cli.command import ARGV, environ, kill, terzetto


class Server:
    """Stops when asked to, unless it is stubborn."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.stubborn = stubborn
        self.was_asked = False

    async def __call__(self, *, stop: trio.Event, task_status: trio.TaskStatus[str]) -> None:
        task_status.started("http://h:1")
        await stop.wait()
        self.was_asked = True
        if self.stubborn:
            await trio.sleep_forever()


class Announced:
    """Hears the ready line, and then sends this process a signal."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self.urls: list[str] = []
        self._numbers = numbers

    def __call__(self, url: str) -> None:
        self.urls.append(url)
        for number in self._numbers:
            os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_is_a_wish(number: signal.Signals) -> None:
    """The server is asked to stop, does, and that is a success."""
    server, announced = Server(), Announced(number)
    with trio.fail_after(5):
        assert await serving.serve(server, announce=announced) == Exit.OK
    assert (announced.urls, server.was_asked) == (["http://h:1"], True)


async def test_a_second_signal_is_an_order() -> None:
    """A server that does not stop is ended, and the exit code tells by which signal."""
    announced = Announced(signal.SIGTERM, signal.SIGINT)
    with trio.fail_after(5):
        assert await serving.serve(Server(stubborn=True), announce=announced) == 130


async def test_a_stop_comes_to_its_end(autojump_clock: trio.testing.MockClock) -> None:
    """A server that never stops is cut off in time for the ten seconds that are promised."""
    began = trio.current_time()
    announced = Announced(signal.SIGTERM)
    assert await serving.serve(Server(stubborn=True), announce=announced) == Exit.OK
    assert trio.current_time() - began < 10


async def test_a_server_that_ends_by_itself_has_failed() -> None:
    """Nobody asked it to."""

    async def ends(*, stop: trio.Event, task_status: trio.TaskStatus[str]) -> None:
        task_status.started("http://h:1")

    assert await serving.serve(ends, announce=Announced()) == Exit.INFRASTRUCTURE


async def test_a_stop_before_it_serves() -> None:
    """There is no ready line then, and no error either."""

    async def never_ready(*, stop: trio.Event, task_status: trio.TaskStatus[str]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()

    announced = Announced()
    with trio.fail_after(5):
        assert await serving.serve(never_ready, announce=announced) == Exit.OK
    assert announced.urls == []


# --- real processes


class Life:
    """A server process: its ready line, its log and its end."""

    def __init__(self, process: trio.Process, url: str) -> None:
        self.process = process
        self.url = url
        self.out = b""

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, bytes]:
        """Send the signal; the exit code, and all that came on stdout after the ready line."""
        self.process.send_signal(number)
        with trio.fail_after(10):
            code = await self.process.wait()
        assert self.process.stdout is not None
        rest = b"".join([chunk async for chunk in self.process.stdout])
        return code, self.out + rest


@asynccontextmanager
async def alive(*arguments: str | Path, stderr: Path) -> AsyncIterator[Life]:
    """`terzetto` with these arguments, once it is ready; killed at the end if it still lives."""
    with trio.fail_after(60), stderr.open("wb") as log:
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(
                partial(
                    trio.run_process,
                    [*ARGV, *map(str, arguments)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    check=False,
                    deliver_cancel=kill,
                    env=environ(),
                )
            )
            said = b""
            while b"\n" not in said:
                assert process.stdout is not None
                chunk = await process.stdout.receive_some()
                assert chunk, "it ended before it was ready"
                said += chunk
            line, _, rest = said.partition(b"\n")
            assert line.startswith(b"ready http://127.0.0.1:")
            life = Life(process, line.removeprefix(b"ready ").decode())
            life.out = rest
            yield life
            nursery.cancel_scope.cancel()


async def test_a_log_from_elsewhere_is_shown(tmp_path: Path) -> None:
    """From its file, and from an export of it: `ui` shows the builds until it is told to stop."""
    golden = Path(__file__).parents[2] / "golden" / "builds_fail_and_are_cancelled.jsonl"
    log = tmp_path / "log.sqlite3"
    copied([str(golden)], log)
    for file in (golden, log):
        async with alive("ui", file, "--bind", "127.0.0.1:0", stderr=tmp_path / "err") as life:
            async with wire.Client(life.url) as client:
                builds = await Api(client).builds(limit=50)
            assert {build["state"] for build in builds} >= {"failed", "cancelled"}
            assert await life.stop() == (0, b"")


async def workers(url: str, count: int) -> list[WorkerInfo]:
    """The workers, once there are so many: they serve before they have been heard of."""
    async with wire.Client(url) as client:
        while True:
            known = (await Api(client).workers())[1].workers
            if len(known) >= count:
                return list(known)
            await trio.sleep(0.02)


def children_of(pid: int) -> list[int]:
    """The processes that any thread of this one has started and not yet seen end."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted(int(word) for file in lists for word in file.read_text().split())


def is_gone(pid: int) -> bool:
    """A zombie, whose parent has not looked yet, counts as gone."""
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


async def until_gone(pids: list[int]) -> None:
    while not all(is_gone(pid) for pid in pids):
        await trio.sleep(0.02)


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_coordinator_says_one_line(tmp_path: Path, number: signal.Signals) -> None:
    """On stdout there is the ready line and nothing else; every line of the log is JSON."""
    data = tmp_path / "data"
    async with alive("coordinator", "--bind", "127.0.0.1:0", "--data", data, stderr=tmp_path / "log") as life:
        assert await workers(life.url, 0) == []
        assert await life.stop(number) == (0, b"")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {"serving", "stopping", "stopped"} <= {line["event"] for line in lines}
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)


@pytest.mark.e2e
async def test_a_data_directory_has_one_holder(tmp_path: Path) -> None:
    """A second coordinator leaves with exit code 3, and says who holds the log."""
    data = tmp_path / "data"
    async with alive("coordinator", "--bind", "127.0.0.1:0", "--data", data, stderr=tmp_path / "log") as life:
        second = await terzetto("coordinator", "--bind", "127.0.0.1:0", "--data", data)
        assert (second.code, second.out) == (3, "")
        assert "error[TZ-2202]: the data directory is in use\n" in second.err
        assert str(life.process.pid) in second.err


@pytest.mark.e2e
async def test_an_address_has_one_holder(tmp_path: Path) -> None:
    """A second server on the same port leaves with exit code 3 and a hint."""
    async with alive(
        "coordinator", "--bind", "127.0.0.1:0", "--data", tmp_path / "1", stderr=tmp_path / "log"
    ) as life:
        bind = life.url.removeprefix("http://")
        second = await terzetto("coordinator", "--bind", bind, "--data", tmp_path / "2")
    assert (second.code, second.out) == (3, "")
    assert "error[TZ-2201]" in second.err


@pytest.mark.e2e
async def test_a_corrupt_log(tmp_path: Path) -> None:
    """Exit code 65; a file that is no log is not touched."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/log.sqlite3").write_bytes(b"this is no database, but it is long enough" * 100)
    done = await terzetto("coordinator", "--bind", "127.0.0.1:0", "--data", tmp_path / "data")
    assert (done.code, done.out) == (65, ""), done.err
    assert "error[TZ-2204]: the event log is corrupt" in done.err


@pytest.mark.e2e
async def test_wrong_settings_are_usage_errors(tmp_path: Path) -> None:
    """What the configuration refuses is the user's to mend."""
    done = await terzetto("coordinator", "--base-path", "no-slash", "--data", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "base path must start with /" in done.err


@pytest.mark.e2e
async def test_up_is_a_whole_farm(tmp_path: Path) -> None:
    """It serves with two workers; one that is killed comes back under its name; SIGTERM ends them all."""
    arguments = ("up", "--bind", "127.0.0.1:0", "--data", tmp_path / "data", "--slots", "3")
    async with alive(*arguments, stderr=tmp_path / "log") as life:
        before = {worker.id: worker for worker in await workers(life.url, 2)}
        assert sorted(worker.labels["name"] for worker in before.values()) == ["worker-1", "worker-2"]
        assert {worker.slots for worker in before.values()} == {3}
        pids = children_of(life.process.pid)
        assert len(pids) == 2
        os.kill(pids[0], signal.SIGKILL)
        await until_gone(pids[:1])
        while len(again := children_of(life.process.pid)) < 2 or pids[0] in again:
            await trio.sleep(0.05)
        assert await life.stop() == (0, b"")
        await until_gone(again)
    async with alive(*arguments, stderr=tmp_path / "log2") as life:
        assert {worker.id for worker in await workers(life.url, 2)} == before.keys()


@pytest.mark.e2e
async def test_no_worker_outlives_up(tmp_path: Path) -> None:
    """Even when it is killed, its workers go."""
    arguments = ("up", "--bind", "127.0.0.1:0", "--data", tmp_path / "data", "--workers", "1")
    async with alive(*arguments, stderr=tmp_path / "log") as life:
        pids = children_of(life.process.pid)
        assert len(pids) == 1
        life.process.kill()
        with trio.fail_after(15):
            await until_gone(pids)


@pytest.mark.e2e
async def test_up_says_when_a_worker_cannot_start(tmp_path: Path) -> None:
    """Exit code 3, and no ready line."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/workers").write_text("in the way")
    done = await terzetto("up", "--bind", "127.0.0.1:0", "--data", tmp_path / "data", "--workers", "1")
    assert (done.code, done.out) == (3, "")
    assert "worker-1 did not get ready" in done.err


async def test_a_child_that_is_not_ready_in_time() -> None:
    """Its first line must be the ready line, and must come."""
    async with trio.open_nursery() as nursery:
        process = await children.start(
            nursery, ["builds", "--coordinator", "http://127.0.0.1:1"], stop_seconds=1
        )
        with pytest.raises(Failure, match="it did not get ready"):
            await children.await_ready(process, "it", seconds=20)
        nursery.cancel_scope.cancel()
