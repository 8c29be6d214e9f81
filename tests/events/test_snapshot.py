"""Snapshots: exactly the state, or refused; and whatever they are, the log says what it said before."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from events import snapshot
from events.catalog import Record
from events.codec import decode
from events.digest import digest
from events.fold import fold, replay
from events.hindsight.audit import audit_file
from events.ids import BuildId, JobId, LeaseId, Position, SpecDigest
from events.log import CorruptLog, MemoryLog
from events.model import Result
from events.restore import DIRECTORY, restore
from events.snapshot import ITEMS_MAX, KEPT, BadSnapshot, fingerprint, load, parts
from events.sqlite import SqliteLog, SqliteReader
from events.state import State
from tests.events.story import in_order
from tests.golden.scenarios import HERE

LOGS = sorted(HERE.glob("*.jsonl"))
HISTORY = [decode(line) for line in LOGS[-1].read_bytes().splitlines()]
HALF = len(HISTORY) // 2


def history(path: Path) -> list[Record]:
    return [decode(line) for line in path.read_bytes().splitlines()]


def dumped(state: State, chain: bytes = b"") -> bytes:
    return b"".join(parts(state, chain))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    with closing(SqliteLog(tmp_path / "log.sqlite3")) as log:
        log.append(HISTORY)
        yield log


def take(log: SqliteLog, position: int = HALF) -> Path:
    """A snapshot of the log at a position, beside it."""
    state = replay(HISTORY[:position])
    return snapshot.write(log.path.parent / DIRECTORY, state, log.chain_at(Position(position)))


class Warnings(list[str]):
    def __call__(self, path: Path, why: str) -> None:
        self.append(f"{path.name} {why}")


def restored(log: SqliteLog, upto: Position | None = None) -> tuple[State, list[str]]:
    warnings = Warnings()
    return restore(log, log.path.parent / DIRECTORY, warnings, upto), warnings


# --- exactly the state


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_a_replay_may_begin_at_any_snapshot(path: Path) -> None:
    """Of whatever position: what it gives with the rest of the log is what the whole log gives."""
    records = history(path)
    end, state = in_order(replay(records)), State()
    for count, record in enumerate(records, start=1):
        fold(state, record)
        head, again = load(dumped(state, b"chain"))
        assert (head.position, head.chain) == (count, b"chain".hex())
        assert (in_order(again), digest(again)) == (in_order(state), digest(state))
        assert in_order(replay(records[count:], again)) == end


def test_what_is_large_is_kept_in_pieces() -> None:
    """In the order in which it was, and nothing of it is there twice."""
    jobs = [JobId(f"{number:040x}") for number in range(2 * ITEMS_MAX + 1)]
    results = {(job, SpecDigest("")): Result(LeaseId(job), 0, 0) for job in reversed(jobs)}
    again = load(dumped(State(results=results)))[1]
    assert in_order(again) == in_order(State(results=results))
    assert sum(len(part) > 10_000 for part in parts(State(results=results), b"")) == 2


def test_the_state_of_nothing_is_one_too() -> None:
    assert load(dumped(State()))[1] == State()


# --- or refused


def test_every_bit_counts() -> None:
    """Whichever falls over, and wherever the end is missing, it is found."""
    whole = dumped(replay(HISTORY))
    for place in range(0, len(whole), 7):
        altered = bytearray(whole)
        altered[place] ^= 1 << place % 8
        with pytest.raises(BadSnapshot, match="is damaged"):
            load(bytes(altered))
        with pytest.raises(BadSnapshot, match="is damaged"):
            load(whole[:place])


def _sealed(body: bytes) -> bytes:
    """Bytes that nobody damaged, whatever they are."""
    return body + sha256(body).digest()


HEAD = msgspec.json.encode(snapshot.Head(1, "", snapshot.code())) + b"\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_sealed(b""), "is damaged"),
        (_sealed(b"what?\n"), "makes no sense"),
        (_sealed(HEAD), "of another position than it says"),
        (_sealed(HEAD + b"\0\0\0\5hello"), "makes no sense"),
        (_sealed(HEAD + b"\0\0\0"), "makes no sense"),
        (_sealed(HEAD + b"\0\0\0\7" + msgspec.msgpack.encode(("", "moon", 1))), "makes no sense"),
        (_sealed(HEAD.replace(snapshot.code().encode(), b"another")), "by another version"),
    ],
)
def test_what_is_no_snapshot(data: bytes, words: str) -> None:
    """However well it is sealed."""
    with pytest.raises(BadSnapshot, match=words):
        load(data)


def test_code_that_folds_otherwise_takes_no_snapshot_of_ours(tmp_path: Path) -> None:
    """Its name is that of every line in this package."""
    package, copy = Path(snapshot.__file__).parent, tmp_path / "events"
    shutil.copytree(package, copy)
    assert fingerprint(copy) == fingerprint(package) == snapshot.code()
    with (copy / "folding" / "jobs.py").open("a") as file:
        file.write("\n")
    assert fingerprint(copy) != snapshot.code()


# --- with a log


def test_a_start_goes_on_from_the_latest(log: SqliteLog) -> None:
    """And reads nothing of what is before it."""
    take(log, 3)
    take(log)
    reads: list[Position] = []
    records = log.records

    def watched(after: Position, limit: int = 2000) -> list[Record]:
        reads.append(after)
        return records(after, limit)

    log.records = watched  # type: ignore[assignment, method-assign]
    state, warnings = restored(log)
    assert in_order(state) == in_order(replay(HISTORY))
    assert (min(reads), warnings) == (HALF, [])


@pytest.mark.parametrize("upto", [0, 2, 3, HALF - 1, HALF, HALF + 1, len(HISTORY)])
def test_any_moment_is_the_one_that_it_was(log: SqliteLog, upto: int) -> None:
    """Snapshots of later ones are of no use for it, and nothing is wrong with them."""
    take(log, 3)
    take(log)
    state, warnings = restored(log, Position(upto))
    assert in_order(state) == in_order(replay(HISTORY[:upto]))
    assert warnings == []


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def vanish(path: Path) -> None:
    path.unlink()
    path.mkdir()


def of_another_log(path: Path) -> None:
    other = MemoryLog()
    other.append([record._replace(at=record.at + 1) for record in HISTORY])
    state = replay(entry.record for entry in other.read(limit=HALF))
    path.write_bytes(dumped(state, other.chain_at(Position(HALF))))


def of_another_version(path: Path) -> None:
    data = path.read_bytes()[:-32].replace(snapshot.code().encode(), b"0" * 64)
    path.write_bytes(_sealed(data))


def from_the_future(path: Path) -> None:
    path.rename(path.with_name(snapshot.NAME.format(position=len(HISTORY) + 1)))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncate, "is damaged"),
        (empty, "is damaged"),
        (flip, "is damaged"),
        (vanish, "cannot be read"),
        (of_another_log, "is of another log"),
        (of_another_version, "was made by another version"),
        (from_the_future, "is ahead of the log"),
    ],
)
@pytest.mark.parametrize("older", [False, True])
def test_a_bad_one_costs_time_and_nothing_else(
    log: SqliteLog, spoil: Callable[[Path], None], words: str, older: bool
) -> None:
    """The one before it is used, or none; somebody is told, and the log is the same bytes."""
    if older:
        take(log, 3)
    spoil(take(log))
    before = log.path.read_bytes()
    state, [warning] = restored(log)
    assert in_order(state) == in_order(replay(HISTORY))
    assert words in warning
    assert log.path.read_bytes() == before


def test_a_log_that_lost_its_end_has_its_state(log: SqliteLog, tmp_path: Path) -> None:
    """A backup put back, say: the snapshot knows of what is no more."""
    take(log, len(HISTORY))
    shorter = tmp_path / "backup" / "log.sqlite3"
    with closing(SqliteLog(shorter)) as backup:
        backup.append(HISTORY[:HALF])
        shutil.copytree(tmp_path / DIRECTORY, shorter.parent / DIRECTORY)
        state, [warning] = restored(backup)
        assert in_order(state) == in_order(replay(HISTORY[:HALF]))
        assert "is ahead of the log" in warning
        backup.append([record._replace(at=record.at + 1) for record in HISTORY[HALF:]])
        assert "is of another log" in restored(backup)[1][0]


def test_few_are_kept_and_no_draft(log: SqliteLog) -> None:
    """The latest ones; what a killed process left of one is never taken for one."""
    directory = log.path.parent / DIRECTORY
    for position in range(1, 6):
        take(log, position)
    assert [snapshot.position_of(path) for path in snapshot.found(directory)] == [5, 4]
    assert KEPT == 2
    (directory / ".snapshot-000000000000009.state.77").write_bytes(b"half")
    assert restored(log)[1] == []
    assert len(list(directory.iterdir())) == KEPT + 1


def test_a_failed_write_leaves_nothing(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a draft nor a shorter list of those that were there."""
    take(log, 3)

    def fail(descriptor: int) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        take(log, 4)
    assert [path.name for path in (log.path.parent / DIRECTORY).iterdir()] == [
        "snapshot-000000000000003.state"
    ]


# --- when a log is verified


def test_verifying_holds_it_against_the_records(log: SqliteLog) -> None:
    """One that is whole and wrong would make a start wrong: that is as bad as a bad record."""
    take(log)
    with closing(SqliteReader(log.path)) as reader:
        audit_file(reader)
    state = replay(HISTORY[:HALF])
    state.keys["never"] = BuildId("was")
    snapshot.write(log.path.parent / DIRECTORY, state, log.chain_at(Position(HALF)))
    with (
        closing(SqliteReader(log.path)) as reader,
        pytest.raises(CorruptLog, match=f"the snapshot of position {HALF} is wrong: delete it"),
    ):
        audit_file(reader)


def test_verifying_tells_of_those_that_are_no_good(log: SqliteLog) -> None:
    """Which is no fault of the log."""
    flip(take(log))
    warnings = Warnings()
    with closing(SqliteReader(log.path)) as reader:
        assert audit_file(reader, warnings).records == len(HISTORY)
    assert "is damaged" in warnings[0]
