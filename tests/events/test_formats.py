"""A log that was begun in an older format: it is read as if it were of today's, and stays as it is."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve

from events import codec
from events.catalog import CoordinatorStarted, HeartbeatReceived, JobReleased, Record, TimePassed
from events.codec import decode, encode
from events.fold import replay
from events.hindsight.audit import audit_file
from events.ids import BEGINNING, Position
from events.log import CorruptLog, LogFromTheFuture, MemoryLog, Subject, read_all, read_records
from events.query import MOVING, Query, Scanned
from events.sqlite import SqliteLog, SqliteReader
from events.transfer import dump, load
from tests.events.formats import as_of_old, begin_second_format, chained
from tests.events.story import BUILD, in_order
from tests.golden.scenarios import HERE

TEXTS = (HERE / "workers_are_lost_and_artifacts_with_them.jsonl").read_bytes().splitlines()
RECORDS = [decode(text) for text in TEXTS]
LINES = chained([as_of_old(text) for text in TEXTS])
HEAD = len(TEXTS)
BEAT = next(record.position for record in RECORDS if isinstance(record.event, HeartbeatReceived))
STARTED = RECORDS[0].event


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log as an older version left it, opened by one that knows another format."""
    begin_second_format(monkeypatch)
    path = tmp_path / "log.sqlite3"
    with closing(SqliteLog(path)) as log:
        log.copy(list(load(LINES)))
    return path


@pytest.fixture
def reader(path: Path) -> Iterator[SqliteReader]:
    with closing(SqliteReader(path)) as reader:
        yield reader


def more() -> list[Record]:
    """What a newer coordinator appends."""
    assert isinstance(STARTED, CoordinatorStarted)
    at = RECORDS[-1].at + 1
    return [
        Record(Position(HEAD + 1), at, evolve(STARTED, epoch=3, version="9")),
        Record(Position(HEAD + 2), at, TimePassed()),
    ]


def go_on(path: Path) -> None:
    with closing(SqliteLog(path)) as log:
        log.append(more())


def test_the_older_format_really_is_another() -> None:
    """Else these tests would show nothing."""
    kinds = {type(record.event) for record in RECORDS}
    assert {JobReleased, HeartbeatReceived} <= kinds
    assert b"JobGivenBack" in b"".join(LINES)
    with pytest.raises(CorruptLog, match="missing required field `slots_free`"):
        list(load(LINES))


def test_lines_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record is what it means today, its text and hash what they were."""
    begin_second_format(monkeypatch)
    entries = list(load(LINES))
    assert [entry.record for entry in entries] == RECORDS
    assert [dump(entry) for entry in entries] == LINES
    assert [entry.line for entry in entries] == [encode(record) for record in RECORDS]


def test_a_file_is_read_in_every_way(reader: SqliteReader) -> None:
    """All records, one build's, some that are looked for, and what they add up to."""
    assert [entry.record for entry in read_all(reader)] == RECORDS
    assert list(read_records(reader)) == RECORDS
    assert [dump(entry) for entry in read_all(reader)] == LINES
    of_build = [record for record in RECORDS if getattr(record.event, "build", "") == BUILD]
    assert [entry.record for entry in reader.read(BEGINNING, Subject.build(BUILD))] == of_build
    assert in_order(audit_file(reader).state) == in_order(replay(RECORDS))


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("after", [0, 7, HEAD - 1, HEAD, HEAD + 1])
def test_whoever_looks_for_something_finds_it(path: Path, after: int, newest_first: bool) -> None:
    """By today's names, on both sides of the place where the format changes."""
    go_on(path)
    plain = MemoryLog()
    plain.append([*RECORDS, *more()])
    with closing(SqliteReader(path)) as reader:
        for types in ((), ("JobReleased",), MOVING, ("CoordinatorStarted",)):
            for limit in (1, 3, 1000):
                query = Query(
                    upto=Position(HEAD + 2), after=Position(after), types=types, newest_first=newest_first
                )
                query = evolve(query, limit=limit)
                assert reader.search(query) == Scanned(plain).search(query)
        for upto in (Position(9), Position(HEAD), Position(HEAD + 2)):
            assert reader.moves(BUILD, upto) == Scanned(plain).moves(BUILD, upto)


