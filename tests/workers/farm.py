"""A coordinator of a few lines for workers to work for, and whole workers that work for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
from attrs import define, field
from quart import Response, request

from clients import codec
from clients.distbuild import Cmd, HeartbeatRequest, HeartbeatResponse, JobResult, JobSpec, decode_bytes
from clients.server import App, receive_body, serve
from events.ids import JobId
from workers.app import run
from workers.config import WorkerConfig

A, B, C = (JobId(name * 20) for name in ("aa", "bb", "cc"))
DIGEST = "d" * 64


@define(eq=False)
class Farm:
    """Gives each lease until it is reported running or finished; `has_leases` False plays a foreign one."""

    has_leases: bool = True
    url: str = ""
    open: dict[str, tuple[JobSpec, str | None]] = field(factory=dict)
    results: dict[str, JobResult] = field(factory=dict)
    reports: list[HeartbeatRequest] = field(factory=list)
    streamed: dict[str, bytes] = field(factory=dict)
    files: dict[str, bytes] = field(factory=dict)
    revoked: tuple[str, ...] = ()
    containers: dict[str, list[Any]] = field(factory=dict)
    changed: trio.Event = field(factory=trio.Event)

    def give(self, job: JobId, *cmds: Cmd, worker: str | None = None, **fields: object) -> None:
        lease = f"{len(self.results) + len(self.open):032x}" if self.has_leases else ""
        spec = JobSpec(id=job, cmds=cmds, lease=lease, digest=DIGEST if lease else "", **fields)  # type: ignore[arg-type]
        self.open[job] = (spec, worker)
        self._change()

    async def result(self, job: JobId) -> JobResult:
        with trio.fail_after(60):
            while job not in self.results:
                await self.changed.wait()
        return self.results[job]

    async def printed(self, job: JobId) -> bytes:
        """All that the job wrote to stdout, streamed or in its result."""
        result = await self.result(job)
        streamed = self.streamed.get(f"{result.lease}/stdout", b"")
        return streamed[: result.stdout_offset] + decode_bytes(result.stdout)

    async def started(self, job: JobId) -> Any:
        """What was said of the job's first container."""
        lease = self.open[job][0].lease
        with trio.fail_after(60):
            while lease not in self.containers:
                await self.changed.wait()
        return self.containers[lease][0]

    async def report(self) -> HeartbeatRequest:
        """The next one."""
        count = len(self.reports)
        with trio.fail_after(60):
            while len(self.reports) == count:
                await self.changed.wait()
        return self.reports[-1]

    async def running(self, job: JobId) -> None:
        with trio.fail_after(60):
            while job not in ((self.reports and self.reports[-1].running_jobs) or ()):
                await self.changed.wait()

    def application(self) -> App:
        app = App("farm")

        @app.post("/heartbeat")
        async def heartbeat() -> Response:
            report = codec.read(await receive_body(1 << 24), HeartbeatRequest)
            self.reports.append(report)
            for result in report.finished_job:
                self.results[result.id] = result
                self.open.pop(result.id, None)
            self._change()
            with trio.move_on_after(float(request.args["wait"])):
                while not (owed := self._owed(report)) and not self.revoked:
                    await self.changed.wait()
            revoked, self.revoked = self.revoked, ()
            return Response(codec.write(HeartbeatResponse(jobs_to_run=owed, revoked_leases=revoked)))

        @app.get("/file")
        async def file() -> Response:
            body = self.files.get(request.args["id"])
            return Response(body or b"no", 404 if body is None else 200)

        @app.post("/api/leases/<lease>/output")
        async def output(lease: str) -> Response:
            data = await receive_body(1 << 24)
            key, offset = f"{lease}/{request.args['stream']}", int(request.args["offset"])
            self.streamed[key] = self.streamed.get(key, b"")[:offset] + data
            self._change()
            return Response(codec.dumps({"size": len(self.streamed[key])}))

        @app.post("/api/leases/<lease>/container")
        async def container(lease: str) -> Response:
            self.containers.setdefault(lease, []).append(codec.loads(await receive_body(1 << 16)))
            self._change()
            return Response(b"{}")

        return app

    def _owed(self, report: HeartbeatRequest) -> dict[str, JobSpec]:
        if report.draining or not report.free_slots:
            return {}
        return {
            job: spec
            for job, (spec, worker) in self.open.items()
            if worker in (None, report.worker_id) and job not in (report.running_jobs or ())
        }

    def _change(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


@asynccontextmanager
async def open_farm(*, has_leases: bool = True) -> AsyncIterator[Farm]:
    farm, stop = Farm(has_leases), trio.Event()
    with trio.fail_after(90):
        async with trio.open_nursery() as nursery:
            serving = partial(
                serve, farm.application(), bind="127.0.0.1:0", shutdown=stop.wait, grace_seconds=0.1
            )
            farm.url = (await nursery.start(serving))[0]
            yield farm
            stop.set()


@asynccontextmanager
async def open_worker(farm: Farm, data: Path, **fields: object) -> AsyncIterator[str]:
    stop = trio.Event()
    config = WorkerConfig(coordinator=farm.url, data=data, slots=2, **fields)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        url: str = await nursery.start(partial(run, config, stop=stop))
        yield url
        stop.set()
