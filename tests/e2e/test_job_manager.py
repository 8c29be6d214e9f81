"""The job manager with real processes: whoever is killed, a job ends once, and has its answer."""

import json
from typing import Any

import pytest
import trio

from clients import wire
from events.catalog import FileStored, JobLeased, OutputsKept
from tests.e2e import logs
from tests.e2e.farm import PATIENCE, Farm
from tests.e2e.processes import SECONDS, gone, until

pytestmark = pytest.mark.e2e

TOOL = b'#!/bin/sh\ntr a-z A-Z < "$1"\n'


async def call(farm: Farm, method: str, target: str, body: object = b"") -> Any:
    """The JSON value of an answer; what is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await farm.client.call(method, target, body=data, timeout_seconds=SECONDS)
    return json.loads(reply.raise_for_status().body)


async def run(farm: Farm, *script: str, **more: object) -> str:
    return str((await call(farm, "POST", "/run", {"command": "\n".join(script), **more}))["job_id"])


async def store(farm: Farm, data: bytes) -> str:
    return str((await call(farm, "POST", "/api/files", data))["id"])


async def file(farm: Farm, id_: str) -> bytes:
    reply = await farm.client.call("GET", f"/api/files/{id_}", timeout_seconds=SECONDS)
    return reply.raise_for_status().body


async def ended(farm: Farm, job: str) -> Any:
    """What is told of the job once it has ended."""

    async def look() -> Any:
        told = await call(farm, "GET", f"/jobs/{job}")
        return told if told["state"] in ("DONE", "FAILED", "CANCELLED") else None

    return await until(f"job {job} having ended", look)


async def test_a_job_is_made_from_files_and_makes_files(farm: Farm) -> None:
    """A binary, inputs at their paths, braces in the command, an executable output, and both streams."""
    await farm.coordinator()
    await farm.worker("one")
    tool, data = await store(farm, TOOL), await store(farm, b"hello\n")
    job = await run(
        farm,
        "mkdir -p out && ./binary in/put > out/up && cp binary out/tool",
        "echo {{{ && ls -A >&2",
        binary=tool,
        input_files=[data, [data, "in/put"], [data, "again"]],
        output_files=["out/up", "stdout", "out/tool", "stderr"],
    )
    told = await ended(farm, job)
    assert told["state"] == "DONE"
    up, stdout, again, stderr = [await file(farm, id_) for id_ in told["results"]]
    assert (up, stdout, again) == (b"HELLO\n", b"{{{\n", TOOL)
    assert set(stderr.decode().split()) == {data, tool, "again", "binary", "in", "out"}
    listed = {each["id"]: each for each in (await farm.api("/api/files"))["files"]}
    assert [listed[id_]["executable"] for id_ in told["results"]] == [False, False, True, False]
    missing = await run(farm, "true", output_files=["not/made", "stderr"])
    told = await ended(farm, missing)
    assert told["state"] == "FAILED"
    assert (await file(farm, told["results"][0])).endswith(b"output file not made: not/made\n")


async def test_a_job_outlives_its_worker_and_its_coordinator(farm: Farm) -> None:
    """Both are killed while it runs; it runs again, and has one answer."""
    coordinator = await farm.coordinator(*PATIENCE)
    workers = {worker.url: worker for worker in [await farm.worker("one"), await farm.worker("two")]}
    job = await run(farm, farm.yard.mark("began"), farm.yard.gate("go on"), "echo answer")
    began = await farm.passed("began")
    [leased] = logs.events(farm.log(), JobLeased)
    workers[leased.worker].kill9()
    await gone(began, seconds=5.0)
    await farm.passed("began", times=2)
    coordinator.kill9()
    await coordinator.restart()
    farm.yard.open("go on")
    told = await ended(farm, job)
    assert told["state"] == "DONE"
    assert [await file(farm, id_) for id_ in told["results"]] == [b"answer\n"]
    [kept] = logs.events(farm.log(), OutputsKept)
    assert [each.file for each in kept.files] == told["results"]


async def test_outputs_are_kept_by_the_next_coordinator(farm: Farm) -> None:
    """The one before was killed again and again while it fetched them; there is one record, and no copy."""
    coordinator = await farm.coordinator()
    worker = await farm.worker("one")
    script = "head -c 30000000 /dev/zero > large; echo x > small"
    job = await run(farm, script, output_files=["large", "small"])
    build = await farm.only_build()
    await farm.state(build, "succeeded")
    for _ in range(3):
        coordinator.kill9()
        await coordinator.restart()
    told = await ended(farm, job)
    assert told["state"] == "DONE"
    sizes = {each["id"]: each["size"] for each in (await farm.api("/api/files"))["files"]}
    assert [sizes.pop(id_) for id_ in told["results"]] == [30_000_000, 2]
    assert sizes == {}
    assert len(logs.events(farm.log(), OutputsKept)) == 1
    assert list((farm.data / "blobs" / "incoming").iterdir()) == []
    assert worker.exit_code is None


async def test_an_upload_that_a_kill_cuts_short_leaves_nothing(farm: Farm) -> None:
    """Neither a record nor bytes; the same upload goes well afterwards."""
    coordinator = await farm.coordinator()
    came = trio.Event()

    async def body() -> Any:
        yield b"half"
        await came.wait()
        yield b" of it"

    async def upload() -> None:
        with pytest.raises(wire.Unreachable):
            await farm.client.call("POST", "/api/files", body=body(), timeout_seconds=SECONDS)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(upload)
        await call(farm, "GET", "/api/files")
        coordinator.kill9()
        came.set()
    await coordinator.restart()
    assert await farm.api("/api/files") == {"files": [], "next": None}
    assert [path for path in (farm.data / "blobs").rglob("*") if path.is_file()] == []
    assert await file(farm, await store(farm, b"half of it")) == b"half of it"
    assert len(logs.events(farm.log(), FileStored)) == 1


async def test_what_may_run_no_longer_is_killed(farm: Farm) -> None:
    """By its `ttl`, by cancelling it, and by deleting it."""
    await farm.coordinator()
    await farm.worker("one", slots=3)
    sleep = ("sleep 1000 & wait",)
    late = await run(farm, farm.yard.mark("late"), "echo begun", *sleep, ttl=1)
    cancelled, deleted = [await run(farm, farm.yard.mark(name), *sleep) for name in ("cancelled", "deleted")]
    began = [await farm.passed(name) for name in ("late", "cancelled", "deleted")]
    await call(farm, "POST", "/cancel", {"job_id": cancelled})
    await call(farm, "DELETE", "/delete", {"job_id": deleted})
    for pids in began:
        await gone(pids, seconds=SECONDS)
    told = await ended(farm, late)
    assert told["state"] == "FAILED"
    assert await file(farm, told["answer_id"][0]) == b"begun\n"
    assert (await ended(farm, cancelled))["state"] == "CANCELLED"
    reply = await farm.client.call("GET", f"/job_info/{deleted}", timeout_seconds=SECONDS)
    assert reply.status == 410
