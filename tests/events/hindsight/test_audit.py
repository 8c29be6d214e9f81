"""An audit finds whatever happened to a log, and names the first record to which it did."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from events.catalog import BuildForgotten, Record, TimePassed
from events.codec import decode
from events.hindsight.audit import audit, audit_file
from events.ids import BEGINNING, BuildId, Position
from events.log import CorruptLog, Entry, LogError, LogFromTheFuture, MemoryLog, Subject, read_all, subjects
from events.sqlite import SqliteLog, SqliteReader
from tests.golden.scenarios import HERE

LOGS = sorted(HERE.glob("*.jsonl"))
FLIPS = 400


def records(path: Path) -> list[Record]:
    return [decode(line) for line in path.read_bytes().splitlines()]


def file_of(path: Path, golden: Path = LOGS[0]) -> Path:
    with closing(SqliteLog(path)) as log:
        log.append(records(golden))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return file_of(tmp_path / "log.sqlite3")


def alter(path: Path, sql: str) -> None:
    """What somebody does to the file who has an SQLite at hand."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(sql)


def audited(path: Path) -> Any:
    with closing(SqliteReader(path)) as reader:
        return audit_file(reader)


@pytest.mark.parametrize("golden", LOGS, ids=lambda path: str(path.stem))
def test_a_log_as_it_was_written_is_well(golden: Path, tmp_path: Path) -> None:
    """In its file or in memory, and both say the same."""
    memory = MemoryLog()
    memory.append(records(golden))
    found = audit(read_all(memory))
    assert found.records == memory.head()
    assert found.chain == memory.read()[-1].chain
    assert audited(file_of(tmp_path / "log.sqlite3", golden)) == found


def test_an_empty_log_is_well(tmp_path: Path) -> None:
    SqliteLog(tmp_path / "log.sqlite3").close()
    assert audited(tmp_path / "log.sqlite3").records == 0


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("UPDATE records SET text = replace(text, ':1', ':2') WHERE position = 9", "record 9 was altered"),
        ("UPDATE records SET text = 'x' WHERE position = 9", "record 9 is unreadable"),
        ("UPDATE records SET chain = zeroblob(32) WHERE position = 9", "record 9 was altered"),
        ("UPDATE records SET at = at - 1 WHERE position = 9", "record 9 was altered"),
        ("UPDATE records SET type = 'JobAddeD' WHERE position = 9", "record 9 is unreadable"),
        ("UPDATE records SET type = 'TimePassed' WHERE position = 9", "record 9 was altered"),
        ("UPDATE records SET build = 'b' WHERE position = 9", "record 9 was altered: it is not found"),
        ("UPDATE records SET worker = 'b' WHERE position = 9", "record 9 was altered: it is not found"),
        ("DELETE FROM records WHERE position = 9", "record 9 is missing: 10 stands"),
        ("DELETE FROM records WHERE position = 1", "record 1 is missing"),
        ("UPDATE records SET position = -9 WHERE position = 9", "record 9 is missing"),
        ("DROP TABLE records", "no such table"),
        ("PRAGMA user_version = 0", "is no event log"),
    ],
)
def test_what_was_done_with_sql_is_found(path: Path, sql: str, complaint: str) -> None:
    """The first bad record is named, though a later one cannot even be read; and nothing was changed."""
    if "position = 9" in sql:
        alter(path, "UPDATE records SET text = 'y' WHERE position = 20")
    alter(path, sql)
    before = path.read_bytes()
    with pytest.raises(CorruptLog, match=complaint):
        audited(path)
    assert path.read_bytes() == before


def test_a_record_that_does_not_follow_is_found() -> None:
    """Each by itself is a record, the chain is whole; yet it cannot have happened."""
    log = MemoryLog()
    log.append([Record(Position(1), 1.0, TimePassed())])
    log.append([Record(Position(2), 1.0, BuildForgotten(build=BuildId("b")))])
    with pytest.raises(CorruptLog, match="record 2 cannot follow: KeyError"):
        audit(read_all(log))


def test_time_does_not_fall() -> None:
    log = MemoryLog()
    log.append([Record(Position(1), 2.0, TimePassed()), Record(Position(2), 1.0, TimePassed())])
    with pytest.raises(CorruptLog, match="record 2 is earlier"):
        audit(read_all(log))


def test_half_a_command_is_found() -> None:
    """A log that ends between a cause and its consequences was cut."""
    history = records(HERE / "two_builds_share_and_reuse.jsonl")
    cut = next(n for n, record in enumerate(history, 1) if type(record.event).__name__ == "BuildStarted")
    log = MemoryLog()
    log.append(history[:cut])
    with pytest.raises(CorruptLog, match=f"up to record {cut} the log contradicts itself"):
        audit(read_all(log))


def test_a_newer_version_is_no_damage(path: Path) -> None:
    """Found only after what stands before it was found to be well."""
    sql = 'UPDATE records SET type = \'Later\', text = \'{"position":9,"at":1.0,"type":"Later"}\''
    alter(path, f"{sql} WHERE position = 9")
    with pytest.raises(LogFromTheFuture, match="Later"):
        audited(path)
    alter(path, "UPDATE records SET chain = zeroblob(32) WHERE position = 8")
    with pytest.raises(CorruptLog, match="record 8 was altered"):
        audited(path)


def everything(path: Path) -> tuple[Position, list[Entry], list[list[Entry]]]:
    """All that readers can ask of a log."""
    with closing(SqliteReader(path)) as reader:
        entries = reader.read()
        about = [subjects(entry.record) for entry in entries]
        builds = [Subject("build", id_) for id_ in sorted({build for build, _ in about if build})]
        workers = [Subject("worker", id_) for id_ in sorted({worker for _, worker in about if worker})]
        later = [reader.read(Position(after), None, 1) for after in range(0, len(entries), 7)]
        found = [reader.read(BEGINNING, subject) for subject in (*builds, *workers)]
        return reader.head(), entries, found + later


def flips(size: int) -> Iterator[tuple[int, int]]:
    """Bits all over the file, a fourth of them in SQLite's own header and schema."""
    chance = random.Random(17)
    for number in range(FLIPS):
        yield chance.randrange(size if number % 4 else 700), 1 << chance.randrange(8)


def test_a_flipped_bit_is_found_or_means_nothing(path: Path, tmp_path: Path) -> None:
    """Either the audit refuses the file, or every read of it says what it said before."""
    whole, truth = path.read_bytes(), everything(path)
    harmless = 0
    for number, (place, bit) in enumerate(flips(len(whole))):
        flipped = bytearray(whole)
        flipped[place] ^= bit
        copy = tmp_path / f"{number}.sqlite3"
        copy.write_bytes(flipped)
        try:
            audited(copy)
        except LogError:
            continue
        assert everything(copy) == truth, f"bit {bit} of byte {place}"
        harmless += 1
    assert 0 < harmless < FLIPS
