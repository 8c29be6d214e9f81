"""What a viewer sees of a build, as one short text: who replayed its records rightly has the same.

How it is made is in the README, for those who make it elsewhere.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from clients import codec

BUILD = ("id", "state", "ended_at", "error")
JOB = (
    "id",
    "state",
    "attempt",
    "worker",
    "lease",
    "queued_at",
    "started_at",
    "ended_at",
    "exit_code",
    "error",
    "reason",
    "reused",
    "stdout_bytes",
    "stderr_bytes",
)


def digest(shown: Mapping[str, Any]) -> dict[str, Any]:
    """The answer for a build and its jobs as `views.build` shapes them."""
    total = sha256(_line(shown["build"], BUILD))
    for job in shown["jobs"]:
        total.update(_line(job, JOB))
    return {"position": shown["position"], "digest": total.hexdigest()}


def _line(values: Mapping[str, Any], fields: Sequence[str]) -> bytes:
    return codec.dumps([_as_in_javascript(values[field]) for field in fields]) + b"\n"


def _as_in_javascript(value: object) -> object:
    """There a whole number has no ".0"; all else that can be here is written alike."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
