"""The last part of what jobs printed, fetched when they have failed."""

from collections.abc import Iterable

import structlog
import trio

from clients import wire
from clients.build.parallel import for_each
from clients.live import Line
from events.ids import BuildId, JobId

TAIL_BYTES = 64 << 10
OUTPUTS_AT_ONCE = 4
OUTPUTS_SECONDS = 30.0

log = structlog.get_logger()


async def fetch_tails(
    client: wire.Client, build: BuildId, failures: Iterable[Line]
) -> dict[JobId, tuple[bytes, bytes]]:
    """The ends of stdout and stderr of failed jobs, by job; without those that cannot be had soon."""
    tails: dict[JobId, tuple[bytes, bytes]] = {}

    async def fetch(line: Line) -> None:
        job = JobId(str(line.fields["job"]))
        stdout = await _tail(client, build, job, "stdout", line.fields.get("stdout_bytes", 0))
        stderr = await _tail(client, build, job, "stderr", line.fields.get("stderr_bytes", 0))
        tails[job] = stdout, stderr

    with trio.move_on_after(OUTPUTS_SECONDS):
        await for_each(failures, fetch, at_once=OUTPUTS_AT_ONCE)
    return tails


async def _tail(client: wire.Client, build: BuildId, job: JobId, stream: str, size: int) -> bytes:
    if not size:
        return b""
    target = f"/api/builds/{build}/jobs/{job}/output?stream={stream}&from={max(0, size - TAIL_BYTES)}"
    try:
        reply = await client.call("GET", target, timeout_seconds=OUTPUTS_SECONDS, bytes_max=2 * TAIL_BYTES)
        return reply.raise_for_status().body
    except (wire.Unreachable, wire.Refused, wire.TooLarge) as error:
        # The build's verdict stands without it, and it can be asked for later.
        log.warning("no output", build=build, job=job, stream=stream, error=str(error))
        return b""
