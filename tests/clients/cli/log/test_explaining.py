"""`terzetto log why`: questions people have about a job, and their answers."""

from pathlib import Path

import pytest

from events.fold import replay
from tests.clients.cli.log.logs import FAIL, LOSE, SHARE, build, history, made, objects, said

CHAIN = [
    "queued 30.0 s: kept for worker v (holds b)",
    "the artifact of a dependency was lost",
    "waited 9.0 s for b",
    "the artifact of a dependency was lost",
    "waited 1.0 s for b",
    "queued 1.0 s: kept for worker w (holds b)",
    "ran on v 1.0 s",
    "lost: worker v restarted",
    "queued 1.0 s: kept for worker w (holds b)",
    "attempt 2 on v 1.0 s",
    "lost: worker v restarted",
    "queued 0 ms: kept for worker w (holds b)",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return made(tmp_path / "log.sqlite3", history(LOSE))


def test_the_answers_stand_below_their_questions(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each after the time of what it is about."""
    lines, err = said(capsys, "why", build(1), "b", "--log", path, "--at", "18")
    assert err == ""
    assert lines[0].startswith("job b of build 00000000, as of record 18, 2025-11-22T00:0")
    assert lines[1] == "ran on v 0 ms → succeeded"
    assert lines[2].startswith("  00:06:40.000  ")
    questions = [line for line in lines[2:] if not line.startswith("  ")]
    assert "why did it run there?" in questions
    assert "why was it not reused?" in questions
    assert len(questions) == len(set(questions))


def test_the_chain_tells_all_that_became_of_a_job(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, between what is asked about and the answers."""
    lines, _ = said(capsys, "why", build(1), "c", "--log", path)
    assert lines[1].split(" → ") == CHAIN


def test_json_for_programs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every answer with its question, its code, its time and the positions that it rests on."""
    lines, _ = said(capsys, "why", build(1), "b", "--log", path, "--json")
    [found] = objects(lines)
    records = history(LOSE)
    state = replay(records)
    assert (found["position"], found["at"], found["time"][:4]) == (len(records), state.at, "2025")
    assert (found["build"], found["job"], found["name"]) == (build(1), "b" * 40, "b")
    assert found["answers"][0]["question"] == "status"
    for answer in found["answers"]:
        assert answer["records"] == sorted(set(answer["records"]), key=answer["records"].index)
        assert answer["at"] == records[answer["records"][0] - 1].at


def test_the_past_is_explained_by_position_or_time(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if the log had ended there."""
    records = history(LOSE)
    for at in (8, 12, 30):
        cut = made(tmp_path / f"{at}.sqlite3", records[:at])
        then = said(capsys, "why", build(1), "c", "--log", path, "--at", str(at))
        assert then == said(capsys, "why", build(1), "c", "--log", cut)
    time = "2025-11-22T00:06:40Z"
    lines, _ = said(capsys, "why", build(1), "c", "--log", path, "--at", time, "--json")
    [found] = objects(lines)
    assert found["position"] == sum(record.at <= 1763770000.0 for record in records)


def test_what_is_not_there_is_said(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2."""
    end = len(history(LOSE))
    for arguments, words in (
        ((build(1), "b", "--at", str(end + 1)), f"the log ends at position {end}"),
        ((build(1), "zz"), "knows no job 'zz'"),
        (("ff", "b"), "knows no build 'ff'"),
        ((build(1), "b", "--at", "1"), "at position 1 there is no build"),
        ((build(1), "b", "--at", "2"), "has no job"),
    ):
        assert words in said(capsys, "why", *arguments, "--log", path, code=2)[1]
    assert "there is no log" in said(capsys, "why", "b7", "x", "--log", tmp_path / "none", code=2)[1]


@pytest.mark.parametrize("name", [FAIL, SHARE, LOSE])
def test_every_job_of_every_build_is_explained(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In lines that can do a terminal no harm."""
    path = made(tmp_path / "log.sqlite3", history(name))
    added = [record.event for record in history(name) if type(record.event).__name__ == "JobAdded"]
    for event in added:
        lines, _ = said(capsys, "why", event.build, event.job, "--log", path)  # type: ignore[union-attr]
        assert len(lines) > 1
        assert all(line.isprintable() for line in lines)
