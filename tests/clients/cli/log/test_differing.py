"""`terzetto log diff`: what changed between two points."""

from pathlib import Path

import pytest

from clients.cli.log.differing import SHOWN_MAX
from events.catalog import Record, SourceStored
from events.ids import BlobDigest, Position, SourceId
from tests.clients.cli.log.logs import FAIL, SHARE, build, history, made, objects, said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return made(tmp_path / "log.sqlite3", history(FAIL))


def test_two_positions(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How many of each kind changed, and each of them."""
    lines, err = said(capsys, "diff", "12", "16", "--log", path)
    assert err == ""
    assert lines[:2] == [
        "from record 12, 2025-11-22T00:06:40.000Z",
        "to record   16, 2025-11-22T00:06:40.000Z: 0.0s later",
    ]
    assert "2 jobs: 2 changed" in lines
    assert "  1 blocked → queued" in lines
    assert "    a of build 00000000: blocked → running, attempt 0 → 1, worker none → v" in lines
    assert "1 lease: 1 new" in lines
    assert said(capsys, "diff", "13", "13", "--log", path)[0][-1] == "nothing changed"


def test_from_the_beginning_to_a_time(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is new."""
    lines, _ = said(capsys, "diff", "0", "2025-11-22T00:06:40Z", "--log", path)
    assert lines[0] == "from the beginning"
    assert "1 worker: 1 new" in lines
    assert any(line.startswith("  + 00000000") for line in lines)


def test_of_one_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its jobs and leases, and no other's."""
    path, end = made(tmp_path / "log.sqlite3", history(SHARE)), len(history(SHARE)) - 1
    lines, _ = said(capsys, "diff", "0", str(end), "--log", path, "--build", build(2), "--json")
    [found] = objects(lines)
    assert (found["from"]["position"], found["to"]["position"]) == (0, end)
    assert {change["ids"][0] for change in found["changes"]} == {build(2)}
    assert [change["kind"] for change in found["changes"]] == ["build", "job", "job"]
    assert found["changes"][1]["before"] is None
    assert found["changes"][1]["after"]["status"] == "succeeded"


def test_of_many_things_the_first_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless all are asked for."""
    records = [
        Record(Position(n), 1.0, SourceStored(source=SourceId(f"{n:040x}"), blob=BlobDigest("b"), size=n))
        for n in range(1, 31)
    ]
    path = made(tmp_path / "log.sqlite3", records)
    lines, _ = said(capsys, "diff", "0", "30", "--log", path)
    assert lines[2] == "30 sources: 30 new"
    assert lines[-1] == "  … and 10 more; --all shows them"
    assert len(lines) == 3 + SHOWN_MAX + 1
    assert len(said(capsys, "diff", "0", "30", "--log", path, "--all")[0]) == 3 + 30


def test_points_that_make_no_sense(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what to do."""
    assert "position 12 is before 16" in said(capsys, "diff", "16", "12", "--log", path, code=2)[1]
    assert "the log ends at position 79" in said(capsys, "diff", "1", "80", "--log", path, code=2)[1]
