"""Bytes that change by themselves, pages that swap, ends that are torn: told, or without any consequence."""

import random
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import permutations
from pathlib import Path

import pytest
from attrs import frozen

from events.catalog import Record, SourceDropped
from events.codec import decode, encode
from events.commands import StoreSource
from events.decide import Context, execute
from events.fold import replay
from events.ids import BlobDigest, Position, SourceId
from events.log import LogError, read_all, verified
from events.sqlite import SqliteLog
from tests.events.hindsight.test_audit import audited, everything
from tests.golden.scenarios import HERE

NAME = "log.sqlite3"
RECORDS = 200
PAGE, FRAME, FRAMES_BEGIN = 4096, 4096 + 24, 32
# If there is no time for every byte, and for every place to cut.
FLIPS, WAL_FLIPS, CUTS = 1500, 2000, 1000
BATCHES = (3, 1, 1, 5, 1, 2, 8, 1, 1, 4, 1, 3)
# Of that many last commits in a write-ahead log nothing tells that they had been synced.
UNCERTAIN = 2


@pytest.fixture
def directory() -> Iterator[Path]:
    """In memory where that can be had: the machine's own disk is not what is tried."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as name:
        yield Path(name)


def lay(directory: Path, files: dict[str, bytes]) -> Path:
    """Make these the only files."""
    for file in directory.iterdir():
        file.unlink()
    for suffix, content in files.items():
        (directory / f"{NAME}{suffix}").write_bytes(content)
    return directory / NAME


def chosen(size: int, few: int, soak: bool) -> Iterator[tuple[int, int]]:
    """Bytes all over `size` of them, each with a bit; every byte if there is time."""
    chance, number = random.Random(size), size if soak else few
    for n in range(number):
        yield (n * size + chance.randrange(size)) // number, 1 << chance.randrange(8)


# --- a log at rest


@pytest.fixture
def log_file(directory: Path) -> bytes:
    """A log of a small farm's life, closed in good order."""
    lines = (HERE / "builds_fail_and_are_cancelled.jsonl").read_bytes().splitlines()
    records = [decode(line) for line in lines]
    state = replay(records)
    while len(records) < RECORDS:
        stored = StoreSource(
            source=SourceId(f"{len(records):040x}"), blob=BlobDigest(f"{len(records):064x}"), size=1
        )
        records += execute(state, stored, Context(state.at + 1, lambda size: "0" * 2 * size))
    with closing(SqliteLog(directory / NAME)) as log:
        log.append(records)
    return (directory / NAME).read_bytes()


def harmless(directory: Path, damaged: bytes, truth: object) -> bool:
    """False if the audit refuses the file; else it must say in every way what it said before."""
    path = lay(directory, {"": damaged})
    try:
        audited(path)
    except LogError:
        return False
    assert everything(path) == truth
    return True


def test_a_bit_flips_anywhere_in_a_log(log_file: bytes, directory: Path, soak: bool) -> None:
    """In records, in indexes, in what SQLite knows of the file, in what is nothing."""
    truth = everything(lay(directory, {"": log_file}))
    spared = tried = 0
    for place, bit in chosen(len(log_file), FLIPS, soak):
        damaged = bytearray(log_file)
        damaged[place] ^= bit
        spared += harmless(directory, bytes(damaged), truth)
        tried += 1
    assert 0 < spared < tried / 2


def test_pages_are_lost_doubled_and_swapped(log_file: bytes, directory: Path) -> None:
    """As by a disk that reads or writes the wrong place, or nothing."""
    truth = everything(lay(directory, {"": log_file}))
    pages = [log_file[start : start + PAGE] for start in range(0, len(log_file), PAGE)]
    for one, other in permutations(range(len(pages)), 2):
        damaged = list(pages)
        damaged[one] = pages[other]
        assert not harmless(directory, b"".join(damaged), truth)
        damaged[other] = pages[one]
        assert not harmless(directory, b"".join(damaged), truth)
    for one in range(len(pages)):
        for lost in (bytes(PAGE), b""):
            damaged = [*pages[:one], lost, *pages[one + 1 :]]
            assert not harmless(directory, b"".join(damaged), truth)


