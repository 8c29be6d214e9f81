"""`terzetto log trace`: a file for Perfetto."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.cli.log.logs import GOLDEN, LOSE, SHARE, build, history, made, said
from tests.events.tracing import check


def test_a_trace_is_one_json_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout, or in a file; of any log."""
    for path in GOLDEN:
        log = made(tmp_path / f"{path.stem}.sqlite3", history(path.stem))
        lines, err = said(capsys, "trace", "--log", log)
        assert err == ""
        value = json.loads("".join(lines))
        assert (value["schema_version"], value["displayTimeUnit"]) == (1, "ms")
        check(value["traceEvents"])
        file = tmp_path / "trace.json"
        assert said(capsys, "trace", "--log", log, "-o", file)[0] == []
        assert file.read_text() == "".join(f"{line}\n" for line in lines)


def test_where_to_look_at_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A word on stderr."""
    log = made(tmp_path / "log.sqlite3", history(LOSE))
    _, err = said(capsys, "trace", "--log", log, "-o", tmp_path / "trace.json")
    assert "trace events; open it in https://ui.perfetto.dev" in err


def test_one_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its attempts, and what befell its workers meanwhile."""
    log = made(tmp_path / "log.sqlite3", history(SHARE))
    lines, _ = said(capsys, "trace", "--log", log, "--build", build(2))
    events: list[Any] = json.loads("".join(lines))["traceEvents"]
    check(events)
    assert {event["id"] for event in events if event.get("cat") == "build"} == {build(2)}
    assert [event["name"] for event in events if event["ph"] == "X"] == ["a", "b"]
    assert "knows no build" in said(capsys, "trace", "--log", log, "--build", "ff", code=2)[1]