def test_a_newer_version_goes_on(path: Path, tmp_path: Path) -> None:
    """What was there stays byte for byte; what is added says in which format it is."""
    go_on(path)
    with closing(SqliteReader(path)) as reader:
        lines = [dump(entry) for entry in read_all(reader)]
        assert lines[:HEAD] == LINES
        assert lines[HEAD].partition(b',"chain"')[0].endswith(b',"format":2')
        assert b'"format"' not in lines[HEAD + 1]
        assert list(read_records(reader)) == [*RECORDS, *more()]
        assert [entry.record for entry in reader.read(Position(HEAD - 1))] == [RECORDS[-1], *more()]
        assert audit_file(reader).records == HEAD + 2
    copy = tmp_path / "copy.sqlite3"
    with closing(SqliteLog(copy)) as log:
        log.copy(list(load(lines)))
        assert [dump(entry) for entry in read_all(log)] == lines
        log.append([Record(Position(HEAD + 3), 2e9, TimePassed())])
    with closing(SqliteReader(copy)) as reader:
        assert audit_file(reader).records == HEAD + 3


def test_a_log_begun_today_says_so_with_its_first_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever that is; so its lines can be read by themselves."""
    begin_second_format(monkeypatch)
    path = tmp_path / "log.sqlite3"
    with closing(SqliteLog(path)) as log:
        log.append([Record(Position(1), 1.0, TimePassed()), Record(Position(2), 1.0, TimePassed())])
        lines = [dump(entry) for entry in read_all(log)]
    assert lines[0].startswith(b'{"position":1,"at":1.0,"type":"TimePassed","format":2,"chain"')
    assert not any(entry.is_old for entry in load(lines))
    with closing(SqliteReader(path)) as reader:
        assert audit_file(reader).records == 2


def test_no_format_begins_unsaid(path: Path) -> None:
    """Only the start of a coordinator can begin one: its text says so, in every export."""
    with (
        closing(SqliteLog(path)) as log,
        pytest.raises(AssertionError, match="cannot begin another format"),
    ):
        log.append([Record(Position(HEAD + 1), 2e9, TimePassed())])


def test_the_older_version_stays_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as there is something that it cannot read, it says what to do and changes nothing."""
    go_on(path)
    with closing(SqliteReader(path)) as reader:
        lines = [dump(entry) for entry in read_all(reader)]
    before = path.read_bytes()
    monkeypatch.undo()
    for opens in (SqliteLog, SqliteReader):
        with pytest.raises(LogFromTheFuture, match="has format 2, the newest known here is 1: upgrade"):
            opens(path)
    with pytest.raises(LogFromTheFuture, match=f"record {HEAD + 1} has format 2"):
        list(load([*TEXTS, *without_hashes(lines[HEAD:])]))
    assert path.read_bytes() == before


def without_hashes(lines: list[bytes]) -> list[bytes]:
    return [line.partition(b',"chain"')[0] + b"}" for line in lines]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DELETE FROM meta", "is not in the format that the log says"),
        ("UPDATE meta SET value = '9'", f"record {BEAT} is unreadable"),
        (f"UPDATE meta SET value = '{HEAD + 2}'", "is not in the format that the log says"),
        ("UPDATE meta SET value = 'x'", "formats is damaged"),
        ("UPDATE meta SET key = 'format 3'", "the log has format 3"),
        ("INSERT INTO meta VALUES('format 1', '5')", "the log says of its formats"),
        ("INSERT INTO meta VALUES('format 0', '99')", "do not follow each other"),
        ("UPDATE records SET type = 'JobReleased' WHERE type = 'JobGivenBack'", "not indexed as what its"),
        ("UPDATE records SET at = 5.0 WHERE position = 9", "not indexed as what its text says"),
        ("UPDATE records SET worker = 'x' WHERE position = 9", "is not found by its subject"),
        (f"UPDATE records SET text = replace(text, 'free', 'room') WHERE position = {BEAT}", f"{BEAT}"),
        (
            f"UPDATE records SET text = replace(text, 'free\":', 'free\":1') WHERE position = {BEAT}",
            f"{BEAT}",
        ),
    ],
)
def test_what_was_altered_is_found(path: Path, sql: str, words: str) -> None:
    """In the records of the older format, and in what the log says of its formats."""
    go_on(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()
    with closing(SqliteReader(path)) as reader, pytest.raises((CorruptLog, LogFromTheFuture), match=words):
        audit_file(reader)


def test_a_field_of_a_newer_version_is_no_damage(tmp_path: Path) -> None:
    """New fields are no new format; who does not know one says so, instead of calling the record altered."""
    text = b'{"position":1,"at":1.0,"type":"TimePassed","moon":"full"}'
    with pytest.raises(LogFromTheFuture, match=r"record 1 says \['moon'\], from a newer version: upgrade"):
        list(load(chained([text])))
    with pytest.raises(CorruptLog, match="record 1 was altered"):
        list(load(chained([text.replace(b',"moon"', b', "moon"').replace(b'"moon":"full"', b'"at":1.0')])))


def test_today_is_as_it_was() -> None:
    """Format 1 has no marks."""
    assert codec.FORMAT > 1 or not any(b'"format"' in encode(record) for record in RECORDS)
