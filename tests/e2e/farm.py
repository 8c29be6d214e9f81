"""A farm of real processes: coordinators, workers and clients, each killed and revived as a test likes."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from clients import codec, wire
from clients.distbuild import BuildRequest, Graph
from clients.graphs import GraphBuilder
from events.log import Entry
from tests.e2e import logs
from tests.e2e.processes import SECONDS, TERZETTO, Process, Server, at_work_below, until
from tests.e2e.yard import Yard

# For tests that wait for leases to run out; the others have the defaults, which no test waits for.
PATIENCE = ("--lease-seconds", "2", "--worker-silence-seconds", "2")


class Farm:
    """Everything lies below `directory`: data, the processes' output, sources and graphs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "coordinator"
        self.sources = directory / "sources"
        self.sources.mkdir()
        self.yard = Yard(directory / "yard")
        self.processes: list[Process] = []
        self._client: wire.Client | None = None
        self._numbers = 0

    # --- processes

    async def coordinator(self, *options: str, prefix: Sequence[str] = ()) -> Server:
        """Start the one that `api` and all others talk to, and wait until it serves."""
        verb = ["coordinator", "--bind", "127.0.0.1:0", "--data", str(self.data), *options]
        server = self._server("coordinator", [*prefix, *TERZETTO, *verb])
        await server.ready()
        self._client = wire.Client(server.url)
        return server

    async def hasty_coordinator(self) -> Server:
        """As `coordinator`, but idle streams need not be waited for so long."""
        program = (sys.executable, str(Path(__file__).with_name("hasty_coordinator.py")))
        verb = ["coordinator", "--bind", "127.0.0.1:0", "--data", str(self.data)]
        server = self._server("coordinator", [*program, *verb])
        await server.ready()
        self._client = wire.Client(server.url)
        return server

    async def worker(
        self, name: str, *, slots: int = 1, coordinator: str = "", options: Sequence[str] = ()
    ) -> Server:
        """Start one and wait until it serves artifacts."""
        verb = ["worker", "--coordinator", coordinator or self.url, "--bind", "127.0.0.1:0"]
        verb += ["--slots", str(slots), "--data", str(self.directory / name), "--id", name]
        server = self._server(name, [*TERZETTO, *verb, *options])
        await server.ready()
        return server

    def terzetto(self, verb: str, *arguments: str | Path, coordinator: str = "") -> Process:
        """Start a client verb."""
        where = ["--coordinator", coordinator or self.url]
        return self.program(verb, [*TERZETTO, verb, *arguments, *where])

    def build(
        self,
        graph: GraphBuilder | Graph,
        *options: str | Path,
        source: Path | None = None,
        coordinator: str = "",
    ) -> Process:
        """Start `terzetto build` for a graph."""
        file = self.write(graph)
        arguments = [file, "--source", source or self.sources, "--json", "--progress", "lines", *options]
        return self.terzetto("build", *arguments, coordinator=coordinator)

    def program(self, name: str, argv: Sequence[str | Path]) -> Process:
        """Start any program."""
        process = Process(self._name(name), argv, self.directory, _environ())
        self.processes.append(process)
        return process

    async def server(self, name: str, argv: Sequence[str | Path]) -> Server:
        """Start any program that says where it serves as ours do, and wait until it has."""
        server = self._server(name, argv)
        await server.ready()
        return server

    # --- graphs

    def graph(self) -> GraphBuilder:
        """Draw up a graph of files below `sources`."""
        return GraphBuilder(self.sources)

    def write(self, graph: GraphBuilder | Graph) -> Path:
        """The graph as distbuild's JSON, in a file."""
        file = self.directory / f"{self._name('graph')}.json"
        made = graph.graph() if isinstance(graph, GraphBuilder) else graph
        file.write_bytes(codec.write(BuildRequest(graph=made, name=file.stem)))
        return file

    # --- looking

    @property
    def client(self) -> wire.Client:
        assert self._client is not None, "there is no coordinator yet"
        return self._client

    @property
    def url(self) -> str:
        return self.client.base_url

    async def api(self, target: str) -> Any:
        """What the coordinator answers to a GET."""
        reply = await self.client.call("GET", target, timeout_seconds=SECONDS)
        return json.loads(reply.raise_for_status().body)

    async def jobs(self, build: str) -> dict[str, dict[str, Any]]:
        """The jobs of a build by name."""
        return {job["name"]: job for job in (await self.api(f"/api/builds/{build}"))["jobs"]}

    async def records(self, build: str) -> list[dict[str, Any]]:
        """All records of a build that has ended."""
        target = f"/api/builds/{build}/events?after=0"
        reply = await self.client.call("GET", target, timeout_seconds=SECONDS)
        return [json.loads(line) for line in reply.raise_for_status().body.splitlines()]

    async def only_build(self) -> str:
        """The id of the one build there is; waits until there is one."""

        async def look() -> list[dict[str, Any]] | None:
            builds: list[dict[str, Any]] = (await self.api("/api/builds"))["builds"]
            return builds

        builds = await until("a build", look)
        assert len(builds) == 1
        return str(builds[0]["id"])

    async def state(self, build: str, *states: str, seconds: float = SECONDS) -> dict[str, Any]:
        """Wait until the build has one of the states; returns its summary."""

        async def look() -> dict[str, Any] | None:
            summary: dict[str, Any] = (await self.api(f"/api/builds/{build}"))["build"]
            return summary if summary["state"] in states else None

        return await until(f"build {build} being {' or '.join(states)}", look, seconds=seconds)

    async def job(self, build: str, name: str, *states: str, seconds: float = SECONDS) -> dict[str, Any]:
        """Wait until a job has one of the states; returns it."""

        async def look() -> dict[str, Any] | None:
            job = (await self.jobs(build))[name]
            return job if job["state"] in states else None

        return await until(f"job {name} being {' or '.join(states)}", look, seconds=seconds)

    async def output(self, build: str, name: str) -> bytes:
        """What a job wrote to stdout."""
        id_ = (await self.jobs(build))[name]["id"]
        target = f"/api/builds/{build}/jobs/{id_}/output?stream=stdout"
        reply = await self.client.call("GET", target, timeout_seconds=SECONDS)
        return reply.raise_for_status().body

    async def workers(self, *states: str, number: int) -> list[dict[str, Any]]:
        """Wait until there are so many workers in these states; returns them."""

        async def look() -> list[dict[str, Any]] | None:
            found = [one for one in (await self.api("/api/workers"))["workers"] if one["state"] in states]
            return found if len(found) == number else None

        return await until(f"{number} workers being {' or '.join(states)}", look)

    async def passed(self, mark: str, times: int = 1, *, seconds: float = SECONDS) -> list[int]:
        """Wait until jobs have made this mark so often; returns the processes that did."""

        async def look() -> list[int] | None:
            found = self.yard.marks(mark)
            return found if len(found) >= times else None

        return await until(f"the mark {mark} made {times} times", look, seconds=seconds)

    def log(self) -> list[Entry]:
        """The coordinator's log as it is on disk now, chain verified."""
        return logs.read(self.data)

    # --- the end

    async def aclose(self) -> None:
        """End every process, whatever it does; then nothing may be left running, and all logs be right."""
        for process in self.processes:
            process.end()
        if self._client is not None:
            await self._client.aclose()

        async def look() -> bool:
            return not at_work_below(self.directory)

        try:
            await until("everything that workers started being gone", look)
        finally:
            for pid in at_work_below(self.directory):
                os.kill(pid, signal.SIGKILL)
        if (self.data / "log.sqlite3").exists():
            logs.check(self.log())

    def tell(self) -> str:
        return "\n".join(process.tell() for process in self.processes)

    def _server(self, name: str, argv: Sequence[str | Path]) -> Server:
        server = Server(name, argv, self.directory, _environ())
        self.processes.append(server)
        return server

    def _name(self, stem: str) -> str:
        self._numbers += 1
        return f"{stem}-{self._numbers}"


@asynccontextmanager
async def open_farm(directory: Path) -> AsyncIterator[Farm]:
    """A farm that is gone afterwards; what its processes said is printed, for pytest to show on failure."""
    farm = Farm(directory)
    try:
        try:
            yield farm
        finally:
            await farm.aclose()
    finally:
        print(farm.tell())


def _environ() -> dict[str, str]:
    """This process's environment without what would configure terzetto."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TERZETTO_")}
