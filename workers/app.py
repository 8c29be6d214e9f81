"""The composition root of a worker: every task and every directory it has is opened here."""

import os
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import structlog
import trio

from clients.distbuild_client import DistbuildClient
from clients.server import serve
from events.ids import JobId, WorkerId
from workers import disk
from workers.bell import Bell
from workers.cache import Cache
from workers.config import WorkerConfig, usable_cpus
from workers.containers import Containers
from workers.cube import Cube
from workers.engine import Engine
from workers.execute import Executor, Slot
from workers.fetch import Fetcher
from workers.heartbeat import Heartbeats
from workers.http import application
from workers.jobs import Jobs
from workers.machine import Machine
from workers.platform import Platform
from workers.stats import capacities
from workers.stream import OutputStreams
from workers.telling import tell
from workers.workspace import Workspace

log = structlog.get_logger()

# Killing, farewell and this grace together stay below the ten seconds a stop may take.
GRACE_SECONDS = 1.0


async def run(
    config: WorkerConfig,
    *,
    stop: trio.Event,
    platform: Platform | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Work until `stop` is set; starts with the worker's URL.

    Then jobs at work are killed and handed back, ended ones reported, and all is over within 10 s.
    Raises `disk.Locked` if another worker uses the data directory, OSError, ValueError.
    """
    platform = platform or Platform()
    with disk.locked(config.data):
        cache = Cache(config.data / "cache", bytes_max=config.cache_bytes_max, run_sync=platform.run_sync)
        await platform.run_sync(partial(cache.open, platform.boot_id()))
        closing = trio.Event()
        async with (
            platform.open_client(config.coordinator, headers=config.headers) as client,
            trio.open_nursery() as services,
        ):
            cube = Cube(coordinator=client, data=config.data, run_sync=platform.run_sync)
            app = application(cache, base_path=config.base_path, run_sync=platform.run_sync, cube=cube)
            serving = partial(
                serve,
                app,
                bind=config.bind,
                shutdown=closing.wait,
                grace_seconds=GRACE_SECONDS,
                listen=platform.listen,
            )
            urls: list[str] = await services.start(serving)
            url = await platform.run_sync(partial(config.url, urls[0]))
            containers = await _containers(config, platform, urls[0])
            cube.url, cube.containers = url, containers
            await _work(config, platform, url, cache, containers, stop, task_status)
            closing.set()


async def _work(
    config: WorkerConfig,
    platform: Platform,
    url: str,
    cache: Cache,
    containers: Containers | None,
    stop: trio.Event,
    task_status: trio.TaskStatus[str],
) -> None:
    chance, bell = platform.chance, Bell()
    labels = partial(_labels, config, url, containers)
    machine = Machine(worker=WorkerId(url), slots=config.slots, session=platform.new_id(16), labels=labels())
    for job, digest in cache.artifacts().items():
        machine.artifact_changed(job, digest)
    cache.on_change = partial(_report, machine, bell)
    slots = [_slot(config, platform, cache, number) for number in range(config.slots)]
    async with platform.open_client(config.coordinator, headers=config.headers) as client:
        coordinator, streams = DistbuildClient(client), OutputStreams(client)
        fetcher = Fetcher(
            cache,
            coordinator,
            platform.open_client,
            own_url=url,
            chance=chance,
            run_sync=platform.run_sync,
        )
        executor = Executor(cache, fetcher, run_sync=platform.run_sync, containers=containers)
        jobs = Jobs(machine, executor, streams, slots, bell.ring)
        heartbeats = Heartbeats(coordinator, machine, jobs, bell, held=cache.artifacts, chance=chance)
        try:
            async with trio.open_nursery() as at_work:
                await at_work.start(jobs.serve_forever)
                at_work.start_soon(streams.send_forever)
                if containers is not None:
                    containers.tell = partial(tell, client, chance)
                    containers.on_change = lambda: _relabel(machine, bell, labels())
                    at_work.start_soon(containers.watch_forever)
                await _beat_until(stop, heartbeats, url, task_status)
                await jobs.drain()
                await heartbeats.farewell()
                at_work.cancel_scope.cancel()
        finally:
            await _close(slots, fetcher, containers)


async def _beat_until(
    stop: trio.Event, heartbeats: Heartbeats, url: str, task_status: trio.TaskStatus[str]
) -> None:
    async with trio.open_nursery() as beating:
        beating.start_soon(heartbeats.beat_forever)
        log.info("worker ready", url=url)
        task_status.started(url)
        await stop.wait()  # unbounded: until the operator or a signal says so
        beating.cancel_scope.cancel()


async def _close(slots: list[Slot], fetcher: Fetcher, containers: Containers | None) -> None:
    with trio.CancelScope(shield=True):  # bounded: each reaper is given up after a while
        async with trio.open_nursery() as closing:
            for slot in slots:
                closing.start_soon(slot.commands.aclose)
            closing.start_soon(fetcher.aclose)
            if containers is not None:
                closing.start_soon(containers.engine.aclose)


async def _containers(config: WorkerConfig, platform: Platform, bound: str) -> Containers | None:
    """The engine's containers, what a former life of ours has left of them taken away; None without one."""
    if config.engine is None:
        return None
    owner = await platform.run_sync(partial(disk.name_of, config.data, platform.new_id))
    engine = Engine(config.engine)
    is_ours = await platform.run_sync(partial(_runs_as_us, engine.path))
    containers = Containers(
        engine=engine,
        owner=owner,
        host=urlsplit(bound).hostname or "",
        user="" if is_ours else f"{os.getuid()}:{os.getgid()}",
    )
    await containers.look()
    if not containers.is_there:
        log.warning("there is no container engine yet", engine=config.engine)
    return containers


def _runs_as_us(path: str) -> bool:
    """Is the engine our own user's? Then its root is us; else we could not clear away what jobs make."""
    try:
        return Path(path).stat().st_uid == os.getuid()
    except OSError:
        return True


def _labels(config: WorkerConfig, url: str, containers: Containers | None) -> dict[str, str]:
    """What the operator said; with an engine also what placement goes by, and whether it is there."""
    if containers is None:
        return config.all_labels
    found = {**capacities(config.data, usable_cpus()), "worker": url}
    return {**found, **config.all_labels, **({"engine": "docker"} if containers.is_there else {})}


def _relabel(machine: Machine, bell: Bell, labels: dict[str, str]) -> None:
    machine.relabel(labels)
    bell.ring()


def _slot(config: WorkerConfig, platform: Platform, cache: Cache, number: int) -> Slot:
    return Slot(Workspace(config.data / "slots" / str(number), cache.trash), platform.open_commands())


def _report(machine: Machine, bell: Bell, job: JobId, digest: str | None) -> None:
    machine.artifact_changed(job, digest)
    # An artifact that is new travels with its job's result; one that is gone is news by itself.
    if digest is None:
        bell.ring()
