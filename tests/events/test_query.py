"""Looking for records: the same are found in a file and by reading all, whatever is asked."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.catalog import EVENTS, Record
from events.codec import decode
from events.ids import BuildId, LeaseId, Position
from events.log import MemoryLog, Subject
from events.query import MOVING, NOTABLE, Query, Scanned, Searchable, position_at
from events.sqlite import SqliteLog, SqliteReader
from events.sqlite_query import statement
from tests.events.story import BUILD, OTHER, A, B, C, V, W, lease_id
from tests.golden.scenarios import HERE

HISTORIES = {
    path.stem: [decode(line) for line in path.read_bytes().splitlines()]
    for path in sorted(HERE.glob("*.jsonl"))
}
LONGEST = max(len(history) for history in HISTORIES.values())
places = st.integers(0, LONGEST + 1).map(Position)
types = st.lists(st.sampled_from(sorted(EVENTS)), max_size=3).map(tuple)

queries = st.builds(
    Query,
    upto=places,
    after=places,
    types=st.one_of(types, st.just(NOTABLE), st.just(MOVING)),
    subject=st.sampled_from([None, Subject.build(BUILD), Subject.build(OTHER), Subject.worker(V)]),
    jobs=st.lists(st.sampled_from([A, B, C]), max_size=2),
    text=st.sampled_from(["", f'"lease":"{lease_id(1)}"', '"worker":"w"']),
    newest_first=st.booleans(),
    limit=st.sampled_from([1, 3, 1 << 40]),
)


class Kept:
    """One history in memory and in a file."""

    def __init__(self, directory: Path, history: list[Record]) -> None:
        memory, path = MemoryLog(), directory / "log.sqlite3"
        memory.append(history)
        with closing(SqliteLog(path)) as log:
            log.append(history)
        self.plain = Scanned(memory)
        self.file = SqliteReader(path)
        self.connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Kept]]:
    kept = [Kept(tmp_path_factory.mktemp(name), history) for name, history in HISTORIES.items()]
    yield kept
    for each in kept:
        each.file.close()
        each.connection.close()


@settings(max_examples=300, deadline=None)
@given(queries)
def test_a_file_finds_what_reading_all_finds(logs: list[Kept], query: Query) -> None:
    """In the same order."""
    for each in logs:
        assert each.file.search(query) == each.plain.search(query)


def test_each_part_of_a_question_narrows_it_down(logs: list[Kept]) -> None:
    """And only what is asked is found."""
    history = next(iter(HISTORIES.values()))
    log = logs[0].file
    everything = Query(upto=log.head())
    assert log.search(everything) == history
    assert log.search(Query(upto=Position(7), after=Position(3))) == history[3:7]
    assert log.search(Query(upto=Position(7), newest_first=True, limit=2)) == [history[6], history[5]]
    wanted: Callable[[Any], bool]
    for query, wanted in (
        (Query(upto=log.head(), types=("JobLeased",)), lambda event: type(event).__name__ == "JobLeased"),
        (Query(upto=log.head(), subject=Subject.worker(W)), lambda event: getattr(event, "worker", "") == W),
        (Query(upto=log.head(), jobs=(A, B)), lambda event: getattr(event, "job", "") in (A, B)),
        (Query(upto=log.head(), text=lease_id(2)), lambda event: says(event, lease_id(2))),
    ):
        expected = [record for record in history if wanted(record.event)]
        assert 0 < len(expected) < len(history)
        assert log.search(query) == expected


def says(event: object, lease: LeaseId) -> bool:
    """Is the lease its own, or one that a report speaks of?"""
    spoken = [*getattr(event, "finished", ()), *getattr(event, "unreported", ())]
    return lease in (getattr(event, "lease", ""), *spoken)


@pytest.mark.parametrize("build", [BUILD, OTHER, BuildId("f" * 40)])
def test_every_move_of_a_build_is_found(logs: list[Kept], build: BuildId) -> None:
    """Each change of a job's status: its place, its cause and the job."""
    for each, history in zip(logs, HISTORIES.values(), strict=True):
        for upto in range(len(history) + 1):
            expected = [
                (record.position, type(record.event).__name__, getattr(record.event, "job", ""))
                for record in history[:upto]
                if getattr(record.event, "build", "") == build and type(record.event).__name__ in MOVING
            ]
            for log in (each.file, each.plain):
                assert log.moves(build, Position(upto)) == expected


def test_a_time_has_its_position(logs: list[Kept]) -> None:
    """That of the last record that is not later."""
    for each, history in zip(logs, HISTORIES.values(), strict=True):
        for at in sorted({record.at + shift for record in history for shift in (-0.5, 0.0)}):
            expected = sum(record.at <= at for record in history)
            log: Searchable
            for log in (each.file, each.plain):
                assert position_at(log, at) == expected


def test_records_of_note_are_found_by_an_index(logs: list[Kept]) -> None:
    """Not by going through all; so are a worker's and a build's, the newest too."""
    for query, index in (
        (Query(upto=Position(9), types=("WorkerLost", "WorkerJoined")), "records_of_note (type=?"),
        (Query(upto=Position(9), types=NOTABLE, newest_first=True, limit=1), "records_of_note (type=?"),
        (
            Query(upto=Position(9), types=("JobLeased",), subject=Subject.worker(W), newest_first=True),
            "records_of_worker (worker=? AND position>? AND position<?",
        ),
        (
            Query(upto=Position(9), jobs=(A,), subject=Subject.build(BUILD)),
            "records_of_build (build=? AND position>? AND position<?",
        ),
    ):
        sql, values = statement(query)
        plan = [str(row[3]) for row in logs[0].connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
        assert any(index in step for step in plan), plan


def test_a_log_of_an_older_version_gets_its_index(tmp_path: Path) -> None:
    """As soon as a coordinator takes it over; before that it is read as well, slower."""
    path, history = tmp_path / "log.sqlite3", next(iter(HISTORIES.values()))
    with closing(SqliteLog(path)) as log:
        log.append(history)
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("DROP INDEX records_of_note")
    query = Query(upto=Position(len(history)), types=("WorkerJoined",))
    with closing(SqliteReader(path)) as reader:
        found = reader.search(query)
    assert found
    with closing(SqliteLog(path)), closing(SqliteReader(path)) as reader:
        assert reader.search(query) == found
    with closing(apsw.Connection(str(path))) as connection:
        assert ("records_of_note",) in list(connection.execute("SELECT name FROM sqlite_schema"))