# --- the write-ahead log of a process that was killed


@frozen
class Killed:
    """What it left, the texts of its records and where its batches ended."""

    database: bytes
    ahead: bytes
    texts: list[bytes]
    ends: list[int]

    def check(self, directory: Path, ahead: bytes, *, lacking: int) -> None:
        """Open with another write-ahead log: whole batches, at most `lacking` of the last ones missing."""
        with closing(SqliteLog(lay(directory, {"": self.database, "-wal": ahead}))) as log:
            found = [entry.text for entry in verified(read_all(log))]
        assert found == self.texts[: len(found)]
        assert len(found) in self.ends[-1 - lacking :]


@pytest.fixture
def killed(directory: Path) -> Killed:
    """The first batch is in the file, the others are in the write-ahead log only."""
    path, texts, ends = directory / NAME, list[bytes](), [0]

    def live(batches: Iterable[int]) -> tuple[bytes, bytes]:
        with closing(SqliteLog(path)) as log:
            for batch in batches:
                records = [record(ends[-1] + n) for n in range(1, batch + 1)]
                log.append(records)
                texts.extend(encode(each) for each in records)
                ends.append(len(texts))
            return path.read_bytes(), path.with_name(f"{NAME}-wal").read_bytes()

    live(BATCHES[:1])
    database, ahead = live(BATCHES[1:])
    return Killed(database, ahead, texts, ends)


def record(place: int) -> Record:
    event = SourceDropped(source=SourceId(f"{place:040x}"), reason="x" * (place * 97 % 700))
    return Record(Position(place), float(place), event)


def tolerated(killed: Killed, directory: Path, damaged: Iterable[tuple[bytes, int]]) -> int:
    """How many of these are opened nevertheless; then the very last batches at most are lacking.

    Each comes with the number of places at which it is damaged.
    """
    count = 0
    for ahead, places in damaged:
        try:
            killed.check(directory, ahead, lacking=places * UNCERTAIN)
        except LogError:
            continue
        count += 1
    return count


def test_a_bit_flips_in_the_write_ahead_log(killed: Killed, directory: Path, soak: bool) -> None:
    """SQLite takes it for the end; we know better as long as two commits follow."""
    places = list(chosen(len(killed.ahead), WAL_FLIPS, soak))

    def damaged() -> Iterator[tuple[bytes, int]]:
        for place, bit in places:
            ahead = bytearray(killed.ahead)
            ahead[place] ^= bit
            yield bytes(ahead), 1

    assert 0 < tolerated(killed, directory, damaged()) < len(places) / 2


def test_frames_are_lost_doubled_and_swapped(killed: Killed, directory: Path) -> None:
    """Nothing of what stands behind them is forgotten in silence."""
    head, content = killed.ahead[:FRAMES_BEGIN], killed.ahead[FRAMES_BEGIN:]
    frames = [content[start : start + FRAME] for start in range(0, len(content), FRAME)]

    def damaged() -> Iterator[tuple[bytes, int]]:
        for one, other in permutations(range(len(frames)), 2):
            changed = list(frames)
            changed[one] = frames[other]
            yield head + b"".join(changed), 1
            changed[other] = frames[one]
            yield head + b"".join(changed), 2
        for one in range(len(frames)):
            yield head + b"".join([*frames[:one], bytes(FRAME), *frames[one + 1 :]]), 1

    assert tolerated(killed, directory, damaged()) < len(frames) ** 2 / 2


@pytest.mark.parametrize("rest", ["gone", "zeros"])
def test_the_write_ahead_log_is_torn_anywhere(killed: Killed, directory: Path, soak: bool, rest: str) -> None:
    """Whole batches are left, and a log that goes on."""
    size = len(killed.ahead)
    for place in range(0, size, 1 if soak else size // CUTS):
        ahead = killed.ahead[:place] + (bytes(size - place) if rest == "zeros" else b"")
        killed.check(directory, ahead, lacking=len(BATCHES))
