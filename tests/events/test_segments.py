"""The archive: with it a log reads as it did, in every way; and whatever is wrong with it is found."""

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve

from events import segments, sqlite
from events.catalog import HeartbeatReceived, Record, TimePassed
from events.codec import decode
from events.digest import digest
from events.fold import replay
from events.hindsight.audit import audit_file
from events.ids import BEGINNING, BuildId, Position, WorkerId
from events.log import CorruptLog, LogLocked, MemoryLog, Subject, read_all, read_records
from events.query import MOVING, Query, Scanned
from events.restore import DIRECTORY as SNAPSHOTS
from events.restore import restore
from events.segments import DIRECTORY, cut, found, put_aside, store
from events.snapshot import write
from events.sqlite import SqliteLog, SqliteReader
from events.transfer import dump, load
from tests.events.formats import as_of_old, begin_second_format, chained
from tests.events.story import BUILD, OTHER, V, in_order
from tests.golden.scenarios import HERE

LOGS = sorted(HERE.glob("*.jsonl"))
NAME = "two_builds_share_and_reuse"
HISTORY = [decode(line) for line in (HERE / f"{NAME}.jsonl").read_bytes().splitlines()]
HEAD = len(HISTORY)
UPTO = Position(HEAD * 2 // 3)


def plain(history: list[Record] = HISTORY) -> MemoryLog:
    log = MemoryLog()
    log.append(history)
    return log


LINES = [dump(entry) for entry in read_all(plain())]


def put_away(log: SqliteLog, upto: Position, bytes_max: int = 2000) -> None:
    """Archive in small segments and let go of all that nobody knows."""
    directory = log.path.parent / DIRECTORY
    entries = [e for e in read_all(log, log.archived) if e.record.position <= upto]
    for portion in cut(entries, bytes_max):
        segments.write(directory, portion)
    log.note_archived(upto)
    list(log.pruning(restore(log, log.path.parent / SNAPSHOTS).builds))


def rows(path: Path) -> list[int]:
    """The positions in the table."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            position for (position,) in connection.execute("SELECT position FROM records ORDER BY position")
        ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of which the most is archived."""
    with closing(SqliteLog(tmp_path / "log.sqlite3")) as log:
        log.append(HISTORY)
        put_away(log, UPTO)
    return tmp_path / "log.sqlite3"


@pytest.fixture
def reader(path: Path) -> Iterator[SqliteReader]:
    with closing(SqliteReader(path)) as reader:
        yield reader


# --- one log


@pytest.mark.parametrize("golden", LOGS, ids=lambda golden: str(golden.stem))
@pytest.mark.parametrize("bytes_max", [1, 2000, 1 << 20])
def test_archive_and_table_are_one_log(golden: Path, bytes_max: int, tmp_path: Path) -> None:
    """Byte for byte, wherever it is cut; it verifies, goes on, and is archived further."""
    history = [decode(line) for line in golden.read_bytes().splitlines()]
    lines = [dump(entry) for entry in read_all(plain(history))]
    with closing(SqliteLog(tmp_path / "log.sqlite3")) as log:
        log.append(history[:-1])
        for upto in (1, len(history) // 2, len(history) - 2):
            put_away(log, Position(upto), bytes_max)
            assert [dump(entry) for entry in read_all(log)] == lines[:-1]
        log.append(history[-1:])
        assert list(read_records(log)) == history
    with closing(SqliteReader(tmp_path / "log.sqlite3")) as reader:
        assert [dump(entry) for entry in read_all(reader)] == lines
        assert in_order(audit_file(reader).state) == in_order(replay(history))
        assert [reader.chain_at(entry.record.position) for entry in read_all(plain(history))] == [
            entry.chain for entry in read_all(plain(history))
        ]
        assert reader.chain_at(Position(len(history) + 1)) == b""


def test_the_table_keeps_what_is_known(path: Path) -> None:
    """The records of the builds that State knows, and whatever is not archived; OTHER was forgotten."""
    kept = set(rows(path))
    known = set(replay(HISTORY).builds)
    assert OTHER not in known
    for record in HISTORY:
        is_known = getattr(record.event, "build", None) in known
        assert (record.position in kept) == (is_known or record.position > UPTO)


@pytest.mark.parametrize("after", [0, 5, UPTO - 1, UPTO, UPTO + 1, HEAD])
@pytest.mark.parametrize("subject", [None, Subject.build(BUILD), Subject.build(OTHER), Subject.worker(V)])
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_every_way_to_read(reader: SqliteReader, after: int, subject: Subject | None, limit: int) -> None:
    """Known builds from the table alone, the others and workers from both."""
    assert reader.read(Position(after), subject, limit) == plain().read(Position(after), subject, limit)


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("subject", [None, Subject.build(BUILD), Subject.build(OTHER), Subject.worker(V)])
def test_every_way_to_look_for_something(
    reader: SqliteReader, subject: Subject | None, newest_first: bool
) -> None:
    """What is archived is found as well."""
    scanned = Scanned(plain())
    for types in ((), ("JobLeased",), MOVING, ("CoordinatorStarted", "BuildStarted")):
        for limit in (1, 4, 1000):
            query = Query(upto=Position(HEAD), types=types, subject=subject, newest_first=newest_first)
            query = evolve(query, limit=limit)
            assert reader.search(query) == scanned.search(query)
    for build in (BUILD, OTHER):
        assert reader.moves(build, Position(HEAD)) == scanned.moves(build, Position(HEAD))


def test_a_snapshot_saves_reading_the_archive(path: Path) -> None:
    """It need not even be there, if the snapshot is of what comes after it."""
    with closing(SqliteLog(path)) as log:
        write(path.parent / SNAPSHOTS, replay(HISTORY[: HEAD - 2]), log.chain_at(Position(HEAD - 2)))
        for segment in found(path.parent / DIRECTORY):
            segment.path.unlink()
        state = restore(log, path.parent / SNAPSHOTS)
        assert digest(state) == digest(replay(HISTORY))


def test_an_older_format_may_be_archived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its texts stay as they were, and are read as they mean today."""
    begin_second_format(monkeypatch)
    texts = (HERE / "workers_are_lost_and_artifacts_with_them.jsonl").read_bytes().splitlines()
    history, lines = [decode(text, 2) for text in texts], chained([as_of_old(text) for text in texts])
    with closing(SqliteLog(tmp_path / "log.sqlite3")) as log:
        log.copy(list(load(lines)))
        log.append([history[0]._replace(position=Position(len(lines) + 1), at=2e9)])
        log.append([Record(Position(len(lines) + 2), 2e9, TimePassed())])
        put_away(log, Position(len(lines) + 1))
        assert [dump(entry) for entry in read_all(log)][: len(lines)] == lines
        assert list(read_records(log))[: len(lines)] == history
    with closing(SqliteReader(tmp_path / "log.sqlite3")) as reader:
        assert audit_file(reader).records == len(lines) + 2


# --- segments


def test_a_segment_is_an_export_that_anybody_can_read(path: Path) -> None:
    """Compressed; only its first and last line have hashes, which are half of an export's bytes."""
    lines = [
        line
        for segment in found(path.parent / DIRECTORY)
        for line in gzip.decompress(segment.path.read_bytes()).splitlines()
    ]
    assert [json.loads(line)["position"] for line in lines] == list(range(1, UPTO + 1))
    hashes = [json.loads(line)["position"] for line in lines if b'"chain"' in line]
    ends = {p for segment in found(path.parent / DIRECTORY) for p in (segment.first, segment.last)}
    assert hashes == sorted(ends)


def test_written_twice_it_is_the_same_bytes(path: Path, tmp_path: Path) -> None:
    """So a crash between two of them, or after the last, costs nothing but their making."""
    entries = list(read_all(plain()))[:20]
    one = segments.write(tmp_path / "one", entries).path.read_bytes()
    assert segments.write(tmp_path / "two", entries).path.read_bytes() == one
    assert segments.write(tmp_path / "one", entries).path.read_bytes() == one


def test_too_little_is_left_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is old: then a small segment is better than none."""
    monkeypatch.setattr(segments, "BYTES_MAX", 3000)
    directory = tmp_path / DIRECTORY
    reached = store(plain(), directory, BEGINNING, UPTO, is_partial=False)
    assert 0 < reached < UPTO
    assert store(plain(), directory, reached, UPTO, is_partial=False) == reached
    assert store(plain(), directory, reached, UPTO, is_partial=True) == UPTO
    assert found(directory)[-1].last == UPTO


def test_segments_may_overlap(path: Path) -> None:
    """As those of a process that outlived its coordinator do: each record is there once."""
    directory = path.parent / DIRECTORY
    entries = list(read_all(plain()))
    for first, last in ((1, 3), (2, UPTO - 1), (5, 6)):
        segments.write(directory, entries[first - 1 : last])
    with closing(SqliteReader(path)) as reader:
        assert [dump(entry) for entry in read_all(reader)] == LINES
        assert reader.read(Position(1), limit=3) == plain().read(Position(1), limit=3)
        audit_file(reader)


def test_what_is_in_the_way_is_put_aside(path: Path) -> None:
    """Segments of which the log does not know: of an attempt that a crash ended, say."""
    directory = path.parent / DIRECTORY
    stray = segments.write(directory, list(read_all(plain()))[UPTO : UPTO + 4])
    with closing(SqliteReader(path)) as reader:
        assert [dump(entry) for entry in read_all(reader)] == LINES
    put_aside(directory, UPTO)
    store(plain(), directory, UPTO, Position(HEAD - 1), is_partial=True)
    assert not stray.path.exists()
    assert stray.path.with_name(stray.path.name + ".unused").exists()
    with closing(SqliteLog(path)) as log:
        log.note_archived(Position(HEAD - 1))
        assert [dump(entry) for entry in read_all(log)] == LINES


# --- what can go wrong


def spoil(path: Path, change: Callable[[bytes], bytes]) -> None:
    segment = found(path.parent / DIRECTORY)[1].path
    segment.write_bytes(change(segment.read_bytes()))


def unpacked(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: gzip.compress(change(gzip.decompress(data)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-9], "is damaged"),
        (lambda data: b"", "was altered"),
        (lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:], "is damaged"),
        (
            unpacked(lambda text: text.replace(b'"at":1763770000', b'"at":1763770009', 1)),
            "was altered",
        ),
        (unpacked(lambda text: b"\n".join(text.split(b"\n")[:2] + text.split(b"\n")[3:])), "was altered"),
        (unpacked(lambda text: b"\n".join(text.split(b"\n")[:-3])), "was altered"),
        (unpacked(lambda text: b""), "was altered"),
    ],
    ids=["torn", "empty", "flipped", "altered", "shorter", "no end", "nothing"],
)
def test_a_bad_segment_is_found(path: Path, change: Callable[[bytes], bytes], words: str) -> None:
    """Whoever reads it is told, and it stays as it is; `verify` names it."""
    spoil(path, change)
    with closing(SqliteReader(path)) as reader, pytest.raises(CorruptLog, match=words):
        audit_file(reader)


def test_a_missing_segment_is_named(path: Path) -> None:
    """By the records that it has; what is beyond it can be read."""
    segment = found(path.parent / DIRECTORY)[1]
    segment.path.unlink()
    words = f"records {segment.first} to {segment.last} are archived, .* put its files back"
    with closing(SqliteReader(path)) as reader:
        with pytest.raises(CorruptLog, match=words):
            audit_file(reader)
        assert [dump(entry) for entry in reader.read(segment.last)] == LINES[segment.last :]
    with closing(SqliteLog(path)) as log, pytest.raises(CorruptLog, match=words):
        restore(log, path.parent / SNAPSHOTS)


def test_the_archive_of_another_log_is_none(tmp_path: Path) -> None:
    """The log lets go of nothing for it."""
    other = plain([record._replace(at=record.at + 1) for record in HISTORY])
    store(other, tmp_path / DIRECTORY, BEGINNING, UPTO, is_partial=True)
    with closing(SqliteLog(tmp_path / "log.sqlite3")) as log:
        log.append(HISTORY)
        with pytest.raises(CorruptLog, match="is the archive of another log"):
            log.note_archived(UPTO)
        assert log.archived == 0
        assert rows(log.path) == list(range(1, HEAD + 1))


def test_what_the_table_kept_must_be_what_was_archived(path: Path) -> None:
    """Readers of a build are given it instead."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE records SET text = replace(text, 'nightly', 'hourly!') WHERE position < 9")
        connection.commit()
    with (
        closing(SqliteReader(path)) as reader,
        pytest.raises(CorruptLog, match="not the same in the table and"),
    ):
        audit_file(reader)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8])
