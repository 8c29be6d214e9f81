"""What workers' machines say of themselves, asked for when somebody wants to know."""

from collections.abc import Callable, Iterable
from typing import Any

import trio

from clients import codec, wire
from clients.codec import Malformed
from clients.tasks import PATH_STATS
from events.ids import WorkerId

STATS_SECONDS = 1.0
STATS_BYTES_MAX = 1 << 20


class Nodes:
    """Asks workers; those that do not answer within a second, or speak of nothing such, have said nothing."""

    def __init__(self, open_client: Callable[[str], wire.Client]) -> None:
        self._open_client = open_client

    async def stats(self, workers: Iterable[WorkerId]) -> dict[WorkerId, dict[str, Any] | None]:
        """All of them at the same time."""
        found: dict[WorkerId, dict[str, Any] | None] = dict.fromkeys(workers)
        async with trio.open_nursery() as asking:
            for worker in found:
                asking.start_soon(self._ask, worker, found)
        return found

    async def _ask(self, worker: WorkerId, found: dict[WorkerId, dict[str, Any] | None]) -> None:
        try:
            async with self._open_client(worker) as client:
                reply = await client.call(
                    "GET", PATH_STATS, timeout_seconds=STATS_SECONDS, bytes_max=STATS_BYTES_MAX
                )
                said = codec.loads(reply.raise_for_status().body)
        except (wire.Unreachable, wire.Refused, wire.TooLarge, Malformed, ValueError):
            return
        found[worker] = said if isinstance(said, dict) else None
