"""A log from anywhere, looked at as if its coordinator were here: the same page, and nothing can be changed.

The log is only read. What jobs printed is shown where the coordinator's `output/` lies beside it.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import trio

from clients.server import serve
from coordinator.app import make_parts
from coordinator.config import CoordinatorConfig
from coordinator.core import Coordinator
from coordinator.http.site import application
from coordinator.journal import Journal
from coordinator.platform import FileReader, Platform
from events.catalog import Record
from events.files import beside
from events.restore import DIRECTORY, restore
from events.sqlite import SqliteReader
from events.state import State


class Sealed(FileReader):
    """A log file that nobody writes through this process."""

    def append(self, records: Sequence[Record]) -> NoReturn:
        raise AssertionError(f"this log is only looked at; somebody wants to add {records[0]}")

    def close(self) -> None:
        """There is nothing to close: each reading opens the file anew."""


async def run(
    path: Path,
    config: CoordinatorConfig,
    *,
    stop: trio.Event,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the log at `path` until `stop`; `started` with the URL. Raises `LogError` and its kin."""
    log, platform = Sealed(path), Platform()
    journal = Journal(log, log, run_sync=platform.run_sync, restore=partial(_restore, path))
    await journal.load()
    at = journal.state.at
    core = Coordinator(journal, now=lambda: at, new_id=platform.new_id)
    parts = make_parts(config, platform, core, None)
    drained = trio.Event()
    async with trio.open_nursery() as services:
        await services.start(parts.audiences.tell_forever)
        async with trio.open_nursery() as front:
            [url, *_] = await front.start(
                partial(
                    serve,
                    application(parts, sealed=path.name),
                    bind=config.bind,
                    shutdown=drained.wait,
                    grace_seconds=config.grace_seconds,
                    listen=platform.listen,
                )
            )
            task_status.started(url)
            await stop.wait()  # unbounded: we serve until told otherwise
            journal.stop_followers()
            await trio.sleep(config.drain_seconds)
            drained.set()
        services.cancel_scope.cancel()


def _restore(path: Path) -> State:
    reader = SqliteReader(path)
    try:
        return restore(reader, beside(path, DIRECTORY))
    finally:
        reader.close()
