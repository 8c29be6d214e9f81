"""One run: a farm under faults, then healed; checked all the time."""

import random
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import trio
from attrs import define, field

from clients import codec
from clients.build.outcome import Verdict
from coordinator import app as coordinator_app
from coordinator.journal import Journal
from events.ids import BuildId, JobId
from events.transitions import BuildStatus
from tests.simulation import loop
from tests.simulation.checks import Checks, require
from tests.simulation.clients import Client, write_sources
from tests.simulation.disk import Disk
from tests.simulation.graphs import Plan, plans
from tests.simulation.hosts import COORDINATOR, LIAR, CoordinatorHost, WorkerHost
from tests.simulation.nemesis import Nemesis
from tests.simulation.net import Net, Weather
from tests.simulation.options import AMPLE, Options
from tests.simulation.people import Liar, PasserBy, Visitor, Watcher
from tests.simulation.sometimes import Hits
from tests.simulation.thrift import thrift
from tests.simulation.work import FILE

MEMORY = Path("/dev/shm")
# How long a healed farm may take beyond the work itself: the longest waits of clients and workers.
LIVENESS_SECONDS = 240.0
STOP_SECONDS = 10.0
# What ends a job that was well, when the farm is as it is here.
UNLUCKY = ("lost its worker", "was tried", "worker: ")
# What the disk had to do, and what that shows once everything has ended well.
PATHS_OF_DISK = {
    "full_disk_log": "the disk is full, and then it is not",
    "output_torn": "a torn output file is left by a power cut",
    "kill_after_commit": "the coordinator dies after a commit",
    "kill_before_commit": "the coordinator dies before a commit",
}


