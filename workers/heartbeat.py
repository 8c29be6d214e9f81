"""The conversation with the coordinator: report, receive, hand on, and never let an outage cost a job."""

import random
from collections.abc import Callable, Mapping

import structlog
import trio
from attrs import evolve

from clients import wire
from clients.backoff import Backoff
from clients.codec import Malformed
from clients.distbuild import HeartbeatRequest, HeartbeatResponse
from clients.distbuild_client import DistbuildClient
from events.ids import JobId
from workers.bell import Bell
from workers.jobs import Jobs
from workers.machine import Machine

log = structlog.get_logger()

# How long our coordinator may hold a heartbeat; it answers sooner if its patience with silent workers asks
# for that. While jobs run, their leases are renewed so often.
IDLE_WAIT_SECONDS = 15.0
BUSY_WAIT_SECONDS = 1.0
# Short jobs end while a heartbeat is on its way; before it is held, wait this long for the next to end.
LINGER_SECONDS = 0.02
# A coordinator that holds nothing is not asked more often than this.
PERIOD_SECONDS = 0.05
# A restarted coordinator is found again within this.
DELAY_SECONDS_MAX = 2.0
FAREWELL_SECONDS = 3.0
# The request itself is at fault, and so would be its repetition.
FAULTY = frozenset({400, 413, 415, 422})


class Heartbeats:
    """One exchange after the other, for as long as the worker lives."""

    def __init__(
        self,
        client: DistbuildClient,
        machine: Machine,
        jobs: Jobs,
        bell: Bell,
        *,
        held: Callable[[], Mapping[JobId, str]],
        chance: random.Random,
    ) -> None:
        self._client = client
        self._machine = machine
        self._jobs = jobs
        self._bell = bell
        self._held = held
        # An outage is never given up: jobs go on, and their results wait.
        self._backoff = Backoff(chance, seconds=float("inf"))

    async def beat_forever(self) -> None:
        while True:
            await self._beat()

    async def farewell(self) -> None:
        """Say that this worker goes, with the results that are left; gives up after a short while."""
        with trio.move_on_after(FAREWELL_SECONDS):
            while True:
                is_last = not self._machine.has_news
                request = evolve(self._machine.request(), leaving=is_last)
                try:
                    self._take(request, await self._client.heartbeat(request, wait_seconds=0.0))
                except (wire.Unreachable, wire.Refused, Malformed) as error:
                    log.warning("left without a word", error=str(error))
                    return
                if is_last:
                    return

    async def _beat(self) -> None:
        self._bell.reset()
        request = self._machine.request()
        began = trio.current_time()
        try:
            response = await self._exchange(request)
        except (wire.Unreachable, wire.Refused, wire.TooLarge, Malformed) as error:
            await self._endure(request, error)
            return
        if response is not None:
            self._backoff.reset()
            self._take(request, response)
            await self._rest(is_quick=trio.current_time() - began < PERIOD_SECONDS)

    async def _exchange(self, request: HeartbeatRequest) -> HeartbeatResponse | None:
        """The answer; None if it was broken off because there is news by now."""
        wait_seconds = self._wait_seconds(request)
        if not self._machine.is_native or not wait_seconds:
            # To break off could lose jobs that the answer brings: only ours gives them again.
            return await self._client.heartbeat(request, wait_seconds=wait_seconds)
        response: HeartbeatResponse | None = None
        with self._bell.interrupting():
            response = await self._client.heartbeat(request, wait_seconds=wait_seconds)
        return response  # noqa: RET504, None where the bell has ended the exchange

    def _wait_seconds(self, request: HeartbeatRequest) -> float:
        if not self._machine.is_busy:
            return IDLE_WAIT_SECONDS
        return 0.0 if request.finished_job else BUSY_WAIT_SECONDS

    def _take(self, request: HeartbeatRequest, response: HeartbeatResponse) -> None:
        self._jobs.carry_out(self._machine.answered(request, response, self._held))

    async def _rest(self, *, is_quick: bool) -> None:
        if self._machine.has_news:
            return
        if self._machine.is_busy:
            await self._bell.wait(LINGER_SECONDS if self._machine.is_native else PERIOD_SECONDS)
        elif is_quick:
            await self._bell.wait(PERIOD_SECONDS)

    async def _endure(self, request: HeartbeatRequest, error: Exception) -> None:
        if isinstance(error, wire.Refused) and error.status in FAULTY:
            self._machine.refused(request, error.text)
        delay = self._backoff.next_delay(trio.current_time())
        assert delay is not None
        delay = min(delay, DELAY_SECONDS_MAX)
        log.warning("heartbeat failed", error=str(error), retry_in_seconds=round(delay, 3))
        await trio.sleep(delay)
