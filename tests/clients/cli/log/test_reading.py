"""What people type for a build, a job or a worker, and which one that is."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clients.cli.exits import Failure
from clients.cli.log.reading import find_build, find_topic
from events.catalog import BuildStarted, Event, JobAdded, Record, WorkerJoined
from events.hindsight.story import Topic
from events.ids import BuildId, JobId, Position, WorkerId
from events.sqlite import SqliteReader
from tests.clients.cli.log.logs import made

ONE, TWO = BuildId("b7f3" + "0" * 36), BuildId("b7a0" + "0" * 36)
COMPILE, OTHER, DOCS = JobId("c1" * 20), JobId("c2" * 20), JobId("d1" * 20)
EVENTS: tuple[Event, ...] = (
    WorkerJoined(worker=WorkerId("http://w1:9000")),
    BuildStarted(build=ONE, name="nightly", jobs=2),
    JobAdded(build=ONE, job=COMPILE, name="compile/a.o"),
    JobAdded(build=ONE, job=DOCS, name="docs"),
    BuildStarted(build=TWO, jobs=2),
    JobAdded(build=TWO, job=OTHER, name="compile/a.o"),
    JobAdded(build=TWO, job=DOCS, name="docs"),
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteReader]:
    records = [Record(Position(place), 1.0, event) for place, event in enumerate(EVENTS, start=1)]
    with closing(SqliteReader(made(tmp_path / "log.sqlite3", records))) as reader:
        yield reader


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("build/b7f3", Topic(build=ONE)),
        (f"build/{TWO}", Topic(build=TWO)),
        ("job/docs", Topic(job=DOCS)),
        ("job/do", Topic(job=DOCS)),
        ("job/c1", Topic(job=COMPILE)),
        ("job/b7f3/compile/a.o", Topic(build=ONE, job=COMPILE)),
        ("job/b7a/comp", Topic(build=TWO, job=OTHER)),
        (f"job/{TWO}/{OTHER}", Topic(build=TWO, job=OTHER)),
        ("worker/http://w1:9000", Topic(worker=WorkerId("http://w1:9000"))),
        ("worker/w1:9000", Topic(worker=WorkerId("http://w1:9000"))),
    ],
)
def test_a_topic_is_found(log: SqliteReader, text: str, topic: Topic) -> None:
    """By id, name or the beginning of either; slashes in names do no harm."""
    assert find_topic(log, text) == topic


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("build/b7", "'b7' may be"),
        ("job/compile/a.o", "'compile/a.o' may be"),
        ("build/c", "knows no build 'c'"),
        (f"build/{'0' * 40}", "knows no build"),
        ("job/b7f3/none", "knows no job 'none'"),
        ("job/none", "knows no job 'none'"),
        ("worker/w2", "knows no worker 'w2'"),
        ("builds/b7f3", "is no topic"),
        ("build/", "is no topic"),
        ("b7f3", "is no topic"),
        ("job/\udcff", "knows no job '�'"),
        ("worker/\udcff", "knows no worker '�'"),
        ("build/\udcff", "knows no build '�'"),
    ],
)
def test_what_is_no_topic(log: SqliteReader, text: str, complaint: str) -> None:
    """Candidates are listed; whatever it is, the exit code is 2."""
    with pytest.raises(Failure, match=complaint) as caught:
        find_topic(log, text)
    assert caught.value.exit == 2


def test_candidates_are_named(log: SqliteReader) -> None:
    """Enough of each to choose by."""
    with pytest.raises(Failure) as caught:
        find_build(log, "b7")
    assert caught.value.cause.splitlines() == ["'b7' may be", TWO, f"{ONE} nightly"]


def test_a_build_may_be_named(log: SqliteReader) -> None:
    """The latest of that name is meant."""
    assert find_build(log, "nightly") == ONE
