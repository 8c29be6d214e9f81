"""What a viewer sees of a build, as one short text: who replayed its records rightly has the same.

How it is made is in the README, for those who make it elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence
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


def digest(about: Mapping[str, Any], jobs: Iterable[Mapping[str, Any]]) -> str:
    """Of a build and its jobs as they are shown, in hex."""
    total = sha256(_line(about, BUILD))
    for job in jobs:
        total.update(_line(job, JOB))
    return total.hexdigest()


def _line(values: Mapping[str, Any], fields: Sequence[str]) -> bytes:
    return codec.dumps([_as_in_javascript(values[field]) for field in fields]) + b"\n"


def _as_in_javascript(value: object) -> object:
    """There a whole number has no ".0"; all else that can be here is written alike."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
