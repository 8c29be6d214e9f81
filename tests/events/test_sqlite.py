"""The log on disk: durable when it says so, one writer, and every fault told for what it is."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from events import sqlite
from events.catalog import Record, SourceDropped, TimePassed
from events.codec import FORMAT
from events.ids import Position, SourceId
from events.log import (
    CorruptLog,
    LogError,
    LogFromTheFuture,
    LogFull,
    LogLocked,
    read_all,
    read_records,
    verify,
)
from events.sqlite import SqliteLog, SqliteReader


def record(place: int, size: int = 0) -> Record:
    event = SourceDropped(source=SourceId("s"), reason="x" * size) if size else TimePassed()
    return Record(Position(place), float(place), event)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite3"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteLog]:
    opened = SqliteLog(path)
    yield opened
    opened.close()


def alter(path: Path, sql: str) -> None:
    """What somebody does to the file who has an SQLite at hand."""
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()


# --- durable on return


class Witness(apsw.VFS):
    """SQLite's own file system, watched."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.fault: Callable[[str, str], None] = lambda _what, _name: None
        super().__init__("witness", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> "WatchedFile":  # noqa: N802  # SQLite's name
        return WatchedFile(self, name, flags)

    def saw(self, what: str, name: str) -> None:
        self.fault(what, name)
        self.seen.append((what, name))


class WatchedFile(apsw.VFSFile):
    def __init__(self, witness: Witness, name: Any, flags: list[int]) -> None:
        self._witness = witness
        self._suffix = (name.filename() if isinstance(name, apsw.URIFilename) else name).rpartition(
            "log.sqlite3"
        )[2]
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # SQLite's name
        self._witness.saw("write", self._suffix)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's name
        self._witness.saw("sync", self._suffix)
        super().xSync(flags)


@pytest.fixture
def witness() -> Iterator[Witness]:
    watching = Witness()
    yield watching
    watching.unregister()


def test_append_returns_after_the_fsync(witness: Witness, path: Path) -> None:
    """The write-ahead log is synced after the last write to it, once for the whole batch."""
    log = SqliteLog(path)
    witness.seen.clear()
    log.append([record(place, 500) for place in range(1, 50)])
    assert witness.seen[-1] == ("sync", "-wal")
    assert witness.seen.count(("sync", "-wal")) == 1
    assert {name for _, name in witness.seen} == {"-wal"}
    log.close()


def test_a_failing_fsync_is_an_error_of_unknown_outcome(witness: Witness, path: Path) -> None:
    """It is no full disk: whoever appended must not go on."""

    def fail(what: str, name: str) -> None:
        if (what, name) == ("sync", "-wal"):
            raise apsw.IOError("injected")

    log = SqliteLog(path)
    log.append([record(1)])
    witness.fault = fail
    with pytest.raises(LogError) as caught:
        log.append([record(2)])
    assert not isinstance(caught.value, LogFull)
    witness.fault = lambda _what, _name: None
    log.close()


def test_a_disk_that_failed_is_not_asked_again(witness: Witness, path: Path) -> None:
    """Not even by SQLite, which would sync and empty the write-ahead log as it closes it."""

    def fail(what: str, name: str) -> None:
        if (what, name) == ("sync", "-wal"):
            raise apsw.IOError("injected")

    log = SqliteLog(path)
    log.append([record(1)])
    witness.fault = fail
    with pytest.raises(LogError):
        log.append([record(2)])
    witness.seen.clear()
    witness.fault = lambda _what, _name: None
    log.close()
    assert witness.seen == []
    again = SqliteLog(path)
    verify(read_all(again))
    assert again.head() in (1, 2)
    again.close()


def test_a_directory_for_the_log_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each new one's name is synced where it stands."""
    synced = list[Path]()

    def fsync(file: int) -> None:
        synced.append(Path(f"/proc/self/fd/{file}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    SqliteLog(tmp_path / "new" / "newer" / "log.sqlite3").close()
    assert synced == [tmp_path, tmp_path / "new"]
    SqliteLog(tmp_path / "new" / "newer" / "log.sqlite3").close()
    assert len(synced) == 2


def test_a_full_disk_under_the_file(witness: Witness, path: Path) -> None:
    """Nothing of the batch is stored; with room again, the very next append succeeds."""

    def fail(what: str, name: str) -> None:
        if what == "write":
            raise apsw.FullError("injected")

    log = SqliteLog(path)
    log.append([record(1)])
    witness.fault = fail
    for _ in range(3):
        with pytest.raises(LogFull, match="no space left for"):
            log.append([record(2), record(3)])
        assert log.head() == 1
    witness.fault = lambda _what, _name: None
    log.append([record(2)])
    assert [entry.record for entry in log.read()] == [record(1), record(2)]
    verify(read_all(log))
    log.close()


def test_a_file_that_may_not_grow(log: SqliteLog) -> None:
    """As on a full disk: nothing stored, reads go on, and so do writes when there is room."""
    log.append([record(1)])
    connection = log._connection
    pages = connection.pragma("page_count")
    connection.pragma("max_page_count", pages)
    with pytest.raises(LogFull):
        log.append([record(place, 3000) for place in range(2, 20)])
    assert [entry.record for entry in log.read()] == [record(1)]
    connection.pragma("max_page_count", pages + 1000)
    log.append([record(place, 3000) for place in range(2, 20)])
    assert log.head() == 19
    verify(read_all(log))


def test_what_was_appended_survives_kill(path: Path) -> None:
    """A process that is killed right after `append` returned has lost nothing."""
    script = (
        "import os, signal, sys; from pathlib import Path; from events.sqlite import SqliteLog;"
        "from events.catalog import Record, TimePassed; log = SqliteLog(Path(sys.argv[1]));"
        "log.append([Record(1, 1.0, TimePassed())]); log.append([Record(2, 2.0, TimePassed())]);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=30)
    assert killed.returncode == -9
    log = SqliteLog(path)
    assert [entry.record for entry in log.read()] == [record(1), record(2)]
    log.append([record(3)])
    log.close()


# --- one writer


def test_a_second_writer_learns_who_is_first(log: SqliteLog, path: Path) -> None:
    """It is refused at once, and may come when the first has gone."""
    with pytest.raises(LogLocked, match=f"{path} is held by process {os.getpid()} on {socket.gethostname()}"):
        SqliteLog(path)
    log.close()
    second = SqliteLog(path)
    second.close()


def test_a_writer_in_another_process_holds_the_log_too(path: Path) -> None:
    """And lets go of it however it ends."""
    script = (
        "import sys; from pathlib import Path; from events.sqlite import SqliteLog;"
        "log = SqliteLog(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LogLocked, match=f"process {other.pid} on"):
            SqliteLog(path)
        other.kill()
    SqliteLog(path).close()


def test_a_failed_start_lets_go_of_the_lock(path: Path) -> None:
    """Who mends the file can start at once."""
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(CorruptLog):
        SqliteLog(path)
    path.unlink()
    SqliteLog(path).close()


def test_a_writer_past_the_lock_is_found_out(log: SqliteLog, path: Path) -> None:
    """If the lock does not work (some network disks), positions clash, and the later writer stops."""
    log.append([record(1)])
    alter(path, "INSERT INTO records SELECT 2, at, type, build, worker, text, chain FROM records")
    with pytest.raises(LogLocked, match="is written by another process too"):
        log.append([record(2)])


def test_a_writer_that_slept_fills_no_gap(log: SqliteLog, path: Path) -> None:
    """Where another one, past the lock, has written more and let go of some of it since."""
    log.append([record(1)])
    for position in (2, 3):
        columns = "at, type, build, worker, text, chain"
        alter(path, f"INSERT INTO records SELECT {position}, {columns} FROM records WHERE position = 1")
    alter(path, "DELETE FROM records WHERE position = 2")
    with pytest.raises(LogLocked, match="is written by another process too"):
        log.append([record(2)])


def test_closing_twice_is_closing_once(path: Path) -> None:
    """The second time closes nobody else's file."""
    log = SqliteLog(path)
    log.close()
    innocent = os.open(path, os.O_RDONLY)
    log.close()
    os.close(innocent)


# --- readers


def test_a_reader_looks_on_while_the_writer_writes(log: SqliteLog, path: Path) -> None:
    """Each read sees what is durable by then."""
    reader = SqliteReader(path)
    assert (reader.head(), reader.read()) == (0, [])
    log.append([record(1)])
    assert (reader.head(), [entry.record for entry in reader.read()]) == (1, [record(1)])
    log.append([record(2)])
    assert reader.head() == 2
    reader.close()


def test_a_reader_needs_no_writer(path: Path) -> None:
    """Tools read the log of a coordinator that has stopped, and change nothing."""
    log = SqliteLog(path)
    log.append([record(1)])
    log.close()
    before = path.read_bytes()
    reader = SqliteReader(path)
    assert [entry.record for entry in reader.read()] == [record(1)]
    reader.close()
    assert path.read_bytes() == before


def test_a_reader_makes_no_log(path: Path) -> None:
    """A wrong path is an error, not an empty log."""
    with pytest.raises(LogError, match="there is no log at"):
        SqliteReader(path)
    assert not path.exists()


# --- faults


def test_a_newer_format_is_left_alone(log: SqliteLog, path: Path) -> None:
    """The text says what to do; the file is not touched."""
    log.close()
    alter(path, f"PRAGMA user_version={FORMAT + 1}")
    before = path.read_bytes()
    for opener in (SqliteLog, SqliteReader):
        with pytest.raises(
            LogFromTheFuture, match=f"format {FORMAT + 1}, the newest known here is {FORMAT}: upgrade"
        ):
            opener(path)
    assert path.read_bytes() == before


def test_an_unknown_type_is_from_the_future(log: SqliteLog, path: Path) -> None:
    """Written by a version that knows more."""
    log.append([record(1)])
    alter(
        path, "UPDATE records SET type = 'JobTeleported', text = replace(text, 'TimePassed', 'JobTeleported')"
    )
    with pytest.raises(LogFromTheFuture, match="JobTeleported"):
        log.read()


def test_an_unknown_type_that_its_text_does_not_know_is_damage(log: SqliteLog, path: Path) -> None:
    """Upgrading would not help."""
    log.append([record(1)])
    alter(path, "UPDATE records SET type = 'TimePasseD'")
    with pytest.raises(CorruptLog, match="record 1 was altered"):
        log.read()


def test_a_file_that_is_no_database(path: Path) -> None:
    """It is told, and left as it is."""
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(CorruptLog, match="not a database"):
        SqliteLog(path)
    assert path.read_bytes() == b"not a database" * 1000


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE records SET text = '{}' WHERE position = 2", "record 2 was altered"),
        (
            "UPDATE records SET text = replace(text, 'xxxxx', 'xxyxx') WHERE position = 2",
            "record 2 was altered",
        ),
        ("UPDATE records SET chain = zeroblob(32) WHERE position = 1", "record 1 was altered"),
        ("DELETE FROM records WHERE position = 2", "record 2 is missing: 3 stands in its place"),
        ("UPDATE records SET type = 'JobTaught' WHERE position = 2", "unknown type 'JobTaught'"),
        ("UPDATE records SET text = CAST(x'ff' AS TEXT) WHERE position = 2", "utf-8"),
    ],
)
def test_a_replay_stops_at_a_bad_record(log: SqliteLog, path: Path, sql: str, words: str) -> None:
    """It takes a shorter way than reading does, and is as strict about what it meets there."""
    log.append([record(place, 5) for place in range(1, 4)])
    alter(path, sql)
    with pytest.raises(LogError, match=words):
        list(read_records(log))


def test_a_damaged_page(path: Path) -> None:
    """Somewhere in the middle of the file."""
    log = SqliteLog(path)
    log.append([record(place, 500) for place in range(1, 200)])
    log.close()
    with path.open("r+b") as file:
        file.seek(4096 * 6)
        file.write(b"\xff" * 4096 * 8)
    log = SqliteLog(path)
    with pytest.raises(CorruptLog):
        verify(read_all(log))
    log.close()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE records SET text = replace(text, 'xxx', 'yyy') WHERE position = 2", "record 2 was altered"),
        ("UPDATE records SET at = at + 1 WHERE position = 2", "record 2 was altered"),
        ("UPDATE records SET chain = zeroblob(32) WHERE position = 2", "record 2 was altered"),
        ("DELETE FROM records WHERE position = 2", "record 2 is missing: 3 stands in its place"),
        ("DELETE FROM records WHERE position = 1", "record 1 is missing: 2 stands in its place"),
        (
            "UPDATE records SET position = -position WHERE position IN (2, 3);"
            "UPDATE records SET position = 5 + position WHERE position < 0",
            "record 2 was altered",
        ),
        ("UPDATE records SET text = '{}' WHERE position = 2", "record 2 .*cannot be read"),
        ("UPDATE records SET text = 'nonsense' WHERE position = 2", "record 2 .*cannot be read"),
        ("UPDATE records SET text = CAST(x'ff' AS TEXT) WHERE position = 2", "utf-8"),
    ],
)
def test_verify_finds_what_was_done_to_the_file(log: SqliteLog, path: Path, sql: str, words: str) -> None:
    """Altered, removed, swapped or unreadable: the first bad record is named."""
    log.append([record(place, 5) for place in range(1, 5)])
    verify(read_all(log))
    alter(path, sql)
    with pytest.raises(CorruptLog, match=words):
        verify(read_all(log))


def test_an_open_log_goes_on_where_it_stopped(path: Path) -> None:
    """The chain spans processes."""
    for place in (1, 2, 3):
        log = SqliteLog(path)
        assert log.head() == place - 1
        log.append([record(place)])
        log.close()
    log = SqliteLog(path)
    verify(read_all(log))
    assert log.head() == 3
    log.close()


def append_singly(log: SqliteLog, first: int, end: int) -> None:
    """A page or so each."""
    for place in range(first, end):
        log.append([record(place, 3000)])


def test_a_checkpoint_is_durable_too(witness: Witness, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What leaves the write-ahead log for the file is synced there before the former is used anew."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", 4)
    log = SqliteLog(path)
    witness.seen.clear()
    append_singly(log, 1, 20)
    written = [place for place, seen in enumerate(witness.seen) if seen == ("write", "")]
    synced = [place for place, seen in enumerate(witness.seen) if seen == ("sync", "")]
    assert written
    assert synced[-1] > written[-1]
    assert written[0] < len(witness.seen) - 100  # again and again, not as it was closed
    verify(read_all(log))
    log.close()


@pytest.mark.parametrize("what", ["write", "sync"])
def test_a_checkpoint_that_fails_is_a_failing_disk(
    witness: Witness, path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Though the batch itself is in the write-ahead log: who cannot sync one file can trust no other."""

    def fail(did: str, name: str) -> None:
        if (did, name) == (what, ""):
            raise apsw.IOError("injected")

    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", 4)
    log = SqliteLog(path)
    witness.fault = fail
    with pytest.raises(LogError) as caught:
        append_singly(log, 1, 20)
    assert not isinstance(caught.value, LogFull)
    witness.fault = lambda _what, _name: None
    log.close()
    again = SqliteLog(path)
    verify(read_all(again))
    assert again.head() == log.head() > 0
    again.close()


def test_a_checkpoint_without_room_is_put_off(
    witness: Witness, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was appended is durable where it is, so nobody is refused."""

    def fail(did: str, name: str) -> None:
        if (did, name) == ("write", ""):
            raise apsw.FullError("injected")

    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", 4)
    log = SqliteLog(path)
    witness.seen.clear()
    witness.fault = fail
    append_singly(log, 1, 20)
    assert ("write", "") not in witness.seen
    witness.fault = lambda _what, _name: None
    append_singly(log, 20, 30)
    assert ("write", "") in witness.seen
    verify(read_all(log))
    log.close()
