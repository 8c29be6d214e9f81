"""What a worker stands on: this machine, or a simulated one. Only this differs, never the logic."""

import random
import secrets
from collections.abc import Callable
from typing import Any

import trio
from attrs import field, frozen

from clients import wire
from clients.archive import RunSync
from clients.server import Listen, open_listeners
from clients.wire.client import OpenStream
from workers import disk
from workers.commands import Commands, Runner


@frozen(kw_only=True)
class Platform:
    """The machine. `boot_id` names the time since it was started; `chance` spreads retries."""

    run_sync: RunSync = trio.to_thread.run_sync
    listen: Listen = open_listeners
    open_stream: OpenStream = trio.open_tcp_stream
    open_commands: Callable[[], Runner] = Commands
    new_id: Callable[[int], str] = secrets.token_hex
    chance: random.Random = field(factory=random.Random)
    boot_id: Callable[[], str] = disk.boot_id

    def open_client(self, base_url: str, **options: Any) -> wire.Client:
        """A client whose connections this machine makes."""
        return wire.Client(base_url, open_stream=self.open_stream, **options)
