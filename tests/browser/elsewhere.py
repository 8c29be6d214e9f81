"""Logs from elsewhere behind the page, each served as `terzetto ui` does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from clients.wire import Client
from coordinator import viewing
from coordinator.config import CoordinatorConfig


@asynccontextmanager
async def shown(log: Path) -> AsyncIterator[Client]:
    """The log behind the page, and a client of it."""
    stop = trio.Event()
    config = CoordinatorConfig(bind="127.0.0.1:0", data=log.with_suffix(""), grace_seconds=0.1)
    async with trio.open_nursery() as nursery:
        async with Client(await nursery.start(partial(viewing.run, log, config, stop=stop))) as client:
            yield client
        stop.set()
