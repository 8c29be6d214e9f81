"""A worker's results on their way in: output goes to disk first, its size goes into the fact."""

from collections.abc import Iterable

from attrs import frozen

from coordinator.core import Coordinator
from coordinator.output import STREAMS, OutputStore, Piece
from events.commands import Result
from events.ids import JobId, LeaseId, WorkerId


@frozen(kw_only=True)
class Report:
    """What a worker says of one job, with the output that it has not streamed before, from its offsets."""

    job: JobId
    lease: LeaseId = LeaseId("")
    exit_code: int = 0
    error: str | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_offset: int = 0
    stderr_offset: int = 0
    fetch_seconds: float = 0.0
    lost: tuple[JobId, ...] = ()

    @property
    def has_output(self) -> bool:
        return bool(self.stdout or self.stderr or self.stdout_offset or self.stderr_offset)


async def keep(
    core: Coordinator, outputs: OutputStore, worker: WorkerId, reports: Iterable[Report]
) -> tuple[Result, ...]:
    """Store the output of live leases durably; raises `StorageFull`."""
    results = []
    for report in reports:
        live = core.state.leases_of.get(worker, {}).get(report.job)
        sizes = (0, 0)
        if live is not None and report.lease in ("", live):
            sizes = await _keep_output(outputs, live, report)
        results.append(_result(report, *sizes))
    return tuple(results)


async def _keep_output(outputs: OutputStore, lease: LeaseId, report: Report) -> tuple[int, int]:
    if not (report.has_output or outputs.has_printed(lease)):
        return 0, 0
    given = (
        Piece(stream="stdout", offset=report.stdout_offset, data=report.stdout),
        Piece(stream="stderr", offset=report.stderr_offset, data=report.stderr),
    )
    await outputs.seal(lease, [_closing_gap(outputs, lease, piece) for piece in given])
    stdout_bytes, stderr_bytes = (outputs.size(lease, stream) for stream in STREAMS)
    return stdout_bytes, stderr_bytes


def _closing_gap(outputs: OutputStore, lease: LeaseId, piece: Piece) -> Piece:
    """What the worker had streamed may be gone after a power cut; it has no more to give than this."""
    size = outputs.size(lease, piece.stream) if piece.offset else 0
    if piece.offset <= size:
        return piece
    lost = f"\n…{piece.offset - size} bytes were lost…\n".encode()
    return Piece(stream=piece.stream, offset=size, data=lost + piece.data)


def _result(report: Report, stdout_bytes: int, stderr_bytes: int) -> Result:
    return Result(
        job=report.job,
        lease=report.lease,
        exit_code=report.exit_code,
        error=report.error,
        stdout_bytes=stdout_bytes,
        stderr_bytes=stderr_bytes,
        fetch_seconds=report.fetch_seconds,
        lost=report.lost,
    )
