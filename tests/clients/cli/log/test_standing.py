"""The past as it was: the state after any record."""

from pathlib import Path
from typing import Any

import pytest

from events.fold import replay
from tests.clients.cli.log.logs import FAIL, SHARE, build, history, made, objects, said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return made(tmp_path / "log.sqlite3", history(FAIL))


def state(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> Any:
    [value] = objects(said(capsys, "state", "--log", path, "--json", *arguments)[0])
    return value


def test_the_state_at_every_position(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is what the records up to there add up to, in the words of the coordinator."""
    records = history(FAIL)
    for end in (0, 1, 5, 19, 46, len(records)):
        expected, found = replay(records[:end]), state(capsys, path, "--at", str(end))
        assert (found["position"], found["at"]) == (end, expected.at)
        assert {b["id"]: b["state"] for b in found["builds"]} == {
            id_: str(b.status) for id_, b in expected.builds.items()
        }
        assert [worker["id"] for worker in found["workers"]] == [*expected.workers]
    assert state(capsys, path)["position"] == len(records)


def test_the_state_at_a_time(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After all that had happened by then."""
    first_later = next(record for record in history(FAIL) if record.at > 1763770000.5)
    found = state(capsys, path, "--at", "2025-11-22T00:06:40.500Z")
    assert found["position"] == first_later.position - 1


def test_one_build_and_its_jobs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In JSON and as a table."""
    found = state(capsys, path, "--at", "19", "--build", build(1))
    assert {job["name"]: job["state"] for job in found["jobs"]} == {
        "a": "failed",
        "b": "blocked",
        "c": "running",
        "d": "blocked",
    }
    lines, _ = said(capsys, "state", "--log", path, "--at", "19", "--build", build(1))
    assert lines[0] == "position 19 at 2025-11-22T00:06:41.000Z"
    assert lines[1].split() == ["BUILD", "STATE", "JOBS", "STARTED", "TOOK", "NAME"]
    assert lines[2].split()[:3] == ["00000000", "running", "1/4"]
    assert lines[3].split() == ["JOB", "STATE", "ATTEMPT", "WORKER", "RAN", "REASON", "NAME"]
    assert lines[4].split() == ["aaaaaaaa", "failed", "1", "v", "1.0s", "exit", "status", "1", "a"]


def test_all_builds_and_workers(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest build first."""
    lines, _ = said(capsys, "state", "--log", path)
    assert [line.split()[1] for line in lines[2:7]] == [
        "failed",
        "cancelled",
        "cancelled",
        "failed",
        "failed",
    ]
    assert lines[8].split()[:3] == ["v", "draining", "0/3"]
    lines, _ = said(capsys, "state", "--log", path, "--at", "0")
    assert lines[1:] == ["no builds", "no workers"]


def test_what_has_not_happened_yet(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor what has been forgotten: exit code 2, and which position was meant."""
    assert "the log ends at position 79" in said(capsys, "state", "--log", path, "--at", "80", code=2)[1]
    wanted = ("state", "--log", path, "--at", "4", "--build", build(1))
    assert "at position 4 there is no build" in said(capsys, *wanted, code=2)[1]
    past = made(tmp_path / "past.sqlite3", history(SHARE))
    wanted = ("state", "--log", past, "--at", "59", "--build", build(2))
    assert "at position 59 there is no build" in said(capsys, *wanted, code=2)[1]
