"""Who does things to the farm: one deed after the other, each undone after a while."""

import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from clients import wire
from clients.codec import Malformed
from clients.distbuild import BuildRequest, Cancel, SignalRequest
from clients.distbuild_client import DistbuildClient
from events.ids import BuildId
from tests.simulation.hosts import COORDINATOR, Host, WorkerHost
from tests.simulation.options import DEEDS

if TYPE_CHECKING:
    from tests.simulation.world import World


@define(eq=False, kw_only=True)
class Nemesis:
    """Acts until it is cancelled; whoever cancels it then heals."""

    world: "World"
    chance: random.Random
    deeds: list[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.deeds = [deed for deed in DEEDS if self.world.options.has(deed)]

    async def act_forever(self) -> None:
        if not self.deeds:
            return
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(self.chance.expovariate(1 / self.world.options.pause))
                deed = self.chance.choice(self.deeds)
                act: Callable[[], Awaitable[None]] = getattr(self, f"_{deed}")
                self.world.suffered(deed)
                nursery.start_soon(act)

    # --- the network

    async def _cut(self) -> None:
        hosts = {self._host().name, COORDINATOR}
        await trio.lowlevel.checkpoint()
        self.world.net.cut(lambda wire: hosts.issuperset(wire.hosts))

    async def _partition(self) -> None:
        host = self._host().name
        await self._block([(host, COORDINATOR), (COORDINATOR, host)])

    async def _one_way(self) -> None:
        link = [self._host().name, COORDINATOR]
        self.chance.shuffle(link)
        await self._block([(link[0], link[1])])

    async def _swizzle(self) -> None:
        """Stop one host's links after the other, then let them go on in another order."""
        hosts = [host.name for host in (*self.world.workers, *self.world.clients)]
        links = [pair for host in hosts for pair in ((host, COORDINATOR), (COORDINATOR, host))]
        self.chance.shuffle(links)
        for link in links:
            self.world.net.block(*link)
            await trio.sleep(self.chance.random())
        self.chance.shuffle(links)
        for link in links:
            await trio.sleep(self.chance.random())
            self.world.net.unblock(*link)

    async def _block(self, links: list[tuple[str, str]]) -> None:
        for link in links:
            self.world.net.block(*link)
        await trio.sleep(self.chance.choice([0.5, 3.0, 12.0]))
        for link in links:
            self.world.net.unblock(*link)

    # --- workers

    async def _freeze_worker(self) -> None:
        await self._worker().freeze(self.chance.choice([0.5, 3.0, 12.0]))

    async def _kill_worker(self) -> None:
        await self._worker().kill()

    async def _wipe_worker(self) -> None:
        """The machine is gone, and comes back with an empty disk, or with files nobody may trust."""
        worker = self._worker()
        await worker.kill(silently=True)
        worker.boots += 1

    async def _stop_worker(self) -> None:
        self._worker().stop.set()
        await trio.lowlevel.checkpoint()

    # --- the coordinator

    async def _stall_coordinator(self) -> None:
        await self.world.coordinator.freeze(self.chance.choice([1.0, 5.0, 600.0]))

    async def _kill_coordinator(self) -> None:
        await self.world.coordinator.kill()

    async def _kill_at_commit(self) -> None:
        self.world.coordinator.kill_in_commits = self.chance.randint(1, 20)
        await trio.lowlevel.checkpoint()

    async def _cut_power(self) -> None:
        """Preferably while there is something to lose."""
        coordinator = self.world.coordinator
        with trio.move_on_after(8.0):
            while not coordinator.disk.is_at_risk:
                await trio.sleep(0.05)
        await coordinator.kill(silently=True)
        coordinator.disk.cut_power(self.chance)

    async def _lose_source(self) -> None:
        """The disk loses a file that it had promised to keep."""
        coordinator = self.world.coordinator
        files = sorted((coordinator.data / "blobs").glob("[0-9a-f][0-9a-f]/*"))
        if files:
            await coordinator.kill()
            self.chance.choice(files).unlink(missing_ok=True)

    async def _stop_coordinator(self) -> None:
        """Whoever decides where requests go looks whether they still may go there."""
        self.world.coordinator.stop.set()
        await self.world.visitor.ask("GET", "/readyz")

    async def _slow_disk(self) -> None:
        disk = self.world.coordinator.disk
        disk.commit_seconds = self.chance.choice([0.5, 4.0, 12.0])
        await trio.sleep(self.chance.choice([2.0, 10.0]))
        disk.commit_seconds = self.world.options.commit_seconds

    async def _full_disk(self) -> None:
        disk = self.world.coordinator.disk
        disk.is_full = True
        await trio.sleep(self.chance.choice([0.5, 3.0, 15.0]))
        disk.is_full = False

    async def _broken_disk(self) -> None:
        self.world.coordinator.disk.is_broken = True
        await trio.lowlevel.checkpoint()

    async def _clock_jump(self) -> None:
        self.world.coordinator.wall_jump += self.chance.choice([-3600.0, -5.0, 5.0, 3600.0])
        await self.world.coordinator.kill()

    # --- clients

    async def _cancel_storm(self) -> None:
        builds = list(self.world.checks.shadow.builds)
        self.chance.shuffle(builds)
        for build in builds[: self.chance.randint(1, 2)]:
            self.world.cancelled[build] = None
            async with trio.open_nursery() as storm:
                for _ in range(self.chance.randint(1, 4)):
                    storm.start_soon(self._cancel, build)

    async def _cancel(self, build: str) -> None:
        try:
            async with self.world.visitor.open_client(f"http://{COORDINATOR}") as client:
                await DistbuildClient(client).signal(build, SignalRequest(cancel=Cancel(reason="storm")))
        except (wire.Unreachable, wire.Refused):
            pass

    async def _kill_client(self) -> None:
        await self.chance.choice(self.world.clients).kill()

    async def _repeat_start(self) -> None:
        """Somebody starts a build with a key that is taken: it has to be the same build."""
        original = self.chance.choice(self.world.clients)
        request = BuildRequest(graph=original.plan.graph, name=original.name, keep_going=original.keep_going)
        try:
            async with (
                self.world.visitor.open_client(f"http://{COORDINATOR}") as client,
                DistbuildClient(client).start_build(
                    request, on_disconnect_continue=True, key=original.key
                ) as stream,
            ):
                original.told.builds.append(BuildId(stream.started.id))
        except (wire.Unreachable, wire.Refused, Malformed):
            pass

    def _worker(self) -> WorkerHost:
        return self.chance.choice(self.world.workers)

    def _host(self) -> Host:
        return self.chance.choice([*self.world.workers, *self.world.clients])
