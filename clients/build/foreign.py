"""A foreign coordinator's status updates, told in the words of our own log.

So whoever shows or judges a build need not know which coordinator ran it.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Self

from clients.build.job_output import TAIL_BYTES
from clients.distbuild import JobResult, StatusUpdate, decode_bytes
from clients.distbuild_client import BuildStream
from clients.live import START, Line, OutcomeUnknown
from events.ids import JobId


class ForeignRecords:
    """The records that a build's updates amount to, by iteration; their position is always 0.

    A foreign stream gives no sign of life while jobs run, so there is no telling a dead one from a slow
    one: how long to wait is for the user to say. `outputs` holds what failed jobs printed.
    """

    def __init__(self, stream: BuildStream, *, now: Callable[[], float]) -> None:
        self.outputs: dict[JobId, tuple[bytes, bytes]] = {}
        self._stream = stream
        self._now = now
        self._lines: deque[Line] = deque()
        self._has_ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Line:
        """Raises `OutcomeUnknown` if the stream ends before the build does, and as the stream does."""
        while not self._lines:
            if self._has_ended:
                raise StopAsyncIteration
            try:
                update = await anext(self._stream)
            except StopAsyncIteration:
                raise OutcomeUnknown("the stream of the build ended without its last message") from None
            self._lines.extend(self._told(update))
        line = self._lines.popleft()
        self._has_ended = line.is_terminal
        return line

    def _told(self, update: StatusUpdate) -> list[Line]:
        lines = []
        if update.job_finished is not None:
            lines.append(self._job(update.job_finished))
        if update.build_failed is not None:
            lines.append(self._line("BuildFailed", error=update.build_failed.error))
        elif update.build_finished is not None:
            lines.append(self._line("BuildSucceeded"))
        return lines

    def _job(self, result: JobResult) -> Line:
        if result.error is None:
            return self._line("JobSucceeded", job=result.id)
        stdout, stderr = decode_bytes(result.stdout), decode_bytes(result.stderr)
        self.outputs[JobId(result.id)] = stdout[-TAIL_BYTES:], stderr[-TAIL_BYTES:]
        return self._line("JobFailed", job=result.id, exit_code=result.exit_code, error=result.error)

    def _line(self, kind: str, **fields: Any) -> Line:
        build = self._stream.started.id
        return Line(position=START, at=self._now(), type=kind, fields={"build": build, **fields})
