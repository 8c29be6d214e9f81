"""The containers of this worker: one for each command of a job that names an image, and none left behind.

Whatever happens to the worker, its containers are found again by their labels: those of no lease at work
are taken away at the start and at every look. Whatever happens to the engine, the worker goes on; it says
by a label whether there is one, and so is given what it can run.
"""

import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
import trio
from attrs import define, field, frozen

from clients.distbuild import Container, JobSpec
from workers.commands import Ended, NotStarted, OnOutput, ReaperLost
from workers.engine import STDERR, Engine, EngineLost, EngineRefused

log = structlog.get_logger()

LOOK_SECONDS = 5.0
# A container of its own making gets so long to end by itself; what a job's commands run in is killed.
STOP_SECONDS = 2
REMOVE_SECONDS = 5.0
# What it printed last, and where it ran, is waited for when it has ended.
DRAIN_SECONDS = 2.0
PROCESSES_MAX = 4096
CPU_PARTS = 1_000_000_000
OWNER, LEASE, JOB = "terzetto.owner", "terzetto.lease", "terzetto.job"
# What a shell says of a program that was killed by signal 9, which is how the kernel enforces limits.
KILLED = 137


@frozen(kw_only=True)
class Started:
    """A container runs: its id at the engine, and where its ports are, "HOST:PORT" by "7777/tcp"."""

    lease: str
    id: str
    ports: dict[str, str]


# Lets the coordinator know that a container runs; tries until it does, or the lease has ended.
Tell = Callable[[Started], Awaitable[None]]


async def tell_nobody(_started: Started) -> None:
    """For coordinators that do not want to know."""


