"""Output on its way to the coordinator while its job still runs, so that someone may watch it grow.

Only for jobs that run for a while or print much: for the others the result is soon there and carries
everything. What was acknowledged need not be in the result; what got lost on the way is sent again from
the offset that the coordinator names.
"""

from collections.abc import Iterable
from typing import Any

import structlog
import trio
from attrs import define, field

from clients import codec, wire
from clients.codec import Malformed
from workers.output import Output, Stream

log = structlog.get_logger()

AFTER_SECONDS = 0.3
AFTER_BYTES = 64 << 10
TICK_SECONDS = 0.1
SEND_SECONDS = 10.0
CHUNK_BYTES_MAX = 1 << 20
# At the end of a job this much may travel in its result.
RESULT_BYTES_MAX = 64 << 10
FLUSH_SECONDS = 30.0


@define(eq=False)
class Watched:
    """A job's output, and how much of each stream the coordinator has acknowledged."""

    lease: str
    output: Output
    since: float
    sent: dict[str, int] = field(factory=lambda: {"stdout": 0, "stderr": 0})
    is_wanted: bool = True

    def stream(self, name: str) -> Stream:
        return self.output.stdout if name == "stdout" else self.output.stderr

    def unsent(self) -> int:
        """Bytes of both streams that only we have."""
        return self.output.size - sum(self.sent.values())

    def is_due(self, now: float) -> bool:
        if not self.is_wanted or not self.unsent():
            return False
        return now - self.since >= AFTER_SECONDS or self.output.size > AFTER_BYTES


class OutputStreams:
    """Sends the output of all running jobs of this worker, each tick what has come since the last."""

    def __init__(self, client: wire.Client) -> None:
        self._client = client
        self._watched: dict[str, Watched] = {}
        self._woken = trio.Event()

    def watch(self, lease: str, output: Output) -> Watched:
        """Begin with a job that starts now."""
        watched = Watched(lease, output, trio.current_time())
        self._watched[lease] = watched
        self._woken.set()
        return watched

    def forget(self, watched: Watched) -> None:
        del self._watched[watched.lease]

    async def send_forever(self) -> None:
        while True:
            if not self._watched:
                self._woken = trio.Event()
                await self._woken.wait()  # unbounded: until there is a job
            await trio.sleep(TICK_SECONDS)
            now = trio.current_time()
            due = [watched for watched in self._watched.values() if watched.is_due(now)]
            if due:
                await self._send_all(due)

    async def flush(self, watched: Watched) -> None:
        """The job has ended: see to it that what is left is little enough for its result, if possible."""
        with trio.move_on_after(FLUSH_SECONDS):
            while watched.is_wanted and watched.unsent() > RESULT_BYTES_MAX:
                before = dict(watched.sent)
                await self._send(watched)
                if watched.sent == before:
                    await trio.sleep(TICK_SECONDS)

    async def _send_all(self, due: Iterable[Watched]) -> None:
        async with trio.open_nursery() as nursery:
            for watched in due:
                nursery.start_soon(self._send, watched)

    async def _send(self, watched: Watched) -> None:
        for name, offset in list(watched.sent.items()):
            data = bytes(watched.stream(name).kept[offset : offset + CHUNK_BYTES_MAX])
            if data and watched.is_wanted:
                await self._send_chunk(watched, name, offset, data)

    async def _send_chunk(self, watched: Watched, name: str, offset: int, data: bytes) -> None:
        target = f"/api/leases/{watched.lease}/output?stream={name}&offset={offset}"
        try:
            reply = await self._client.call("POST", target, body=data, timeout_seconds=SEND_SECONDS)
            if reply.status in (200, 409):
                # Its word counts, be it less than we thought; never more than there is.
                watched.sent[name] = min(_size(reply.body), len(watched.stream(name).kept))
            elif reply.status in (404, 405):
                watched.is_wanted = False
        except (wire.Unreachable, wire.TooLarge, Malformed) as error:
            log.info("output not sent", stream=name, error=str(error))


def _size(body: bytes) -> int:
    answer: Any = codec.loads(body)
    size = answer.get("size") if isinstance(answer, dict) else None
    if type(size) is not int or size < 0:
        raise Malformed("the answer names no size")
    return size
