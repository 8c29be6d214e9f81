"""A bug in a handler: told once in our log, a 500 with an operation id outside, and the server goes on."""

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from coordinator.heartbeats import Heartbeats
from coordinator.http import distbuild, site, views
from tests.coordinator.live import HEARTBEAT, running


async def broken(*_args: object, **_options: object) -> None:
    raise ValueError("the secret of the failure")


def broken_view(*_args: object) -> None:
    raise ValueError("the secret of the failure")


async def test_a_bug_is_told_once_and_kept_from_outsiders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each way in, in its own shape."""
    monkeypatch.setattr(Heartbeats, "take", broken)
    monkeypatch.setattr(distbuild, "start", broken)
    monkeypatch.setattr(views, "workers", broken_view)
    monkeypatch.setattr(site, "exposition", broken_view)
    requests: tuple[tuple[str, str, object], ...] = (
        ("POST", "/heartbeat", HEARTBEAT),
        ("POST", "/build", {}),
        ("GET", "/api/workers", b""),
        ("GET", "/metrics", b""),
    )
    async with running(tmp_path) as live:
        for method, target, body in requests:
            with capture_logs() as lines:
                reply = await live.call(method, target, body)
            assert reply.status == 500, target
            assert b"a bug in the coordinator" in reply.body
            assert b"secret" not in reply.body
            told = [line for line in lines if line["event"] == "handler failed"]
            assert [(line["method"], line["path"]) for line in told] == [(method, target)]
            if target in ("/api/workers", "/metrics"):
                assert json.loads(reply.body)["code"] == "TZ-1099"
        assert (await live.call("GET", "/healthz")).status == 200
