"""The composition root: every part is made here, and every nursery of the coordinator is opened here.

Indentation is lifetime. The storage nursery outlives everything that can submit; services start in order
and stop together; a crash of any long-lived task ends the process, and the next one replays.
"""

import secrets
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import structlog
import trio

from clients.server import serve
from coordinator import alarm
from coordinator.attendance import Attendance
from coordinator.blobs import BlobStore
from coordinator.closing import close_outputs_forever
from coordinator.config import CoordinatorConfig
from coordinator.core import Coordinator
from coordinator.dispatch import Dispatch
from coordinator.heartbeats import Heartbeats
from coordinator.http.site import application
from coordinator.journal import PROBE_BYTES, Journal
from coordinator.output import OutputStore
from coordinator.parts import Parts
from coordinator.sources import Sources
from events.commands import StartCoordinator
from events.ids import Position
from events.log import PAGE, Entry, Log, Subject
from events.sqlite import SqliteLog, SqliteReader

log = structlog.get_logger()

# The thread that commits has to get the interpreter back from a busy event loop; with CPython's 5 ms each
# commit would wait that long, and every answer with it.
SWITCH_SECONDS = 0.0005


async def run(
    config: CoordinatorConfig,
    *,
    stop: trio.Event,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop`; `started` with the URL once requests are answered.

    Raises `LogLocked`, `CorruptLog`, `LogFromTheFuture` or `LogError` if the log cannot be used, OSError
    if the address cannot be bound.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    path = config.data / "log.sqlite3"
    event_log = await trio.to_thread.run_sync(SqliteLog, path)
    try:
        journal = Journal(event_log, _FileReader(path), has_room=lambda: _has_room(config.data))
        await _run(config, journal, event_log, stop, task_status)
    finally:
        event_log.close()


async def _run(
    config: CoordinatorConfig,
    journal: Journal,
    event_log: Log,
    stop: trio.Event,
    task_status: trio.TaskStatus[str],
) -> None:
    await journal.load()
    async with trio.open_nursery() as storage:
        await storage.start(journal.commit_forever)
        core = Coordinator(journal, now=clock(not_before=journal.state.at), new_id=secrets.token_hex)
        parts = await _parts(config, core)
        await core.submit(StartCoordinator(version=version("terzetto"), settings=config.settings))
        await parts.sources.forget_missing()
        await _serve(parts, stop, task_status)
        storage.cancel_scope.cancel()
    log.info("stopped", position=journal.durable, head=event_log.head())


async def _parts(config: CoordinatorConfig, core: Coordinator) -> Parts:
    blobs = BlobStore(config.data / "blobs")
    dispatch = Dispatch(core)
    return Parts(
        config=config,
        core=core,
        journal=core.journal,
        dispatch=dispatch,
        heartbeats=Heartbeats(core, dispatch),
        attendance=Attendance(core, config.client_grace_seconds),
        blobs=blobs,
        sources=Sources(core, blobs),
        outputs=OutputStore(config.data / "output"),
    )


async def _serve(parts: Parts, stop: trio.Event, task_status: trio.TaskStatus[str]) -> None:
    config, drained = parts.config, trio.Event()
    async with trio.open_nursery() as services:
        await services.start(alarm.ring_forever, parts.core)
        await services.start(parts.dispatch.call_forever)
        await services.start(parts.attendance.watch_forever)
        await services.start(close_outputs_forever, parts.core, parts.outputs)
        async with trio.open_nursery() as front:
            urls = await front.start(_listen, parts, drained)
            log.info("serving", url=urls[0], position=parts.journal.durable)
            task_status.started(urls[0] + config.base_path)
            await stop.wait()  # unbounded: we serve until told otherwise
            # First let streams and held heartbeats end by themselves, so that nobody sees a torn answer.
            parts.journal.stop_followers()
            await trio.sleep(config.drain_seconds)
            drained.set()
        services.cancel_scope.cancel()


async def _listen(
    parts: Parts, drained: trio.Event, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED
) -> None:
    await serve(
        application(parts),
        bind=parts.config.bind,
        shutdown=drained.wait,
        grace_seconds=parts.config.grace_seconds,
        task_status=task_status,
    )


def clock(not_before: float) -> Callable[[], float]:
    """Seconds since 1970 that never fall: the wall clock once, then the monotonic one.

    So a jump of the wall clock expires nobody's lease; it shows in the next start's times only.
    """
    start, origin = max(time.time(), not_before), time.monotonic()
    return lambda: start + (time.monotonic() - origin)


class _FileReader:
    """Reads the log through a connection of its own each time, so that any thread may."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, after: Position, subject: Subject | None = None, limit: int = PAGE) -> list[Entry]:
        reader = SqliteReader(self._path)
        try:
            return reader.read(after, subject, limit)
        finally:
            reader.close()


def _has_room(data: Path) -> bool:
    """Can a megabyte be written beside the log?"""
    probe = data / ".room"
    try:
        probe.write_bytes(bytes(PROBE_BYTES))
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True
