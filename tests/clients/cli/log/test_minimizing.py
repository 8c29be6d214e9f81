"""A log shrunk to a fixture, as a user does it; the fixture is then a replay test."""

from pathlib import Path

import pytest

from events.catalog import BuildSucceeded, Record
from events.codec import decode, encode
from events.fold import replay
from events.ids import Position
from events.validate import Inconsistent, problems, validate
from tests.clients.cli.log.logs import FAIL, history, made, objects, said
from tests.events.story import BUILD, A, B, Story, beat, job, start
from tests.golden.scenarios import READY

NAMES = ["BuildStarted", "JobAdded", "SourcesReady", "BuildSucceeded"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A build is said to have succeeded although its jobs have not run."""
    story = Story().given(beat(free=0), start(job(A), job(B, A)), READY, beat(free=0))
    end = Record(Position(len(story.records) + 1), 0.0, BuildSucceeded(build=BUILD))
    return made(tmp_path / "log.sqlite3", [*story.records, end])


def test_the_fixture_is_a_replay_test(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines as golden logs have them, which show what the text beside them says."""
    fixture = tmp_path / "success_came_early.jsonl"
    lines, _ = said(capsys, "minimize", "--invariant", "builds", "-o", fixture, "--log", path)
    assert lines[0] == f"4 records of 10: {fixture}"
    texts = fixture.read_bytes().splitlines()
    records = [decode(text) for text in texts]
    assert [encode(record) for record in records] == texts
    assert [type(record.event).__name__ for record in records] == NAMES
    with pytest.raises(Inconsistent, match="some of its jobs have not ended"):
        validate(replay(records))
    assert problems(replay(records[:-1]), "builds") == []
    shown = fixture.with_suffix(".txt").read_text()
    assert "has succeeded, some of its jobs have not ended" in shown
    assert lines[1] == shown.strip()


def test_a_redacted_fixture_shows_it_under_other_names(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixture = tmp_path / "f.jsonl"
    flags = ("--invariant", "builds", "-o", fixture, "--redact", "--json", "--log", path)
    [told] = objects(said(capsys, "minimize", *flags)[0])
    assert (told["records"], told["of"], told["fixture"]) == (4, 10, str(fixture))
    text = fixture.read_text() + fixture.with_suffix(".txt").read_text()
    assert "echo" not in text
    assert BUILD not in text
    with pytest.raises(Inconsistent):
        validate(replay(map(decode, fixture.read_bytes().splitlines())))


def test_a_command_may_be_the_judge(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It gets the path of each candidate, and fails as long as it sees what it looks for."""
    fixture = tmp_path / "f.jsonl"
    flags = ("--command", "! grep -q SourcesReady", "-o", fixture, "--log", path)
    lines, _ = said(capsys, "minimize", *flags)
    assert lines == [f"1 record of 10: {fixture}", "It makes `! grep -q SourcesReady` fail."]
    [record] = [decode(line) for line in fixture.read_bytes().splitlines()]
    assert (record.position, type(record.event).__name__) == (1, "SourcesReady")


def test_a_command_that_takes_too_long_has_not_failed(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--command", "exec sleep 60 #", "--seconds", "0.05", "-o", tmp_path / "f.jsonl", "--log", path)
    _, err = said(capsys, "minimize", *flags, code=2)
    assert "the command does not fail with the whole log" in err


def test_without_a_fault_nothing_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor if it is not said which, or if the fixture is there already."""
    path, fixture = made(tmp_path / "log.sqlite3", history(FAIL)), tmp_path / "f.jsonl"
    for flags, words in (
        (("--invariant", "builds"), "builds holds in the whole log"),
        ((), "a fault is shown in one way"),
        (("--invariant", "peace"), "there is no invariant"),
    ):
        err = said(capsys, "minimize", *flags, "-o", fixture, "--log", path, code=2)[1]
        assert words in err
    assert not fixture.exists()
    fixture.with_suffix(".txt").touch()
    err = said(capsys, "minimize", "--invariant", "time", "-o", fixture, "--log", path, code=2)[1]
    assert "f.txt exists" in err
