"""Others who talk to the coordinator: watchers, passers-by, curious visitors, and workers that lie."""

from collections.abc import Sequence
from contextlib import suppress

import trio
from attrs import define, field

from clients import codec, wire
from clients.codec import Malformed
from clients.distbuild import (
    BuildRequest,
    Graph,
    HeartbeatRequest,
    HeartbeatResponse,
    Job,
    JobResult,
    SignalRequest,
    UploadDone,
)
from clients.distbuild_client import DistbuildClient
from events.ids import BuildId, Position
from tests.simulation.checks import Checks, require
from tests.simulation.graphs import SOURCES, Plan
from tests.simulation.hosts import COORDINATOR, Host

ENDPOINT = f"http://{COORDINATOR}"
TROUBLE = (wire.Unreachable, wire.Refused, wire.TooLarge, Malformed)


@define(eq=False, kw_only=True)
class Watcher(Host):
    """Follows the whole log as it grows, over lines or server-sent events, and comes back when it is lost."""

    checks: Checks
    position: Position = Position(0)

    async def watch_forever(self) -> None:
        async with self.open_client(ENDPOINT) as client:
            while True:
                try:
                    with trio.move_on_after(self.chance.expovariate(1 / 20.0)):
                        await self._follow(client, as_events=self.chance.random() < 0.3)
                except TROUBLE:
                    self.checks.hits.path("a watcher comes back")
                await trio.sleep(self.chance.random())

    async def _follow(self, client: wire.Client, *, as_events: bool) -> None:
        headers = [("accept", "text/event-stream")] if as_events else []
        target = f"/api/events?after={self.position}"
        async with client.request("GET", target, headers=headers, timeout_seconds=10) as response:
            await response.require(200)
            async for line in response.lines():
                if as_events and not line.startswith(b"data: "):
                    continue
                self._take(line.removeprefix(b"data: "))

    def _take(self, line: bytes) -> None:
        value = codec.loads(line)
        assert isinstance(value, dict)
        if value["type"] == "Progress":
            require(value["position"] == self.position, f"told {line!r} after {self.position}")
            return
        self.position = Position(self.position + 1)
        require(value["position"] == self.position, f"told {line!r}, not record {self.position}")
        require(self.checks.disk.entries[self.position - 1].text == line, f"not what the log says: {line!r}")


@define(eq=False, kw_only=True)
class PasserBy(Host):
    """A client that speaks plain distbuild, does not say that its build may outlive it, and goes away."""

    plan: Plan

    async def pass_by(self) -> None:
        patience = self.chance.choice([0.5, 3.0, 15.0])
        with trio.move_on_after(patience):
            try:
                async with self.open_client(ENDPOINT) as client:
                    await self._build(DistbuildClient(client))
            except TROUBLE:
                pass

    async def _build(self, coordinator: DistbuildClient) -> None:
        request = BuildRequest(graph=self.plan.graph, name=self.name)
        async with coordinator.start_build(request) as stream:
            done = SignalRequest(upload_done=UploadDone())
            if stream.started.missing_files:
                with suppress(wire.Refused):  # it is too early
                    await coordinator.signal(stream.started.id, done)
            paths = self.plan.graph.source_files
            for source in stream.started.missing_files:
                await coordinator.upload_file(source, SOURCES[paths[source]])
            await coordinator.signal(stream.started.id, done)
            told = [update.job_finished.id async for update in stream if update.job_finished is not None]
            require(len(told) == len(set(told)), f"told twice of one job: {told}")


