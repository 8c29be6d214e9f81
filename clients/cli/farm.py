"""A coordinator in this process with workers as its children, as `up` runs them.

Workers are processes of their own: starting programs is their business, and it must not hold up the
coordinator's event loop. One that ends by itself is started again, so that a worker may be killed to
see what happens.
"""

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
import trio
from attrs import frozen

from clients.cli import children, printing
from clients.cli.exits import Failure
from clients.cli.texts import count

READY_SECONDS = 30.0
# Of the ten seconds that a stop may take, so many are for the workers, who are asked first.
WORKERS_STOP_SECONDS = 4.0
RESTART_SECONDS = 1.0

log = structlog.get_logger()


@frozen(kw_only=True)
class Farm:
    """`settings` are the coordinator's, as `CoordinatorConfig` calls them, without `data`."""

    workers: int
    slots: int
    data: Path
    log_level: str
    settings: dict[str, Any]


async def serve(farm: Farm, *, stop: trio.Event, task_status: trio.TaskStatus[str]) -> None:
    """Run the farm until `stop`: workers first, then the coordinator, so that they can still report."""
    from coordinator import app
    from coordinator.config import CoordinatorConfig

    config = CoordinatorConfig(data=farm.data, **farm.settings)
    coordinator_stop = trio.Event()
    async with trio.open_nursery() as nursery:
        url = await nursery.start(partial(app.run, config, stop=coordinator_stop))
        with trio.CancelScope() as workers_scope:
            nursery.start_soon(_cancel_on, stop, workers_scope)
            await _run_workers(farm, url, task_status)
        coordinator_stop.set()


async def _cancel_on(stop: trio.Event, scope: trio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()


async def _run_workers(farm: Farm, url: str, task_status: trio.TaskStatus[str]) -> None:
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as starting:
            for number in range(1, farm.workers + 1):
                worker = Worker(farm, url, number)
                starting.start_soon(nursery.start, worker.run_forever)
        task_status.started(url)
        _greet(farm, url)
        await trio.sleep_forever()


def _greet(farm: Farm, url: str) -> None:
    slots = f"{count(farm.workers, 'worker')} with {count(farm.slots, 'slot')} each"
    printing.note(f"live page {url}/   {slots}, data in {farm.data}   Ctrl-C stops")


class Worker:
    """One child, started again when it ends.

    A worker is known by its URL, so it gets the same port every time, also after a restart of all: else
    the coordinator would for a while send readers of its artifacts to where nobody is.
    """

    def __init__(self, farm: Farm, url: str, number: int) -> None:
        self.id = f"worker-{number}"
        data = farm.data.absolute() / "workers" / str(number)
        self._port_file = data / "port"
        self._verb = [
            *("worker", "--coordinator", url, "--id", self.id, "--slots", str(farm.slots)),
            *("--data", str(data), "--log-level", farm.log_level),
        ]

    async def run_forever(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Started once the worker can serve; raises `Failure` if it cannot, the first time."""
        await self._run(task_status)
        while True:
            log.warning("worker ended, starting it again", worker=self.id, seconds=RESTART_SECONDS)
            await trio.sleep(RESTART_SECONDS)
            try:
                await self._run(trio.TASK_STATUS_IGNORED)
            except* Failure as failures:
                log.error("worker did not start", worker=self.id, error=str(failures.exceptions[0]))

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        if port := _read_port(self._port_file):
            try:
                await self._run_at(port, task_status)
                return
            except* Failure:
                log.warning("worker gets another port", worker=self.id, instead_of=port)
        await self._run_at(0, task_status)

    async def _run_at(self, port: int, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            verb = [*self._verb, "--bind", f"127.0.0.1:{port}"]
            process = await children.start(nursery, verb, stop_seconds=WORKERS_STOP_SECONDS)
            url = await children.await_ready(process, self.id, seconds=READY_SECONDS)
            self._port_file.write_text(str(urlsplit(url).port))
            log.info("worker started", worker=self.id, pid=process.pid, url=url)
            task_status.started()
            nursery.start_soon(children.drain, process)
            await process.wait()
            nursery.cancel_scope.cancel()


def _read_port(file: Path) -> int:
    """The port of the last time; 0 if there was none."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0
