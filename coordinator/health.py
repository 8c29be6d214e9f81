"""Asks what serves in containers now and then whether all is well; what does not say so is begun anew.

Level-triggered: each look asks State what runs, where, and since when.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog
import trio

from clients import wire
from coordinator.core import Coordinator
from events.commands import ReportUnhealthy
from events.errors import Rejected
from events.ids import LeaseId
from events.state import State

log = structlog.get_logger()

ANSWER_SECONDS = 10.0
# So many are asked at once.
ASKED_MAX = 32


class Check(NamedTuple):
    """Where to ask, on behalf of which lease."""

    lease: LeaseId
    base_url: str
    path: str


class Health:
    """One look after the other, `seconds` apart; what has run for less is not asked yet."""

    def __init__(self, core: Coordinator, open_client: Callable[[str], wire.Client], seconds: float) -> None:
        self._core = core
        self._open_client = open_client
        self._seconds = seconds
        self._limit = trio.CapacityLimiter(ASKED_MAX)

    async def look_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        while True:
            await trio.sleep(self._seconds)
            await self.look()

    async def look(self) -> None:
        """Ask everything that is to be asked, once."""
        async with trio.open_nursery() as asking:
            for check in list(checks(self._core.state, self._core.now() - self._seconds)):
                asking.start_soon(self._ask, check)

    async def _ask(self, check: Check) -> None:
        async with self._limit:
            error = await self._error(check)
        if error is None:
            return
        log.warning("a health check failed", url=check.base_url + check.path, error=error)
        try:
            await self._core.submit(ReportUnhealthy(lease=check.lease, error=error))
        except Rejected as refusal:
            log.info("it had ended meanwhile", reason=refusal.reason)

    async def _error(self, check: Check) -> str | None:
        try:
            # What else it says is not looked at, however much that is.
            async with (
                self._open_client(check.base_url) as client,
                client.request("GET", check.path, timeout_seconds=ANSWER_SECONDS) as answer,
            ):
                status = answer.status
        except (wire.Unreachable, ValueError) as error:
            return str(error)
        return None if status == 200 else f"{check.base_url}{check.path} answered {status}"


def checks(state: State, since: float) -> Iterator[Check]:
    """What runs since then, says what to ask, and has a port where one can."""
    for lease in state.leases.values():
        graph = state.graphs[lease.builds[0]]
        container, started = graph.jobs[lease.job].spec.container, graph.containers.get(lease.job)
        if container is None or not container.health or started is None:
            continue
        if started.lease != lease.id or lease.leased_at > since:
            continue
        places = (
            started.ports[port] for port in (*container.ports, *container.bindings) if port in started.ports
        )
        host = urlsplit(lease.worker).hostname
        if host and (place := next(places, None)):
            bracketed = f"[{host}]" if ":" in host else host
            yield Check(lease.id, f"http://{bracketed}:{place.rpartition(':')[2]}", container.health)