@define(eq=False, kw_only=True)
class World:
    """Everything there is in a run."""

    options: Options
    root: Path
    net: Net
    queue: loop.RunQueue
    nursery: trio.Nursery
    chance: random.Random
    checks: Checks
    diary: list[str] = field(factory=list)
    cancelled: dict[str, None] = field(factory=dict)
    ended_at: float = 0.0
    trouble: trio.CancelScope = field(factory=trio.CancelScope)
    coordinator: CoordinatorHost = field(init=False)
    workers: list[WorkerHost] = field(init=False)
    clients: list[Client] = field(init=False)
    visitor: Visitor = field(init=False)

    def __attrs_post_init__(self) -> None:
        options, checks = self.options, self.checks
        disk = checks.disk = Disk(on_commit=checks.on_commit, commit_seconds=options.commit_seconds)
        self.coordinator = CoordinatorHost(
            **self._host(COORDINATOR), options=options, data=self.root / COORDINATOR, disk=disk
        )
        self.workers = [self._worker(f"worker-{number}") for number in range(options.workers)]
        write_sources(self.root)
        self.clients = [
            self._client(f"client-{n}", plan) for n, plan in enumerate(plans(options, self.chance))
        ]
        self.visitor = Visitor(**self._host("visitor"), checks=checks)

    def _host(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "net": self.net,
            "queue": self.queue,
            "nursery": self.nursery,
            "chance": random.Random(f"{self.options.seed}/{name}"),
        }

    def _worker(self, name: str) -> WorkerHost:
        reaper_lost = self.options.rate if self.options.has("reaper_lost") else 0.0
        return WorkerHost(
            **self._host(name),
            options=self.options,
            data=self.root / name,
            reaper_lost=reaper_lost,
            cache_bytes=self.options.cache_bytes,
        )

    def _client(self, name: str, plan: Plan) -> Client:
        return Client(
            **self._host(name), plan=plan, root=self.root, key=name, keep_going=self.options.keep_going
        )

    def note(self, what: str) -> None:
        """For who reads the story of a red seed."""
        self.diary.append(f"{trio.current_time():9.3f} s, after record {self.checks.disk.head}: {what}")

    def suffered(self, fault: str) -> None:
        self.checks.hits.fault(fault)
        self.note(fault)

    def story(self, lines: int) -> str:
        """What was done to the farm, and the end of its log."""
        texts = [entry.text.decode() for entry in self.checks.disk.entries[-lines:]]
        return "\n".join([*texts, *self.diary])

    # --- the story of a run

    async def run(self) -> None:
        """Trouble, healing, the end; raises `Violated`, and whatever else is no fault of ours."""
        self.nursery.start_soon(self.coordinator.keep_up)
        for worker in self.workers:
            self.nursery.start_soon(worker.keep_up)
        async with trio.open_nursery() as people:
            for client in self.clients:
                people.start_soon(self._come_later, client.persist)
            people.start_soon(self._have_it_over)
            await self._suffer()
            self._heal()
            people.cancel_scope.deadline = trio.current_time() + self._patience()
        require(not people.cancel_scope.cancelled_caught, "clients do not get to know how their builds ended")
        await self._all_ended()
        self.checks.compare()
        self._count()
        self._check_clients()
        await self._shut_down()
        self.checks.raise_if_violated()

    async def _come_later(self, come: Callable[[], Awaitable[None]]) -> None:
        await trio.sleep(self.chance.random() * self.options.fault_seconds / 3)
        await come()

    async def _have_it_over(self) -> None:
        """When everybody has what he came for, trouble could only go on for its own sake."""
        while any(client.outcome is None for client in self.clients):
            await trio.sleep(1.0)
        self.trouble.cancel()

    async def _suffer(self) -> None:
        options = self.options
        self.net.weather = self._weather()
        nemesis = Nemesis(world=self, chance=random.Random(f"{options.seed}/nemesis"))
        with trio.move_on_after(options.fault_seconds) as self.trouble:
            async with trio.open_nursery() as trouble:
                trouble.start_soon(nemesis.act_forever)
                for act in self._others():
                    trouble.start_soon(act)
                trouble.start_soon(self._look_after)
                await trio.sleep_forever()

    def _others(self) -> list[Callable[[], Awaitable[None]]]:
        has, found = self.options.has, list[Callable[[], Awaitable[None]]]()
        if has("watcher"):
            found.append(Watcher(**self._host("watcher"), checks=self.checks).watch_forever)
        if has("visitor"):
            found.append(self.visitor.ask_forever)
        if has("liar"):
            found.append(Liar(**self._host(LIAR), checks=self.checks).lie_forever)
        if has("passer_by"):
            passer_by = PasserBy(**self._host("passer-by"), plan=self.clients[0].plan)
            found.append(partial(self._come_later, passer_by.pass_by))
        for name in ("liar", "visitor", "watcher", "passer_by", "small_cache", "reaper_lost"):
            if has(name):
                self.checks.hits.fault(name)
        return found

    async def _look_after(self) -> None:
        while True:
            await trio.sleep(1.0)
            self.checks.raise_if_violated()

    def _weather(self) -> Weather:
        options = self.options
        rates = {
            name: options.rate
            for name in ("delay", "lose_request", "lose_answer", "half_cut", "duplicate")
            if options.has(name)
        }
        return Weather(latency=options.latency, slicing=0.3 if options.has("slicing") else 0.0, **rates)

    def _heal(self) -> None:
        """Every fault ends; whatever is dead is started again by those who look after it."""
        disk = self.coordinator.disk
        disk.is_full = disk.is_broken = False
        disk.commit_seconds = self.options.commit_seconds
        self.coordinator.kill_in_commits = 0
        self.queue.thaw_all()
        for worker in self.workers:
            worker.reaper_lost = 0.0
            if worker.cache_bytes < AMPLE:
                worker.cache_bytes = AMPLE
                worker.stop.set()
        self.net.heal()
        self.note("healed")

    def _patience(self) -> float:
        return LIVENESS_SECONDS + 3 * sum(client.plan.seconds for client in self.clients)

    async def _all_ended(self) -> None:
        """Every build ends, also of clients that are gone for ever."""
        with trio.move_on_after(self._patience()):
            while self.checks.shadow.active:
                await trio.sleep(0.5)
        left = {id_: self.checks.shadow.builds[id_].status for id_ in self.checks.shadow.active}
        require(not left, f"builds do not end: {left}")

    async def _shut_down(self) -> None:
        """One after the other, in whatever order."""
        hosts: list[WorkerHost | CoordinatorHost] = [*self.workers, self.coordinator]
        self.chance.shuffle(hosts)
        for host in hosts:
            host.is_given_up = True
        for host in hosts:
            process = host.process
            assert process is not None
            if process.ended.is_set():
                continue
            host.stop.set()
            with trio.move_on_after(STOP_SECONDS):
                await process.ended.wait()
            require(process.ended.is_set(), f"{host.name} does not stop within {STOP_SECONDS:g} s")
            if process.error is not None:
                raise process.error

    # --- in the end

    def _count(self) -> None:
        hits, disk = self.checks.hits, self.coordinator.disk
        for fault in self.net.injected:
            hits.fault(fault)
        for fault, path in PATHS_OF_DISK.items():
            if disk.injected[fault]:
                hits.path(path)
        for client in self.clients:
            if len(client.told.lives) > 1:
                hits.path("a client is killed and comes back")
            if len(client.told.builds) > 1:
                hits.path("a key finds its build again")
            if client.outcome is not None and client.outcome.unfetched:
                hits.path("an artifact is not there any more when it is fetched")
            if client.outcome is not None and client.outcome.fetched:
                hits.path("artifacts are fetched and are what they must be")

    def _check_clients(self) -> None:
        for client in self.clients:
            told, outcome = client.told, client.outcome
            assert outcome is not None
            build = self.checks.shadow.keys.get(client.key)
            require(set(told.builds) == {build}, f"key {client.key} is {build}, {told.builds} were told")
            assert build is not None
            self._check_stream(client, build)
            self._check_outcome(client, build)

    def _check_stream(self, client: Client, build: BuildId) -> None:
        entries = [e for e in self.checks.disk.entries if getattr(e.record.event, "build", None) == build]
        texts = {entry.record.position: codec.loads(entry.text) for entry in entries}
        for told in client.told.lives:
            for line in told:
                text = {"position": line.position, "at": line.at, "type": line.type, **line.fields}
                require(texts.get(line.position) == text, f"{client.name} was told {line}")
            positions = [line.position for line in told]
            wanted = [p for p in texts if positions and positions[0] <= p <= positions[-1]]
            require(positions == wanted, f"{client.name} was told {positions}, not {wanted}")
        require(client.told.lives[-1][-1].position == entries[-1].record.position, "the end was not told")

    def _check_outcome(self, client: Client, build: BuildId) -> None:
        outcome, status = client.outcome, self.checks.shadow.builds[build].status
        assert outcome is not None
        verdicts = {
            BuildStatus.SUCCEEDED: (Verdict.SUCCEEDED,),
            BuildStatus.FAILED: (Verdict.FAILED, Verdict.TIMED_OUT),
            BuildStatus.CANCELLED: (Verdict.CANCELLED,),
        }
        require(outcome.verdict in verdicts[status], f"{client.name} got {outcome.verdict}, {build} {status}")
        failures = list(self.checks.shadow.graphs[build].failures.values())
        if outcome.verdict is Verdict.SUCCEEDED:
            self._check_success(client, build, outcome.unfetched)
        elif outcome.verdict is Verdict.CANCELLED:
            require(build in self.cancelled, f"nobody cancelled {build}: {outcome}")
        elif client.plan.is_sound:
            lucky = [f for f in failures if not any(words in f.error for words in UNLUCKY)]
            lost = "source" in self.checks.shadow.builds[build].error
            require(not lucky or lost, f"a sound build failed: {lucky}")
        self._check_artifacts(client)

    def _check_success(self, client: Client, build: BuildId, unfetched: Sequence[str]) -> None:
        jobs = self.checks.shadow.graphs[build].jobs
        for job in client.plan.bad:
            is_lie = jobs[JobId(job.id)].lease in self.checks.lies
            require(is_lie, f"a build succeeded although {job.name} of it cannot")
        # A worker keeps one artifact for each job id: once the build has ended, another's may take its place.
        names = {job.name: job.id for job in client.plan.graph.jobs}
        left = [why for why in unfetched if not self._is_contended(client.plan, names[why.partition(":")[0]])]
        require(not left or self.options.faults, f"not fetched: {left}")

    def _is_contended(self, plan: Plan, job: str) -> bool:
        """Does another build want other work under this id?"""
        return any(client.plan.made.get(job, plan.made[job]) != plan.made[job] for client in self.clients)

    def _check_artifacts(self, client: Client) -> None:
        assert client.outcome is not None
        names = {job.name: job.id for job in client.plan.graph.jobs}
        for path in client.outcome.fetched:
            made = (path / FILE).read_bytes()
            require(made == client.plan.made[names[path.name]], f"{path} is not what its job makes")


