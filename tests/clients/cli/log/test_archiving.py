"""Archiving by hand, and what the other verbs make of it."""

from contextlib import closing
from pathlib import Path

import pytest

from events.segments import DIRECTORY, found
from events.sqlite import SqliteLog, SqliteReader
from tests.clients.cli.log.logs import LOSE, SHARE, build, history, made, objects, said

HEAD = len(history(SHARE))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return made(tmp_path / "log.sqlite3", history(SHARE))


def everything(path: Path, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """What the other verbs say of a log."""
    asked = (
        ("export",),
        ("export", "--build", build(1)),
        ("export", "--build", build(2)),
        ("show",),
        ("show", "--json", "--worker", "v"),
        ("show", "--type", "JobLeased"),
        ("story", f"build/{build(2)}"),
        ("story", "worker/v"),
        ("state", "--json"),
        ("state", "--json", "--at", "20"),
        ("what-ran", "--json"),
        ("verify", "--json"),
    )
    return [said(capsys, *verb, "--log", path)[0] for verb in asked]


@pytest.mark.parametrize(
    "arguments", [(), ("--before", "40"), ("--older-than", "0s"), ("--older-than", "1d")]
)
def test_no_verb_sees_a_difference(
    path: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a byte, of any of them."""
    before = everything(path, capsys)
    lines, err = said(capsys, "archive", "--log", path, *arguments)
    upto = 39 if arguments[:1] == ("--before",) else HEAD - 1
    assert lines == [f"{upto} records archived in {path.parent / DIRECTORY}; it ends at position {upto}"]
    assert err == ""
    assert found(path.parent / DIRECTORY)[-1].last == upto
    with closing(SqliteReader(path)) as reader:
        assert len(reader.rows(0, HEAD)) < HEAD  # type: ignore[arg-type]  # a position
    assert everything(path, capsys) == before


def test_a_dry_run_only_tells(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Even of a log that a coordinator writes."""
    with closing(SqliteLog(path)):
        lines, _ = said(capsys, "archive", "--log", path, "--before", "11", "--dry-run")
        assert lines[0].startswith("10 records would be archived in ")
        [value] = objects(said(capsys, "archive", "--data", path.parent, "--dry-run", "--json")[0])
        directory = str(path.parent / DIRECTORY)
        assert value == {"records": HEAD - 1, "upto": HEAD - 1, "archive": directory, "dry_run": True}
    assert not (path.parent / DIRECTORY).exists()


def test_it_goes_on_where_it_ended(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is archived stays so, whatever is asked for."""
    said(capsys, "archive", "--log", path, "--before", "30")
    assert said(capsys, "archive", "--log", path, "--before", "10")[0][0].startswith("0 records archived")
    assert said(capsys, "archive", "--log", path, "--before", "31")[0][0].startswith("1 record archived")
    assert len(found(path.parent / DIRECTORY)) == 2
    assert said(capsys, "verify", "--log", path)[0][0].startswith(f"ok: {HEAD} records")


def test_not_while_a_coordinator_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It does it by itself."""
    with closing(SqliteLog(path)):
        _, err = said(capsys, "archive", "--log", path, code=3)
    assert "is held by process" in err
    assert not (path.parent / DIRECTORY).exists()


@pytest.mark.parametrize("age", ["", "d", "1", "1w", "-1d", "infd", "nand"])
def test_what_is_no_age(path: Path, age: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is no age" in said(capsys, "archive", "--log", path, "--older-than", age, code=2)[1]


def test_there_is_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no log" in said(capsys, "archive", "--log", tmp_path / "no", code=2)[1]


def test_segments_make_a_log(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Alone, or with the export of what is not archived behind them; a gap between them is none."""
    for before in ("20", "35", "50"):
        said(capsys, "archive", "--log", path, "--before", before)
    whole, _ = said(capsys, "export", "--log", path)
    rest = tmp_path / "rest.jsonl"
    rest.write_text("\n".join(whole[49:]) + "\n")
    files = [segment.path for segment in found(tmp_path / DIRECTORY)]
    old, again = tmp_path / "old" / "log.sqlite3", tmp_path / "again" / "log.sqlite3"
    assert said(capsys, "import", *files, "--log", old)[0] == [f"imported 49 records into {old}"]
    assert said(capsys, "export", "--log", old)[0] == whole[:49]
    said(capsys, "import", *files, rest, "--log", again)
    assert said(capsys, "export", "--log", again)[0] == whole
    _, err = said(capsys, "import", files[0], files[2], "--log", tmp_path / "gap.sqlite3", code=65)
    assert "record 20 is missing" in err


def test_a_log_without_its_archive(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Says which records it lacks and what to do; nothing is taken for whole that is not."""
    said(capsys, "archive", "--log", path, "--before", "30")
    for segment in found(path.parent / DIRECTORY):
        segment.path.unlink()
    for verb in ("verify", "export", "state", "show"):
        _, err = said(capsys, verb, "--log", path, code=65)
        assert "records 1 to 29 are archived" in err
        assert "put its files back" in err


def test_two_logs_do_not_share_an_archive(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Though they are in one directory."""
    other = made(path.parent / "other.sqlite3", history(LOSE))
    for each in (path, other):
        before = said(capsys, "export", "--log", each)
        said(capsys, "archive", "--log", each, "--before", "30")
        assert said(capsys, "export", "--log", each) == before
    assert said(capsys, "verify", "--log", path)[0][0].startswith("ok: ")
    assert found(path.parent / "other.archive")