def test_letting_go_may_end_anywhere(tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash leaves a log that reads the same, and the next run does the rest."""
    monkeypatch.setattr(sqlite, "PRUNED_MAX", 7)
    path = tmp_path / "log.sqlite3"
    with closing(SqliteLog(path)) as log:
        log.append(HISTORY)
        store(log, tmp_path / DIRECTORY, BEGINNING, UPTO, is_partial=True)
        log.note_archived(UPTO)
        for _, _step in zip(range(steps), log.pruning(replay(HISTORY).builds), strict=False):
            pass
    with closing(SqliteReader(path)) as reader:
        assert [dump(entry) for entry in read_all(reader)] == LINES
        for subject in (Subject.build(BUILD), Subject.build(OTHER), Subject.worker(V)):
            assert reader.read(BEGINNING, subject) == plain().read(BEGINNING, subject)
        audit_file(reader)
    with closing(SqliteLog(path)) as log:
        list(log.pruning(replay(HISTORY).builds))
        assert list(log.pruning(replay(HISTORY).builds)) == []
        assert len(rows(path)) < HEAD


def test_room_is_used_again(tmp_path: Path) -> None:
    """The file does not shrink, nor does it grow as long as as much goes as comes."""
    path = tmp_path / "log.sqlite3"
    beat = HeartbeatReceived(worker=WorkerId("http://10.0.0.1:9000"), slots_free=1, strays=("x" * 500,))
    sizes = []
    with closing(SqliteLog(path)) as log:
        for round_ in range(6):
            first = round_ * 3000 + 1
            log.append([Record(Position(n), float(n), beat) for n in range(first, first + 3000)])
            log.note_archived(
                store(log, tmp_path / DIRECTORY, log.archived, Position(first + 2990), is_partial=True)
            )
            list(log.pruning(frozenset[BuildId]()))
            log._connection.wal_checkpoint(mode=2)
            sizes.append(path.stat().st_size)
    assert sizes[-1] < 1.5 * sizes[0]


def test_damage_is_not_archived(tmp_path: Path) -> None:
    """It is told, and stays where it is."""
    path = tmp_path / "log.sqlite3"
    with closing(SqliteLog(path)) as log:
        log.append(HISTORY)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE records SET text = replace(text, 'nightly', 'hourly!') WHERE position < 9")
        connection.commit()
    with closing(SqliteReader(path)) as reader, pytest.raises(CorruptLog, match="was altered"):
        store(reader, tmp_path / DIRECTORY, BEGINNING, UPTO, is_partial=True)
    assert found(tmp_path / DIRECTORY) == []


def test_nothing_is_let_go_of_before_its_segment_is_there(tmp_path: Path) -> None:
    """Each of them, not only the last."""
    with closing(SqliteLog(tmp_path / "log.sqlite3")) as log:
        log.append(HISTORY)
        for first, last in ((1, 10), (12, UPTO)):
            segments.write(tmp_path / DIRECTORY, list(read_all(plain()))[first - 1 : last])
        with pytest.raises(CorruptLog, match="records 11 to 11 are archived"):
            log.note_archived(UPTO)
        assert list(log.pruning(frozenset[BuildId]())) == []
        assert rows(log.path) == list(range(1, HEAD + 1))


def test_a_writer_that_slept_does_not_archive(tmp_path: Path) -> None:
    """Nor write: past the lock somebody else has done both meanwhile."""
    path = tmp_path / "log.sqlite3"
    with closing(SqliteLog(path)) as sleeper:
        sleeper.append(HISTORY[:20])
        store(sleeper, tmp_path / DIRECTORY, BEGINNING, Position(10), is_partial=True)
        sleeper.note_archived(Position(10))
        path.with_name("log.sqlite3.lock").unlink()
        with closing(SqliteLog(path)) as log:
            log.append(HISTORY[20:])
            put_away(log, UPTO)
            assert set(range(21, 25)) - set(rows(path))
            segments.write(tmp_path / DIRECTORY, list(read_all(plain()))[10:15])
            for attempt in (
                lambda: sleeper.append(HISTORY[20:21]),
                lambda: sleeper.note_archived(Position(15)),
                lambda: list(sleeper.pruning(frozenset[BuildId]())),
            ):
                with pytest.raises(LogLocked, match="is written by another process too"):
                    attempt()
            assert [dump(entry) for entry in read_all(log)] == LINES
    with closing(SqliteReader(path)) as reader:
        audit_file(reader)