async def simulate(
    options: Options, root: Path, checks: Checks, begun: Callable[[World], None], queue: loop.RunQueue
) -> None:
    """One run, to its end. Raises what went wrong."""
    async with trio.open_nursery() as nursery:
        net = Net(random.Random(f"{options.seed}/net"), nursery)
        net.on_answer = checks.on_answer
        world = World(
            options=options,
            root=root,
            net=net,
            queue=queue,
            nursery=nursery,
            chance=random.Random(f"{options.seed}/world"),
            checks=checks,
        )
        begun(world)
        try:
            await world.run()
        finally:
            world.ended_at = trio.current_time()
            queue.thaw_all()  # or what is frozen could not even be cancelled
        nursery.cancel_scope.cancel()


def _open_journal(checks: Checks, *args: Any, **options: Any) -> Journal:
    """Production's own, shown to who checks it."""
    journal = Journal(*args, **options)
    checks.on_open(journal)
    return journal


def run(
    options: Options,
    hits: Hits,
    *,
    begun: Callable[[World], None] = lambda _world: None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> None:
    """Run a seed in this process. Raises what went wrong; `begun` gets the world before anything happens."""
    checks = Checks(hits=hits)
    # Not within the run, which may be broken off with its tasks where they are.
    watched = mock.patch.object(coordinator_app, "Journal", partial(_open_journal, checks))
    with thrift(), watched, tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as root:
        loop.run(partial(simulate, options, Path(root), checks, begun), options.seed, instruments)
