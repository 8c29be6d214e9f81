"""A full disk is a refusal, not an end: reads go on, jobs wait, and free space is used at once."""

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import wire
from clients.distbuild import BuildRequest, Cmd, Graph, Job
from clients.distbuild_client import DistbuildClient
from events.catalog import BuildStarted
from events.log import Entry
from tests.e2e import logs
from tests.e2e.farm import Farm
from tests.e2e.processes import SECONDS, Server, until
from tests.e2e.tinydisk import TinyDisk, tiny_disk
from tests.e2e.yard import shell

pytestmark = pytest.mark.e2e

# From the moment that there is space again; the promise is five seconds.
RESUME_SECONDS = 5.0
FULL = 507


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[TinyDisk]:
    with tiny_disk(tmp_path / "tiny") as disk:
        if disk is None:
            pytest.skip("no small file system can be had: no user namespaces, and /dev/shm is not small")
        yield disk


async def test_a_full_disk_refuses_writes_and_nothing_else(farm: Farm, disk: TinyDisk) -> None:
    """507 and TZ-1011 while it is full; a job that ends meanwhile is counted once there is room again."""
    farm.data = disk.directory / "data"
    coordinator = await farm.coordinator(prefix=disk.prefix)
    disk.seen_through(coordinator)
    await farm.worker("one")
    graph = farm.graph()
    shell(graph, "held", farm.yard.mark("held"), farm.yard.gate("go"), "echo done")
    client = farm.build(graph)
    build = await farm.only_build()
    await farm.passed("held")

    disk.fill()
    acknowledged = await _build_until_refused(farm)
    farm.yard.open("go")
    for method, target in (("POST", f"/api/builds/{build}/cancel"), ("PUT", f"/file?id={'ab' * 20}")):
        reply = await farm.client.call(method, target, body=b"{}", timeout_seconds=SECONDS)
        assert reply.status == FULL, reply
        assert "the coordinator's disk is full" in reply.text()
        assert method == "PUT" or json.loads(reply.body)["code"] == "TZ-1011"
    other = farm.graph()
    shell(other, "other", "true")
    refused = farm.build(other)
    assert await refused.ended() == 3
    assert "the coordinator's disk is full" in refused.stdout
    assert (await farm.api("/healthz"))["status"] == "ok"
    assert (await farm.api(f"/api/builds/{build}"))["build"]["state"] == "running"
    assert client.exit_code is None

    disk.free()
    freed = time.monotonic()

    async def look() -> str | None:
        return await _try_to_build(farm, "afterwards")

    acknowledged.append(await until("a build being taken again", look))
    assert time.monotonic() - freed <= RESUME_SECONDS
    assert await client.ended() == 0, client.stderr
    assert await farm.output(build, "held") == b"done\n"
    assert len(farm.yard.marks("held")) == 1
    log = _log_of(coordinator, disk, farm.directory / "copy")
    logs.check(log)
    started = {event.build for event in logs.events(log, BuildStarted)}
    assert started == {build, *acknowledged}
    coordinator.terminate()
    assert await coordinator.ended(seconds=10.0) == 0


def _log_of(coordinator: Server, disk: TinyDisk, copy: Path) -> list[Entry]:
    """The log as it is at this instant; the disk ends with its process, and SQLite would not find it."""
    coordinator.signal(signal.SIGSTOP)
    copy.mkdir()
    for file in (disk.outside / "data").glob("log.sqlite3*"):
        shutil.copy(file, copy)
    coordinator.signal(signal.SIGCONT)
    return logs.read(copy)


async def _build_until_refused(farm: Farm) -> list[str]:
    """Builds that were taken although the disk seemed full, because files have some room of their own."""
    taken: list[str] = []
    for number in range(100):
        build = await _try_to_build(farm, f"large-{number}")
        if build is None:
            return taken
        taken.append(build)
    raise AssertionError(f"{len(taken)} builds found room on a full disk")


async def _try_to_build(farm: Farm, name: str) -> str | None:
    """Start a large build that waits for a file for ever; None if the disk is full."""
    job = Job(
        id=name.encode().hex().ljust(40, "0")[:40], cmds=(Cmd(cat_template="x" * 200_000, cat_output="f"),)
    )
    request = BuildRequest(graph=Graph(source_files={"00" * 20: "missing"}, jobs=(job,)), name=name)
    try:
        async with DistbuildClient(farm.client).start_build(request, on_disconnect_continue=True) as stream:
            return stream.started.id
    except wire.Refused as refusal:
        assert refusal.status == FULL, refusal
        assert "the coordinator's disk is full" in refusal.text
        return None
