"""A coordinator of a newer version takes over a log in an older format, and whoever watches sees one log."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from clients.cli.root import run
from events.codec import decode, encode
from events.hindsight.audit import audit_file
from events.log import LogFromTheFuture, read_all
from events.sqlite import SqliteLog, SqliteReader
from events.transfer import dump, load
from tests.coordinator.live import running
from tests.events.formats import as_of_old, begin_second_format, chained
from tests.golden.scenarios import HERE

TEXTS = (HERE / "workers_are_lost_and_artifacts_with_them.jsonl").read_bytes().splitlines()
LINES = chained([as_of_old(text) for text in TEXTS])
BUILD = f"{1:040x}"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of an older version, before the eyes of a newer one."""
    begin_second_format(monkeypatch)
    with closing(SqliteLog(tmp_path / "log.sqlite3")) as log:
        log.copy(list(load(LINES)))
    return tmp_path


async def test_a_newer_coordinator_takes_an_older_log_over(data: Path) -> None:
    """Streams and looks into the past speak today's words; the log keeps the old ones."""
    async with running(data) as live:
        await live.post(f"/api/builds/{BUILD}/cancel")
        reply = await live.call("GET", f"/api/builds/{BUILD}/events?after=0")
        assert reply.headers["terzetto-format"] == "2"
        told = [json.loads(line) for line in reply.body.splitlines()]
        assert "JobReleased" in {each["type"] for each in told}
        assert all(encode(decode(line)) == line for line in reply.body.splitlines())
        assert (await live.get(f"/api/builds/{BUILD}?at=9"))["position"] == 9
    with closing(SqliteReader(data / "log.sqlite3")) as reader:
        assert audit_file(reader).records > len(LINES) + 1
        lines = [dump(entry) for entry in read_all(reader)]
    assert lines[: len(LINES)] == LINES
    assert b'"type":"CoordinatorStarted"' in lines[len(LINES)]
    assert b',"format":2,"chain"' in lines[len(LINES)]


async def test_an_older_coordinator_leaves_a_newer_log_alone(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to do."""
    async with running(data):
        pass
    monkeypatch.undo()
    with pytest.RaisesGroup(LogFromTheFuture, flatten_subgroups=True, allow_unwrapped=True):
        async with running(data):
            raise AssertionError("it must not start")


def test_tools_of_an_older_version_say_so_too(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    """Whether they are given the file or its lines; the newer ones turn the one into the other and back."""
    path, copy = data / "log.sqlite3", tmp_path / "copy.sqlite3"
    with closing(SqliteLog(path)) as log:
        started = json.loads(TEXTS[0]) | {"position": len(LINES) + 1, "at": 2e9}
        log.append([decode(json.dumps(started).encode(), 1)])
    assert run(["log", "export", "--log", str(path)]) == 0
    lines, _ = capsysbinary.readouterr()
    assert lines.splitlines()[:-1] == LINES
    (tmp_path / "log.jsonl").write_bytes(lines)
    assert run(["log", "import", str(tmp_path / "log.jsonl"), "--log", str(copy)]) == 0
    assert run(["log", "verify", "--log", str(copy)]) == 0
    capsysbinary.readouterr()
    assert run(["log", "export", "--log", str(copy)]) == 0
    assert capsysbinary.readouterr().out == lines
    monkeypatch.undo()
    for verb in ("verify", "state", "show", "export"):
        assert run(["log", verb, "--log", str(path)]) == 65
        assert b"format 2, the newest known here is 1: upgrade" in capsysbinary.readouterr().err
    (tmp_path / "new.jsonl").write_bytes(b"\n".join(TEXTS) + b"\n" + _bare(lines.splitlines()[-1]))
    assert run(["log", "import", str(tmp_path / "new.jsonl"), "--log", str(tmp_path / "no.sqlite3")]) == 65
    assert b"format 2" in capsysbinary.readouterr().err


def _bare(line: bytes) -> bytes:
    return line.partition(b',"chain"')[0] + b"}\n"
