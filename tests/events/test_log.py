"""One contract for every Log: what was appended is read again, in order, whole, by subject, unaltered."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from events import log as logs
from events.catalog import (
    BuildCancelled,
    BuildForgotten,
    Event,
    JobLeased,
    Record,
    SourceDropped,
    TimePassed,
    WorkerLost,
)
from events.codec import encode
from events.ids import BEGINNING, BuildId, JobId, LeaseId, Position, SourceId, WorkerId
from events.log import (
    GENESIS,
    CorruptLog,
    Entry,
    Log,
    LogFull,
    MemoryLog,
    Subject,
    link,
    read_all,
    verify,
)
from events.sqlite import SqliteLog, SqliteReader

Opener = Callable[[], Log]


@pytest.fixture(params=["memory", "sqlite", "sqlite reopened", "sqlite reader"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """A function that gives a look at the one log of the test, as its kind allows."""
    if request.param == "memory":
        memory = MemoryLog()
        yield lambda: memory
        return
    path = tmp_path / "data" / "log.sqlite3"
    made: list[Any] = [SqliteLog(path)]

    def again() -> Log:
        if request.param == "sqlite reopened":
            made[-1].close()
            made.append(SqliteLog(path))
        return made[-1]  # type: ignore[no-any-return]  # a SqliteLog

    yield again if request.param != "sqlite reader" else lambda: Spectated(made[0], path)
    made[-1].close()


class Spectated:
    """Writes through the writer, reads as somebody else does."""

    def __init__(self, writer: SqliteLog, path: Path) -> None:
        self.append = writer.append
        self._path = path

    def read(self, *args: Any) -> list[Entry]:
        reader = SqliteReader(self._path)
        try:
            return reader.read(*args)
        finally:
            reader.close()

    def records(self, *args: Any) -> list[Record]:
        reader = SqliteReader(self._path)
        try:
            return reader.records(*args)
        finally:
            reader.close()

    def head(self) -> Position:
        reader = SqliteReader(self._path)
        try:
            return reader.head()
        finally:
            reader.close()

    def close(self) -> None:
        pass


B1, B2, W1 = BuildId("b1"), BuildId("b2"), WorkerId("w1")
EVENTS: tuple[Event, ...] = (
    TimePassed(),
    BuildCancelled(build=B1, reason='ünï "quoted"\n\0'),
    JobLeased(build=B2, job=JobId("j"), lease=LeaseId("l"), worker=W1, attempt=1, reason="r"),
    WorkerLost(worker=W1, reason="silent"),
    BuildForgotten(build=B1),
    # A worker may call itself what a build is called.
    WorkerLost(worker=WorkerId(B1), reason="silent"),
)
RECORDS = tuple(
    Record(Position(place), 1763770000.25 + place / 8, event) for place, event in enumerate(EVENTS, start=1)
)


def positions(entries: list[Entry]) -> list[int]:
    return [entry.record.position for entry in entries]


def test_a_new_log_is_empty(opened: Opener) -> None:
    """Nothing happened yet."""
    assert opened().head() == BEGINNING
    assert opened().read() == []
    assert opened().append([]) == []
    assert verify(read_all(opened())) == GENESIS


def test_what_was_appended_is_read(opened: Opener) -> None:
    """The records, their texts and a chain over them."""
    texts = opened().append(RECORDS[:2])
    texts += opened().append(RECORDS[2:])
    assert texts == [encode(record) for record in RECORDS]
    entries = opened().read()
    assert tuple(entry.record for entry in entries) == RECORDS
    assert [entry.text for entry in entries] == texts
    chain = GENESIS
    for entry in entries:
        chain = link(chain, entry.text)
        assert entry.chain == chain
    assert opened().head() == len(RECORDS)
    assert verify(read_all(opened())) == chain


def test_reading_goes_on_after_a_position(opened: Opener) -> None:
    """Beyond the head there is nothing, which is no error."""
    opened().append(RECORDS)
    assert positions(opened().read(Position(4))) == [5, 6]
    assert positions(opened().read(Position(6))) == []
    assert positions(opened().read(Position(99))) == []


@pytest.mark.parametrize(("after", "limit"), [(0, 100), (2, 3), (len(RECORDS), 100)])
def test_records_alone_are_those_that_are_read(opened: Opener, after: Position, limit: int) -> None:
    """A replay takes a shorter way to the same."""
    opened().append(RECORDS)
    assert opened().records(after, limit) == [entry.record for entry in opened().read(after, None, limit)]


def test_reading_in_pages(opened: Opener) -> None:
    """No more than asked for at once; all of it in the end."""
    opened().append(RECORDS)
    assert positions(opened().read(BEGINNING, None, 2)) == [1, 2]
    assert positions(opened().read(Position(2), None, 2)) == [3, 4]
    assert positions(list(read_all(opened()))) == [1, 2, 3, 4, 5, 6]
    assert positions(list(read_all(opened(), Position(3)))) == [4, 5, 6]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (Subject.build(B1), [2, 5]),
        (Subject.build(B2), [3]),
        (Subject.worker(W1), [3, 4]),
        (Subject.worker(WorkerId(B1)), [6]),
        (Subject.build(BuildId("nobody")), []),
    ],
)
def test_reading_one_subject(opened: Opener, subject: Subject, expected: list[int]) -> None:
    """What concerns a build or a worker, and nothing else; a build is no worker of the same name."""
    opened().append(RECORDS)
    assert positions(opened().read(BEGINNING, subject)) == expected
    assert positions(opened().read(BEGINNING, subject, 1)) == expected[:1]
    assert positions(opened().read(Position(2), subject)) == [place for place in expected if place > 2]
    assert positions(list(read_all(opened(), BEGINNING, subject))) == expected


@pytest.mark.parametrize("places", [(2,), (0,), (1, 3), (1, 1)], ids=str)
def test_a_hole_is_a_bug(opened: Opener, places: tuple[int, ...]) -> None:
    """Positions follow one another from 1; nothing of the batch is stored."""
    with pytest.raises(AssertionError):
        opened().append([Record(Position(place), 0.0, TimePassed()) for place in places])
    assert opened().head() == BEGINNING
    assert opened().read() == []
    opened().append(RECORDS[:1])
    assert opened().head() == 1


def test_half_a_batch_is_no_batch(opened: Opener) -> None:
    """What cannot be written takes its whole batch with it."""
    bad = Record(Position(2), 0.0, SourceDropped(source=SourceId("s"), reason="\ud800"))
    with pytest.raises(UnicodeEncodeError):
        opened().append([RECORDS[0], bad])
    assert opened().read() == []
    opened().append(RECORDS)
    assert opened().head() == len(RECORDS)


# --- verify, on entries as a log would hand them out


def entries() -> list[Entry]:
    log = MemoryLog()
    log.append(RECORDS)
    return log.read()


def test_verify_accepts_what_was_written() -> None:
    """From the beginning, and from any position whose chain hash is known."""
    whole = entries()
    assert verify(whole) == whole[-1].chain
    assert verify(whole[3:], whole[2].chain, 3) == whole[-1].chain


def test_verify_finds_an_altered_text() -> None:
    """At the very record."""
    altered = entries()
    altered[2] = altered[2]._replace(text=altered[2].text.replace(b'"r"', b'"x"'))
    with pytest.raises(CorruptLog, match="record 3 was altered"):
        verify(altered)


def test_verify_finds_an_altered_text_with_a_new_hash() -> None:
    """Whoever alters a record would have to alter all that come after it."""
    altered = entries()
    text = altered[2].text.replace(b'"r"', b'"x"')
    altered[2] = Entry(altered[2].record, text, link(altered[1].chain, text))
    with pytest.raises(CorruptLog, match="record 3 was altered"):
        verify(altered)


def test_verify_finds_what_disagrees_with_its_text() -> None:
    """A log that keeps times and types beside the text may be altered there."""
    altered = entries()
    record = altered[2].record
    altered[2] = altered[2]._replace(record=Record(record.position, record.at + 1, record.event))
    with pytest.raises(CorruptLog, match="record 3 was altered"):
        verify(altered)


@pytest.mark.parametrize("place", [1, 3, 5])
def test_verify_finds_a_removed_record(place: int) -> None:
    """The next one stands in its place."""
    removed = entries()
    del removed[place - 1]
    with pytest.raises(CorruptLog, match=f"record {place} is missing: {place + 1}"):
        verify(removed)


def test_verify_finds_swapped_records() -> None:
    """Whether they were swapped with their positions or without."""
    swapped = entries()
    swapped[1], swapped[2] = swapped[2], swapped[1]
    with pytest.raises(CorruptLog, match="record 2 is missing: 3"):
        verify(swapped)
    renumbered = [
        entry._replace(record=Record(Position(place), entry.record.at, entry.record.event))
        for place, entry in enumerate(swapped, start=1)
    ]
    with pytest.raises(CorruptLog, match="record 2 was altered"):
        verify(renumbered)


# --- the log in memory


def test_a_log_in_memory_fails_as_it_is_told() -> None:
    """So that tests can fill the disk."""

    def full() -> None:
        raise LogFull("no space")

    log = MemoryLog(full)
    with pytest.raises(LogFull):
        log.append(RECORDS)
    assert log.read() == []
    log.close()


def test_a_page_is_not_the_whole_log() -> None:
    """`read_all` asks again until nothing is left."""
    log = MemoryLog()
    log.append(RECORDS)
    asked: list[int] = []

    class Paged(MemoryLog):
        def read(
            self, after: Position = BEGINNING, subject: Subject | None = None, limit: int = 2
        ) -> list[Entry]:
            asked.append(after)
            return log.read(after, subject, 2)

    assert positions(list(logs.read_all(Paged()))) == [1, 2, 3, 4, 5, 6]
    assert asked == [0, 2, 4, 6]
