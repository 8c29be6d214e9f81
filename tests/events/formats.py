"""A second format that there is only in tests, so that what reads an older one is seen to work.

Before it a `JobReleased` was called `JobGivenBack`, and `HeartbeatReceived` said `free`.
"""

import json
from typing import Any

import pytest

from events import codec
from events.codec import Upcaster
from events.log import GENESIS, link

SAMPLE = b'{"position":7,"at":1.5,"type":"HeartbeatReceived","worker":"w","free":2}'


def begin_second_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on texts are written in format 2, and those without a mark were in format 1."""
    monkeypatch.setattr(codec, "FORMAT", 2)
    becomes = SAMPLE.replace(b'"free"', b'"slots_free"')
    monkeypatch.setattr(codec, "UPCASTERS", {1: Upcaster(_step, SAMPLE, becomes)})
    codec.check_upcasters()


def as_of_old(text: bytes) -> bytes:
    """What an older version would have written for a text of a golden log."""
    value = json.loads(text)
    if value["type"] == "JobReleased":
        value["type"] = "JobGivenBack"
    if value["type"] == "HeartbeatReceived":
        value = {"free" if key == "slots_free" else key: item for key, item in value.items()}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def chained(texts: list[bytes]) -> list[bytes]:
    """The lines of an export of these texts."""
    lines, chain = [], GENESIS
    for text in texts:
        chain = link(chain, text)
        lines.append(text[:-1] + b',"chain":"' + chain.hex().encode() + b'"}')
    return lines


def _step(value: dict[str, Any]) -> dict[str, Any]:
    if value["type"] == "JobGivenBack":
        return {**value, "type": "JobReleased"}
    if value["type"] == "HeartbeatReceived":
        return {"slots_free" if key == "free" else key: item for key, item in value.items()}
    return value
