"""A coordinator's core in memory, for virtual time: no socket, no thread, no disk."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import TypeVar

import trio
from attrs import Factory, define

from coordinator.builds import start
from coordinator.core import Coordinator
from coordinator.journal import Journal
from coordinator.recent import Recent
from events.catalog import Record
from events.commands import FinishUpload, Heartbeat, NewJob, Settings, StartBuild, StartCoordinator
from events.fold import replay
from events.ids import BuildId, JobId, Position, WorkerId
from events.log import PAGE, LogFull, MemoryLog
from events.query import Scanned
from events.state import State

T = TypeVar("T")
EPOCH = 1_000_000.0
WORKER = WorkerId("http://w.invalid")


@define(eq=False)
class Disk:
    """Runs what the journal gives it inline; writes wait while `is_open` is not set, and are counted."""

    writes: int = 0
    is_open: trio.Event = Factory(trio.Event)

    def close(self) -> None:
        self.is_open = trio.Event()

    async def run(self, function: Callable[..., T], /, *args: object) -> T:
        await trio.lowlevel.checkpoint()
        if getattr(function, "__name__", "") == "append":
            self.writes += 1
            await self.is_open.wait()
        return function(*args)


class FullLog(MemoryLog):
    """A log on a disk that is full as long as `is_full`."""

    def __init__(self) -> None:
        super().__init__(self._fail)
        self.is_full = False

    def _fail(self) -> None:
        if self.is_full:
            raise LogFull("no space")


def ids() -> Callable[[int], str]:
    numbers = count(1)
    return lambda size: f"{next(numbers):0{2 * size}x}"


def now() -> float:
    return EPOCH + trio.current_time()


def job(name: str, *deps: str) -> NewJob:
    """A job that is called as its id begins."""
    return NewJob(id=job_id(name), name=name, deps=tuple(job_id(dep) for dep in deps))


def job_id(name: str) -> JobId:
    return JobId(name.encode().hex().ljust(40, "0"))


@asynccontextmanager
async def running(
    log: MemoryLog | None = None,
    *,
    disk: Disk | None = None,
    settings: Settings | None = None,
    has_room: Callable[[], bool] = lambda: True,
    recent: Callable[[Position], Recent] = Recent,
    page: int = PAGE,
) -> AsyncIterator[Coordinator]:
    """A core whose journal is at work."""
    log = log or MemoryLog()
    if disk is None:
        disk = Disk()
        disk.is_open.set()
    journal = Journal(log, Scanned(log), run_sync=disk.run, has_room=has_room, recent=recent, page=page)
    await journal.load()
    with trio.fail_after(10_000):
        async with trio.open_nursery() as nursery:
            await nursery.start(journal.commit_forever)
            core = Coordinator(journal, now=now, new_id=ids())
            await core.submit(StartCoordinator(version="test", settings=settings or Settings()))
            yield core
            nursery.cancel_scope.cancel()


async def build(core: Coordinator, *jobs: NewJob, detached: bool = False) -> BuildId:
    """A build whose upload is done."""
    id_ = await start(core, StartBuild(jobs=jobs, detached=detached))
    await core.submit(FinishUpload(build=id_))
    return id_


def beat(worker: WorkerId = WORKER, slots: int = 1, **fields: object) -> Heartbeat:
    """A report of one of our own workers, with all slots free unless told otherwise."""
    values: dict[str, object] = {"slots_free": slots, "running": (), "session": "s", "native": True, **fields}
    return Heartbeat(worker=worker, slots=slots, **values)  # type: ignore[arg-type]  # tests know the fields


def replayed(log: MemoryLog) -> State:
    return replay(entry.record for entry in log.read(limit=1 << 30))


def types(records: list[Record]) -> list[str]:
    return [type(record.event).__name__ for record in records]


def positions(log: MemoryLog) -> Iterator[int]:
    return (entry.record.position for entry in log.read(limit=1 << 30))
