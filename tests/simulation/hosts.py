"""Hosts and the processes on them: production's own coordinator, workers and clients on simulated platforms.

A process that is killed runs no further step that anybody could notice: its connections are gone and its
disk takes no more calls before its tasks are unwound.
"""

import random
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from clients import wire
from coordinator import app as coordinator_app
from coordinator.config import CoordinatorConfig
from coordinator.platform import OpenLog
from coordinator.platform import Platform as CoordinatorPlatform
from coordinator.recent import Recent
from events.log import LogFull
from events.query import Scanned
from tests.simulation.disk import Broken, Disk, SimulatedLog
from tests.simulation.loop import HOST, RunQueue
from tests.simulation.net import Net
from tests.simulation.options import Options
from tests.simulation.work import SimulatedRunner
from workers import app as worker_app
from workers.config import WorkerConfig
from workers.platform import Platform as WorkerPlatform

COORDINATOR = "coordinator"
LIAR = "liar"
EPOCH = 1_000_000_000.0


class Killed(BaseException):
    """The process is dead: its task may go no further."""


@define(eq=False)
class Process:
    """One life of a program on a host."""

    host: str
    net: Net
    queue: RunQueue
    is_dead: bool = False
    ended: trio.Event = field(factory=trio.Event)
    error: BaseException | None = None
    _scope: trio.CancelScope = field(factory=trio.CancelScope)

    async def live(self, program: Callable[[], Awaitable[None]]) -> None:
        """Run the program; how it ended is in `error`, unless it was killed."""
        HOST.set(self.host)
        with self._scope:
            try:
                await program()
            except (Exception, Killed, BaseExceptionGroup) as error:
                if not self.is_dead:
                    self.error = error
        self.net.sever(self.host)
        self.ended.set()

    def kill(self, *, silently: bool = False) -> None:
        """SIGKILL; or, silently, a power cut."""
        self.is_dead = True
        self.net.sever(self.host, silently=silently)
        self._scope.cancel()
        self.queue.thaw(self.host)

    def check(self) -> None:
        if self.is_dead:
            raise Killed

    async def run_sync(self, function: Callable[..., Any], /, *args: object) -> Any:
        """Blocking work; it takes no time here, and like a thread's it is not abandoned."""
        await trio.lowlevel.checkpoint_if_cancelled()
        await trio.lowlevel.cancel_shielded_checkpoint()
        self.check()
        return function(*args)


@define(eq=False, kw_only=True)
class Host:
    """A machine: its program can be started, killed, frozen, started again."""

    name: str
    net: Net
    queue: RunQueue
    nursery: trio.Nursery
    chance: random.Random
    process: Process | None = None
    # Nobody starts it any more.
    is_given_up: bool = False

    @property
    def url(self) -> str:
        return f"http://{self.name}"

    @property
    def is_up(self) -> bool:
        return self.process is not None and not self.process.ended.is_set()

    def new_id(self, size: int) -> str:
        return self.chance.randbytes(size).hex()

    def begin(self, program: Callable[[Process], Awaitable[None]]) -> Process:
        """A new process; the one before it must have ended."""
        assert not self.is_up
        self.process = process = Process(self.name, self.net, self.queue)
        self.nursery.start_soon(process.live, partial(program, process))
        return process

    async def kill(self, *, silently: bool = False) -> None:
        """Kill what runs, and wait until nothing of it is left."""
        if self.process is not None and not self.process.ended.is_set():
            self.process.kill(silently=silently)
            await self.process.ended.wait()

    async def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        self.queue.freeze(self.name)
        await trio.sleep(seconds)
        self.queue.thaw(self.name)

    def open_client(self, base_url: str, **options: Any) -> wire.Client:
        """An HTTP client on this host."""
        return wire.Client(base_url, open_stream=partial(self.net.connect, self.name), **options)