@define(eq=False, kw_only=True)
class Visitor(Host):
    """Asks for things, some of which there are, in ways that are sometimes wrong."""

    checks: Checks

    async def ask_forever(self) -> None:
        while True:
            await trio.sleep(self.chance.expovariate(1.0))
            await self.ask(*self._question())

    async def ask(self, method: str, target: str, body: bytes = b"") -> None:
        """Whatever the answer is."""
        with suppress(*TROUBLE):
            async with self.open_client(ENDPOINT) as client:
                await client.call(method, target, body=body, timeout_seconds=5)

    def _question(self) -> tuple[str, str, bytes]:
        state = self.checks.shadow
        build = BuildId(self._any(list(state.builds)))
        job = self._any(list(state.graphs[build].jobs) if build in state.graphs else [])
        lease, source = self._any(list(state.leases)), self._any(list(state.sources))
        worker = self._any(list(state.workers))
        cycle = Graph(jobs=(Job(id="a" * 40, deps=("b" * 40,)), Job(id="b" * 40, deps=("a" * 40,))))
        questions = [
            ("GET", "/api/builds?limit=2", b""),
            ("GET", f"/api/builds/{build}", b""),
            ("GET", f"/api/builds/{build}?at={self.chance.randint(0, self.checks.disk.head)}", b""),
            ("GET", f"/api/builds/{build}/jobs/{job}/output", b""),
            ("GET", f"/api/builds/{build}/artifacts/{job}", b""),
            ("GET", f"/api/builds/{build}/artifacts/{'f' * 40}", b""),
            ("GET", "/api/workers", b""),
            ("GET", f"/api/workers/{worker}", b""),
            ("GET", "/api/nothing", b""),
            ("GET", f"/file?id={source}", b""),
            ("GET", "/readyz", b""),
            ("GET", "/metrics", b""),
            ("POST", f"/api/leases/{lease}/output?offset={self.chance.choice([0, 1 << 20])}", b"?"),
            ("POST", f"/signal?build_id={build}", b"{}"),
            ("POST", f"/signal?build_id={build}", b"x" * (70 << 10)),
            ("POST", "/build", codec.write(BuildRequest(graph=cycle))),
            ("POST", "/heartbeat", b'{"WorkerID": "http://nobody", "FreeSlots": -1}'),
            ("PUT", f"/file?id={source}", b"another content"),
        ]
        if state.leases and self.chance.random() < 0.2:
            return "POST", f"/api/leases/{lease}/output?offset={1 << 20}", b"?"
        return self.chance.choice(questions)

    def _any(self, names: Sequence[str]) -> str:
        return self.chance.choice([*names[-3:], "f" * 40])


@define(eq=False, kw_only=True)
class Liar(Host):
    """A worker whose word is worth nothing: wrong results, artifacts it does not have, silence, new lives."""

    checks: Checks
    slots: int = 2
    taken: list[tuple[str, str]] = field(factory=list)
    session: str = ""
    # Stays, and has never heard of any lease that it was given.
    is_forgetful: bool = False

    async def lie_forever(self) -> None:
        self.is_forgetful = self.chance.random() < 0.7
        self.session = self.chance.choice(["", self.new_id(16)])
        async with self.open_client(ENDPOINT) as client:
            coordinator = DistbuildClient(client)
            while True:
                await trio.sleep(self.chance.choice([0.05, 0.5, 4.0]))
                try:
                    answer = await coordinator.heartbeat(self._report(), wait_seconds=0.0)
                except TROUBLE:
                    continue
                self._take(answer)

    def _take(self, answer: HeartbeatResponse) -> None:
        if self.is_forgetful:
            return
        self.taken += [(spec.lease, spec.id) for spec in answer.jobs_to_run.values()]

    def _report(self) -> HeartbeatRequest:
        chance = self.chance
        whim = 0.0 if self.is_forgetful else 0.05
        if self.session and chance.random() < 2 * whim:
            self.session = self.new_id(16)
        running = () if self.is_forgetful else chance.choice([None, (), tuple(job for _, job in self.taken)])
        return HeartbeatRequest(
            worker_id=self.url,
            session=self.session,
            running_jobs=running,
            running_leases=() if not running else tuple(lease for lease, _ in self.taken if lease),
            free_slots=chance.choice([0, 1, self.slots, 50]),
            slots=chance.choice([0, self.slots]),
            finished_job=tuple(self._results()),
            added_artifacts=tuple(self._jobs()),
            artifact_digests=dict.fromkeys(self._jobs(), "d" * 64) if self.session else {},
            dropped_artifacts=tuple(self._jobs()),
            draining=chance.random() < whim,
            leaving=chance.random() < whim,
        )

    def _results(self) -> list[JobResult]:
        """Successes only, so that no build fails because of them; of its own leases, of others', of none."""
        state, chance = self.checks.shadow, self.chance
        others = [(lease.id, lease.job) for lease in state.leases.values() if lease.worker != self.url]
        known = [*self.taken[-3:], *others[-2:], (self.new_id(16), "c" * 40)]
        chosen = chance.sample(known, chance.choice([0, 0, 1, min(2, len(known))]))
        return [
            JobResult(
                id=job, lease=lease, lost_artifacts=tuple(self._jobs()[:1]) if chance.random() < 0.2 else ()
            )
            for lease, job in chosen
        ]

    def _jobs(self) -> list[str]:
        graphs = self.checks.shadow.graphs
        jobs = [job for graph in list(graphs.values())[-1:] for job in graph.jobs]
        return self.chance.sample(jobs, min(len(jobs), self.chance.choice([0, 0, 1, 3])))
