"""What the server tells structlog: one line per request, one per error, never a secret."""

import re

import structlog
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.typing import ResponseSummary, WWWScope

log = structlog.get_logger()

# A lease's id entitles its bearer to report the job's result, so a log shows only enough to recognise it.
_LEASE = re.compile(r"(?<![0-9a-f])([0-9a-f]{6})[0-9a-f]{26}(?![0-9a-f])")


def shown_path(path: str) -> str:
    """A path as it may be logged: lease ids shortened."""
    return _LEASE.sub(r"\1…", path) if len(path) > 32 else path


class StructuredLogger(Logger):
    """hypercorn's logger, speaking structlog; its protocols, all we use, only write access lines."""

    def __init__(self, config: Config) -> None:  # hypercorn's own would set up handlers
        pass

    async def access(self, request: WWWScope, response: ResponseSummary | None, request_time: float) -> None:
        """One line per request. `left_early`: the peer went before the answer was complete.

        A peer that goes while the last bytes are sent is reported twice, first as gone: once is enough.
        """
        client, state = request["client"], request["state"]
        if response is None and state.get("is_ending"):
            return
        status = state.get("status") if response is None else response["status"]
        tell = log.warning if status is not None and status >= 500 else log.info
        tell(
            "request",
            method=request.get("method", "WEBSOCKET"),
            path=shown_path(request["path"]),
            status=status,
            seconds=round(request_time, 6),
            bytes=state.get("bytes", 0),
            peer=client[0] if client else None,
            **({"left_early": True} if response is None else {}),
        )
