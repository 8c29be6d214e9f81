"""Peers as the course's Go programs are: a client and a worker that speak plain distbuild only."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import Factory, define, frozen

from clients import wire
from tests.coordinator.live import SECONDS, Live


def hex_id(name: str) -> str:
    """As upstream's tests have them: the name's bytes, then zeros."""
    return name.encode().hex().ljust(40, "0")


def job(name: str, *deps: str, inputs: tuple[str, ...] = (), exec_: tuple[str, ...] = ()) -> dict[str, Any]:
    """A job as Go encodes it."""
    cmd = {"Exec": exec_ or None, "Environ": None, "WorkingDirectory": "", "CatTemplate": "", "CatOutput": ""}
    return {
        "ID": hex_id(name),
        "Name": name,
        "Inputs": list(inputs) or None,
        "Deps": [hex_id(dep) for dep in deps] or None,
        "Cmds": [{**cmd, "Exec": list(exec_)}] if exec_ else None,
    }


def graph(*jobs: dict[str, Any], files: dict[str, str] | None = None) -> dict[str, Any]:
    """A build request as Go encodes it; `files` are paths by id."""
    return {"Graph": {"SourceFiles": files, "Jobs": list(jobs) or None}}


@frozen
class Build:
    """A build whose stream is open."""

    live: Live
    started: dict[str, Any]
    headers: dict[str, str]
    _lines: wire.Lines

    @property
    def id(self) -> str:
        assert isinstance(self.started["ID"], str)
        return self.started["ID"]

    async def done(self) -> None:
        """Tell that the upload is done."""
        assert await self.live.post(f"/signal?build_id={self.id}", {"UploadDone": {}}) == {}

    async def next(self) -> dict[str, Any]:
        value = json.loads(await anext(self._lines))
        assert isinstance(value, dict)
        assert set(value) == {"JobFinished", "BuildFailed", "BuildFinished"}
        assert sum(each is not None for each in value.values()) == 1
        return value

    async def rest(self) -> list[dict[str, Any]]:
        """All updates to the last, which ends the stream."""
        updates = [await self.next()]
        while updates[-1]["JobFinished"] is not None:
            updates.append(await self.next())
        with trio.fail_after(SECONDS):
            assert [line async for line in self._lines] == []
        return updates


@asynccontextmanager
async def started(live: Live, request: dict[str, Any], query: str = "") -> AsyncIterator[Build]:
    """Start a build and keep its stream open for the length of the block."""
    body = json.dumps(request).encode()
    async with live.client.request("POST", f"/build{query}", body=body, timeout_seconds=SECONDS) as response:
        assert response.status == 200, await response.read()
        lines = response.lines()
        yield Build(live, json.loads(await anext(lines)), response.headers, lines)


async def build(
    live: Live, request: dict[str, Any], files: dict[str, bytes] | None = None
) -> list[dict[str, Any]]:
    """A whole build as a Go client does it; its updates."""
    async with started(live, request) as build_:
        for id_ in build_.started["MissingFiles"] or ():
            reply = await live.call("PUT", f"/file?id={id_}", (files or {})[id_])
            assert reply.status == 200
        await build_.done()
        return await build_.rest()


def outcome(updates: list[dict[str, Any]]) -> str:
    """How the build ended: "" or the error."""
    last = updates[-1]
    return "" if last["BuildFinished"] is not None else str(last["BuildFailed"]["Error"])


@frozen
class Ran:
    """What a job came to."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 0
    error: str | None = None


async def succeed(_spec: dict[str, Any]) -> Ran:
    return Ran()


def result(id_: str, ran: Ran) -> dict[str, Any]:
    """As Go encodes it: no bytes are null."""
    return {
        "ID": id_,
        "Stdout": base64.b64encode(ran.stdout).decode() if ran.stdout else None,
        "Stderr": base64.b64encode(ran.stderr).decode() if ran.stderr else None,
        "ExitCode": ran.exit_code,
        "Error": ran.error,
    }


@define(eq=False)
class Worker:
    """A worker as the forks are: it leaves on any answer but 200, and panics where they do.

    `is_mute`: it says nothing about what it runs; `run` runs a job in its stead.
    """

    live: Live
    url: str = "http://127.0.0.1:9101/worker/0"
    slots: int = 1
    run: Callable[[dict[str, Any]], Awaitable[Ran]] = succeed
    is_mute: bool = False
    executed: list[str] = Factory(list)
    artifacts: set[str] = Factory(set)
    _running: dict[str, None] = Factory(dict)
    _finished: list[dict[str, Any]] = Factory(list)
    _added: list[str] = Factory(list)

    async def beat_forever(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                await self.beat(nursery)
                await trio.sleep(0.01 if self._running else 0)

    async def beat(self, nursery: trio.Nursery) -> None:
        finished, self._finished = self._finished, []
        added, self._added = self._added, []
        answer = await self.live.heartbeat(
            WorkerID=self.url,
            RunningJobs=None if self.is_mute else list(self._running) or None,
            FreeSlots=self.slots - len(self._running),
            FinishedJob=finished or None,
            AddedArtifacts=added or None,
        )
        for id_, spec in (answer["JobsToRun"] or {}).items():
            assert spec["ID"] == id_
            assert id_ not in self._running, "it runs already"
            self._running[id_] = None
            nursery.start_soon(self._execute, spec)
        assert len(self._running) <= self.slots, "more jobs than slots"

    async def _execute(self, spec: dict[str, Any]) -> None:
        assert spec["ID"] not in self.artifacts, "panic: the artifact exists already"
        for dep in spec["Deps"] or ():
            holder = spec["Artifacts"][dep]  # else: panic
            if dep not in self.artifacts:
                assert holder != self.url, "told to fetch from itself what it does not have"
                self._add(dep)
        self.executed.append(spec["Name"])
        ran = await self.run(spec)
        if ran.error is None:
            self._add(spec["ID"])
        self._finished.append(result(spec["ID"], ran))
        del self._running[spec["ID"]]

    def _add(self, id_: str) -> None:
        self.artifacts.add(id_)
        self._added.append(id_)


@asynccontextmanager
async def working(*workers: Worker) -> AsyncIterator[None]:
    """Let the workers work for the length of the block."""
    async with trio.open_nursery() as nursery:
        for worker in workers:
            nursery.start_soon(worker.beat_forever)
        yield
        nursery.cancel_scope.cancel()