@define(eq=False)
class Containers:
    """All containers of one worker. `owner` is the worker's name at the engine, the same in every life.

    `host`: the address that ports are bound at; `user`: whom a job's commands run as, empty for whom the
    image says; `on_change()` is called when the engine comes or goes.
    """

    engine: Engine
    owner: str
    host: str = ""
    user: str = ""
    tell: Tell = tell_nobody
    on_change: Callable[[], None] = lambda: None
    is_there: bool = False
    # By lease, how many commands of it are at work.
    _live: dict[str, int] = field(factory=dict, init=False)
    _numbers: Iterator[int] = field(factory=itertools.count, init=False)

    @property
    def at_work(self) -> int:
        """How many jobs run in containers."""
        return len(self._live)

    async def watch_forever(self) -> None:
        """Notice when the engine comes and goes; take away what has outlived its lease."""
        while True:
            await trio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Is the engine there? Then nothing but what is at work shall run in it for us."""
        try:
            version = await self.engine.version()
            if not self.is_there:
                log.info("there is an engine", engine=self.engine.path, version=version.get("Version"))
                self._change(is_there=True)
            await self._reap()
        except EngineLost as error:
            self.lose(error)
        except EngineRefused as refusal:
            log.warning("the container engine refuses", engine=self.engine.path, error=str(refusal))

    def lose(self, error: EngineLost) -> None:
        """The engine does not answer: nothing more is to be brought here until it does."""
        if self.is_there:
            log.warning("the container engine is gone", engine=self.engine.path, error=str(error))
            self._change(is_there=False)

    def _change(self, *, is_there: bool) -> None:
        self.is_there = is_there
        self.on_change()

    def runner(self, spec: JobSpec, container: Container, mounts: Mapping[Path, bool]) -> "ContainerRunner":
        """Runs the commands of one job; `mounts` are paths it sees as we do, and whether it may write."""
        return ContainerRunner(self, spec, container, mounts)

    async def _reap(self) -> None:
        for found in await self.engine.labelled(OWNER, self.owner):
            lease = (found.get("Labels") or {}).get(LEASE, "")
            if lease not in self._live:
                log.warning("a container had outlived its job", container=found["Id"], lease=lease[:8])
                await self.engine.remove(found["Id"])

    def enter(self, lease: str) -> str:
        """From now on containers of this lease are at work; returns a name for one."""
        self._live[lease] = self._live.get(lease, 0) + 1
        return f"terzetto-{lease}-{next(self._numbers)}"

    def leave(self, lease: str) -> None:
        """A command of it is over."""
        self._live[lease] -= 1
        if not self._live[lease]:
            del self._live[lease]


class ContainerRunner:
    """A `Runner` each of whose commands has a container of its own, from the job's image."""

    is_alone = True

    def __init__(
        self, containers: Containers, spec: JobSpec, container: Container, mounts: Mapping[Path, bool]
    ) -> None:
        self._all = containers
        self._engine = containers.engine
        self._lease = spec.lease or spec.id
        self._job = spec.id
        self._container = container
        self._mounts = mounts

    async def run(
        self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path, on_output: OnOutput
    ) -> Ended:
        """Run `argv`, or what the image itself runs, until it ends; cancelling it leaves no container.

        Raises NotStarted, ReaperLost.
        """
        name = self._all.enter(self._lease)
        try:
            id_ = await self._make(name, self._spec(argv, environ, cwd))
            return await self._watch(id_, on_output)
        except EngineLost as error:
            self._all.lose(error)  # before the job is over, so that it is not given to us again
            raise ReaperLost(f"the container engine went away: {error}") from error
        finally:
            await self._remove(name, seconds=0 if argv else STOP_SECONDS)
            self._all.leave(self._lease)

    async def clean(self) -> None:
        """Nothing is left running by then."""

    async def aclose(self) -> None:
        """Nothing is kept between commands."""

    async def _make(self, name: str, spec: Mapping[str, Any]) -> str:
        image = self._container.image
        try:
            id_ = await self._engine.create(name, spec)
            await self._engine.start(id_)
        except EngineRefused as refusal:
            if refusal.status == 404 and "image" in str(refusal).lower():
                raise NotStarted(f"the worker's engine has no image {image}: {refusal}") from refusal
            raise NotStarted(f"the container of {image} could not be started: {refusal}") from refusal
        return id_

    async def _watch(self, id_: str, on_output: OnOutput) -> Ended:
        """Until it has ended; what it prints is heard meanwhile, and the coordinator told where it runs."""
        code, error = -1, None
        async with trio.open_nursery() as listening:
            listening.start_soon(self._listen, id_, on_output)
            listening.start_soon(self._tell, id_)
            try:
                code = await self._engine.wait(id_)
            except (EngineLost, EngineRefused) as problem:
                error = problem
            listening.cancel_scope.deadline = trio.current_time() + DRAIN_SECONDS
        if isinstance(error, EngineRefused):
            raise NotStarted(f"the container was taken away: {error}")
        if error is not None:
            raise error
        return Ended(exit_code=code, note=await self._note(id_, code))

    async def _listen(self, id_: str, on_output: OnOutput) -> None:
        try:
            async for stream, data in self._engine.logs(id_):
                on_output(*((b"", data) if stream == STDERR else (data, b"")))
        except (EngineLost, EngineRefused) as error:
            log.warning("a container's output broke off", container=id_, error=str(error))

    async def _tell(self, id_: str) -> None:
        try:
            found = await self._engine.inspect(id_)
        except (EngineLost, EngineRefused):
            return  # it is looked after where its end is waited for
        ports = (found.get("NetworkSettings") or {}).get("Ports") or {}
        bound = {
            port: f"{places[0].get('HostIp', '')}:{places[0]['HostPort']}"
            for port, places in ports.items()
            if places
        }
        await self._all.tell(Started(lease=self._lease, id=id_, ports=bound))

    async def _note(self, id_: str, code: int) -> str:
        """What else is to be said of a container that was killed."""
        if code != KILLED or not self._container.memory:
            return ""
        found: dict[str, Any] = {}
        with suppress(EngineLost, EngineRefused):
            found = await self._engine.inspect(id_)
        is_certain = (found.get("State") or {}).get("OOMKilled", False)
        limit = f"its memory is limited to {self._container.memory} bytes"
        return f"killed, because {limit}" if is_certain else f"killed; {limit}"

    async def _remove(self, name: str, seconds: int) -> None:
        """Whether or not it is there; if the engine cannot, a later look will."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + REMOVE_SECONDS) as scope:
            try:
                if seconds:
                    with suppress(EngineRefused):
                        await self._engine.stop(name, seconds)
                await self._engine.remove(name)
            except (EngineLost, EngineRefused) as error:
                log.warning("a container could not be removed", container=name, error=str(error))
        if scope.cancelled_caught:
            log.warning("a container takes long to be removed", container=name)

    def _spec(self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> dict[str, Any]:
        container = self._container
        spec: dict[str, Any] = {
            "Image": container.image,
            "Env": [f"{name}={value}" for name, value in environ.items()],
            "Labels": {OWNER: self._all.owner, LEASE: self._lease, JOB: self._job},
            "ExposedPorts": {port: {} for port in container.ports},
            "HostConfig": self._limits(),
        }
        if argv:
            # As the entrypoint, which also does away with the image's own command.
            spec |= {"Entrypoint": [argv[0]], "Cmd": list(argv[1:]), "WorkingDir": str(cwd)}
            spec["User"] = self._all.user
        return spec

    def _limits(self) -> dict[str, Any]:
        container, host = self._container, self._all.host
        ports = dict.fromkeys((*container.ports, *container.bindings))
        binds = [f"{path}:{path}:{'rw' if writes else 'ro'}" for path, writes in self._mounts.items()]
        return {
            "NetworkMode": "bridge" if ports or container.network else "none",
            "PortBindings": {
                port: [{"HostIp": host, "HostPort": container.bindings.get(port, "")}] for port in ports
            },
            "Binds": binds,
            "Memory": container.memory,
            "MemorySwap": container.memory,
            "NanoCpus": int(container.cpu * CPU_PARTS),
            "PidsLimit": PROCESSES_MAX,
            "SecurityOpt": ["no-new-privileges"],
        }
