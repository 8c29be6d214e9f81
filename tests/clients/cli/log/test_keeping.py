"""Logs verified, exported and imported as a user does it: byte for byte, or refused with 65."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from clients.cli.log import keeping
from clients.cli.root import run
from events.catalog import Record, TimePassed
from events.codec import decode
from events.ids import Position
from events.sqlite import SqliteLog, SqliteReader
from tests.clients.cli.log.logs import FAIL, GOLDEN, build, history, made, objects, said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return made(tmp_path / "log.sqlite3", history(FAIL))


def exported(capsysbinary: pytest.CaptureFixture[bytes], path: Path, *arguments: str) -> bytes:
    assert run(["log", "export", "--log", str(path), *arguments]) == 0
    out, err = capsysbinary.readouterr()
    assert err == b""
    return out


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden.stem))
def test_there_and_back(golden: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """The export of the import equals the export, every log verifies, and the texts are the golden ones."""
    path, again = made(tmp_path / "log.sqlite3", history(golden.stem)), tmp_path / "new" / "again.sqlite3"
    lines = exported(capsysbinary, path)
    (tmp_path / "log.jsonl").write_bytes(lines)
    assert run(["log", "import", str(tmp_path / "log.jsonl"), "--log", str(again)]) == 0
    count = len(lines.splitlines())
    assert capsysbinary.readouterr() == (f"imported {count} records into {again}\n".encode(), b"")
    assert exported(capsysbinary, again) == lines
    assert [decode(line) for line in lines.splitlines()] == history(golden.stem)
    for each in (path, again):
        assert run(["log", "verify", "--log", str(each), "--json"]) == 0
    first, second = capsysbinary.readouterr().out.splitlines()
    assert first == second
    last = json.loads(lines.splitlines()[-1])
    assert json.loads(first) == {"schema_version": 1, "ok": True, "records": count, "chain": last["chain"]}


def test_one_build_is_exported(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the hashes that the whole log gives its records; but it is not a log."""
    whole, _ = said(capsys, "export", "--log", path)
    lines, _ = said(capsys, "export", "--log", path, "--build", build(2))
    assert lines == [line for line in whole if f'"build":"{build(2)}"' in line]
    jsonl = path.with_name("one.jsonl")
    jsonl.write_text("\n".join(lines) + "\n")
    _, err = said(capsys, "import", jsonl, "--log", path.with_name("one.sqlite3"), code=65)
    assert "record 1 " in err


def test_a_pipe_will_do(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` reads stdin; a last line without its end is a line."""
    lines, _ = said(capsys, "export", "--log", path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
    again = path.with_name("again.sqlite3")
    [value] = objects(said(capsys, "import", "-", "--log", again, "--json")[0])
    assert value == {"records": len(lines), "log": str(again), "chained": True}
    assert said(capsys, "export", "--log", again)[0] == lines


def test_lines_without_hashes_are_taken_with_a_word(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a coordinator streams them: nobody can tell whether they were altered before."""
    golden = next(each for each in GOLDEN if each.stem == FAIL)
    again = path.with_name("again.sqlite3")
    _, err = said(capsys, "import", golden, "--log", again)
    assert err == "the lines carry no chain hashes: what was altered before was not found\n"
    assert said(capsys, "export", "--log", again) == said(capsys, "export", "--log", path)


def alter(lines: list[str]) -> None:
    lines[39] = lines[39].replace('"at":17', '"at":18')


def remove(lines: list[str]) -> None:
    del lines[39]


def swap(lines: list[str]) -> None:
    lines[39], lines[40] = lines[40], lines[39]


def garble(lines: list[str]) -> None:
    lines[39] = "\x00" + lines[39]


@pytest.mark.parametrize("harm", [alter, remove, swap, garble])
def test_harm_is_refused(
    harm: Callable[[list[str]], None], path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With 65 and the position; and not a trace of a log is left, not even of the good lines before."""
    lines, _ = said(capsys, "export", "--log", path)
    harm(lines)
    jsonl, place = path.with_name("bad.jsonl"), path.parent / "new"
    jsonl.write_text("\n".join(lines) + "\n")
    _, err = said(capsys, "import", jsonl, "--log", place / "bad.sqlite3", code=65)
    assert err.startswith(f"error[TZ-2204]: the event log is corrupt\ncause: {jsonl}: record 40 ")
    assert "nothing was imported" in err
    assert list(place.iterdir()) == []


def test_nothing_is_overwritten(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What exists stays, whatever it is."""
    before = path.read_bytes()
    _, err = said(capsys, "import", GOLDEN[0], "--log", path, code=2)
    assert f"{path} exists" in err
    assert path.read_bytes() == before


def test_nothing_is_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An export that failed before its first line must not pass for an empty log."""
    (tmp_path / "empty").touch()
    assert (
        "no record in it" in said(capsys, "import", tmp_path / "empty", "--log", tmp_path / "l", code=65)[1]
    )
    assert said(capsys, "import", tmp_path / "gone", "--log", tmp_path / "l", code=2)[0] == []


def test_a_line_has_an_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no log at all is not read into memory."""
    monkeypatch.setattr(keeping, "LINE_BYTES_MAX", 1000)
    (tmp_path / "endless").write_bytes(b"x" * 1002)
    _, err = said(capsys, "import", tmp_path / "endless", "--log", tmp_path / "l", code=65)
    assert "its line is longer than 1000 bytes" in err


def test_a_damaged_file_is_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first bad record is named, for people and for programs, and the exit code is 65."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("UPDATE records SET text = replace(text, ':1', ':2') WHERE position IN (12, 40)")
    out, err = said(capsys, "verify", "--log", path, code=65)
    assert (out, err.splitlines()[0]) == ([], "error[TZ-2204]: the event log is corrupt")
    assert "record 12 was altered" in err
    [error] = objects(said(capsys, "verify", "--log", path, "--json", code=65)[0])
    assert error["exit_code"] == 65
    assert "record 12 was altered" in error["cause"]


@pytest.mark.parametrize("content", [b"", b"this is no log" * 1000])
def test_what_is_no_log_is_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By every verb, with 65."""
    (tmp_path / "log.sqlite3").write_bytes(content)
    for verb in (["verify"], ["show"], ["export"], ["state"], ["what-ran"], ["story", "build/b"]):
        said(capsys, *verb, "--log", tmp_path / "log.sqlite3", code=65)


def test_a_log_is_read_while_it_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each reading is of a whole log up to some record, and holds up no writer."""
    path = tmp_path / "log.sqlite3"
    with closing(SqliteLog(path)) as writer:
        for count in range(1, 6):
            writer.append([Record(Position(count), 1.0, TimePassed())])
            assert said(capsys, "verify", "--log", path)[0][0].startswith(f"ok: {count} record")
            assert len(said(capsys, "export", "--log", path)[0]) == count
            assert len(said(capsys, "show", "--log", path)[0]) == count


def test_records_that_come_during_an_audit_do_not_prolong_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coordinator may write faster than anyone can check."""
    path = tmp_path / "log.sqlite3"
    with closing(SqliteLog(path)) as writer:
        writer.append([Record(Position(1), 1.0, TimePassed())])
        places: Iterator[int] = iter(range(2, 1000))
        read = SqliteReader.read

        def reading(*args: object) -> object:
            page = read(*args)  # type: ignore[arg-type]  # as it was called
            writer.append([Record(Position(next(places)), 1.0, TimePassed())])
            return page

        monkeypatch.setattr(SqliteReader, "read", reading)
        assert said(capsys, "verify", "--log", path)[0][0].startswith("ok: 1 record,")