@define(eq=False, kw_only=True)
class CoordinatorHost(Host):
    """The coordinator, with its disk."""

    options: Options
    data: Path
    disk: Disk
    wall_jump: float = 0.0
    # Kill the process at one of the next commits, before or after the disk has it.
    kill_in_commits: int = 0
    crashes: int = 0
    stop: trio.Event = field(factory=trio.Event)

    def start(self) -> Process:
        self.stop = trio.Event()
        return self.begin(self._program)

    async def _program(self, process: Process) -> None:
        options = self.options
        config = CoordinatorConfig(
            bind=f"{self.name}:80",
            data=self.data,
            lease_seconds=options.lease_seconds,
            worker_silence_seconds=options.silence_seconds,
            losses_max=options.losses_max,
            client_grace_seconds=options.client_grace_seconds,
            job_seconds_max=60.0,
            drain_seconds=0.1,
        )
        platform = CoordinatorPlatform(
            open_log=self._open_log,
            has_room=lambda _data: not self.disk.is_full,
            run_sync=partial(self._run_sync, process),
            sync_disk=lambda: None,
            listen=partial(self.net.listen, self.name),
            open_stream=partial(self.net.connect, self.name),
            wall_time=lambda: EPOCH + trio.current_time() + self.wall_jump,
            steady_time=trio.current_time,
            new_id=self.new_id,
            recent=partial(Recent, records_max=options.recent_records, subjects_max=options.recent_subjects),
            page=options.page,
        )
        await coordinator_app.run(config, stop=self.stop, platform=platform)

    def _open_log(self, _data: Path) -> OpenLog:
        log = SimulatedLog(self.disk)
        return OpenLog(log, Scanned(log))

    async def _run_sync(self, process: Process, function: Callable[..., Any], /, *args: object) -> Any:
        process.check()
        if isinstance(getattr(function, "__self__", None), SimulatedLog) and function.__name__ == "append":
            return await self._commit(process, function, *args)
        await trio.lowlevel.checkpoint_if_cancelled()
        await trio.lowlevel.cancel_shielded_checkpoint()
        process.check()
        return self.disk.call(function, args)

    async def _commit(self, process: Process, append: Callable[..., Any], /, *args: object) -> Any:
        is_killed, is_stored = False, True
        if self.kill_in_commits:
            self.kill_in_commits -= 1
            is_killed = not self.kill_in_commits
            is_stored = not is_killed or self.chance.random() < 0.5
        with trio.CancelScope(shield=True):
            await trio.sleep(self.disk.commit_seconds * self.chance.random())
        if process.is_dead:
            # The thread was at work when the process died: it may have come to its end or not.
            is_stored = self.chance.random() < 0.5
        result = append(*args) if is_stored else None
        if is_killed:
            self.disk.injected["kill_after_commit" if is_stored else "kill_before_commit"] += 1
            process.kill()
        process.check()
        return result

    async def keep_up(self) -> None:
        """What init does: start it, and start it again when it has died. Raises what no fault explains."""
        while not self.is_given_up:
            process = self.start()
            await process.ended.wait()
            if process.error is not None and not _is_disks_fault(process.error):
                raise process.error
            self.disk.is_broken = False
            await trio.sleep(self.chance.choice([0.0, 0.5, 3.0]))


def _is_disks_fault(error: BaseException) -> bool:
    """A write that failed ends the process, and so does a full disk where not even the start fits."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_disks_fault(each) for each in error.exceptions)
    return isinstance(error, Broken | LogFull)


@define(eq=False, kw_only=True)
class WorkerHost(Host):
    """A worker, with its disk."""

    options: Options
    data: Path
    reaper_lost: float = 0.0
    cache_bytes: int
    boots: int = 0
    stop: trio.Event = field(factory=trio.Event)

    def start(self) -> Process:
        self.stop = trio.Event()
        return self.begin(self._program)

    async def _program(self, process: Process) -> None:
        config = WorkerConfig(
            coordinator=f"http://{COORDINATOR}",
            data=self.data,
            bind=f"{self.name}:80",
            advertise=self.url,
            slots=self.options.slots,
            cache_bytes_max=self.cache_bytes,
        )
        platform = WorkerPlatform(
            run_sync=process.run_sync,
            listen=partial(self.net.listen, self.name),
            open_stream=partial(self.net.connect, self.name),
            open_commands=lambda: SimulatedRunner(self.chance, self.reaper_lost),
            new_id=self.new_id,
            chance=self.chance,
            boot_id=lambda: str(self.boots),
        )
        await worker_app.run(config, stop=self.stop, platform=platform)

    async def keep_up(self) -> None:
        """Start it, and start it again when it has ended. Raises what no fault explains."""
        while not self.is_given_up:
            process = self.start()
            await process.ended.wait()
            if process.error is not None:
                raise process.error
            await trio.sleep(self.chance.choice([0.0, 1.0, 10.0]))
