"""The lines of an output: numbers, search and what to look at first, however it is cut and while it grows."""

import random
from itertools import accumulate
from pathlib import Path

import pytest
import trio

from coordinator.disk import in_thread
from coordinator.lines import (
    BLOCK_BYTES,
    OUTPUTS_REMEMBERED,
    SEARCH_BYTES,
    STEP_BYTES,
    Line,
    Lines,
    Numbers,
    Source,
)
from coordinator.matching import pattern
from coordinator.output import OutputStore
from events.ids import LeaseId
from tests.coordinator.test_output import LEASE, Disk

OUT = Source(lease=LEASE, stream="stdout", grows=False)
GROWING = Source(lease=LEASE, stream="stdout", grows=True)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def store(tmp_path: Path, disk: Disk) -> OutputStore:
    return OutputStore(tmp_path / "output", run_sync=disk)


@pytest.fixture
def lines(store: OutputStore, disk: Disk) -> Lines:
    return Lines(store, disk)


def long_output(seed: int) -> bytes:
    """Lines of any length, blank ones and some longer than a step; larger than several steps."""
    chance = random.Random(seed)
    lengths = [0, 1, 80, 500, 5_000, BLOCK_BYTES - 1, BLOCK_BYTES]
    made = [b"x" * chance.choice(lengths) for _ in range(80)]
    made.insert(chance.randrange(80), b"y" * (STEP_BYTES + 5))
    return b"\n".join(made) + chance.choice([b"", b"\n"])


@pytest.mark.parametrize("seed", range(4))
async def test_numbers_are_those_of_all_of_it(store: OutputStore, lines: Lines, seed: int) -> None:
    """Asked again while it grows: a step is read once, and each line is found by its number."""
    data = long_output(seed)
    for size in (0, 1, BLOCK_BYTES, len(data) // 2, len(data)):
        await store.append(LEASE, "stdout", 0, data[:size])
        assert await lines.numbers(GROWING) == Numbers(
            size=size,
            newlines=data.count(b"\n", 0, size),
            before=[data.count(b"\n", 0, begin) for begin in range(0, size + 1, BLOCK_BYTES)],
        )
    begins = list(accumulate((len(line) + 1 for line in data.split(b"\n")), initial=0))[:-1]
    for number, begin in enumerate(begins, start=1):
        assert await lines.find(OUT, number) == (begin if begin < len(data) else None)
        if begin < len(data):
            assert await lines.number(OUT, begin) == number
    assert await lines.find(OUT, len(begins) + 1) is None
    assert await lines.find(OUT, 1 << 40) is None


async def test_what_was_counted_is_not_read_again(store: OutputStore, lines: Lines, disk: Disk) -> None:
    """Only the part of a block at the end."""
    await store.append(LEASE, "stdout", 0, b"line\n" * BLOCK_BYTES)
    first = await lines.numbers(OUT)
    disk.visits.clear()
    assert await lines.numbers(OUT) == first
    assert disk.visits == ["_newlines"]


async def test_many_who_ask_at_once_let_one_count(store: OutputStore, lines: Lines, disk: Disk) -> None:
    """The others wait for it."""
    await store.append(LEASE, "stdout", 0, b"line\n" * BLOCK_BYTES)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(lines.numbers, OUT)
    assert disk.visits.count("_newlines_of_blocks") == 2


async def test_what_is_remembered_is_bounded(store: OutputStore, lines: Lines) -> None:
    """Whatever was forgotten is counted again."""
    await store.append(LEASE, "stdout", 0, b"line\n" * BLOCK_BYTES)
    first = await lines.numbers(OUT)
    for number in range(OUTPUTS_REMEMBERED + 5):
        await lines.numbers(Source(lease=LeaseId(f"{number:032x}"), stream="stdout", grows=False))
    assert await lines.numbers(OUT) == first


@pytest.mark.parametrize("seed", range(4))
async def test_a_search_finds_each_line_in_its_place(store: OutputStore, lines: Lines, seed: int) -> None:
    """All of them counted, as many named as are wanted, from any line on and up to any byte."""
    chance = random.Random(seed)
    words = [chance.choice([b"one", b"TWO", b"", b"x" * 3_000]) for _ in range(2_000)]
    data = b"\n".join(words)
    begins = list(accumulate((len(word) + 1 for word in words), initial=0))
    await store.append(LEASE, "stdout", 0, data)
    every = [Line(line=n + 1, offset=begins[n]) for n, word in enumerate(words) if word == b"TWO"]
    for offset, until, limit in ((0, None, 5), (begins[700], None, 10_000), (begins[300], begins[1200], 9)):
        expected = [each for each in every if offset <= each.offset < (until or len(data))]
        found = await lines.search(OUT, pattern("two"), offset=offset, until=until, limit=limit)
        assert (found.count, found.lines) == (len(expected), expected[:limit])
        assert found.next == len(data) if until is None else found.next >= until


async def test_a_search_stops_and_goes_on(store: OutputStore, lines: Lines) -> None:
    """Whoever adds the counts up has them all."""
    line = b"needle " + b"x" * 1016 + b"\n"
    data = line * (2 * SEARCH_BYTES // len(line) + 100)
    await store.append(LEASE, "stdout", 0, data)
    offset, counts = 0, list[int]()
    while offset < len(data):
        found = await lines.search(OUT, pattern("needle"), offset=offset, until=None, limit=1)
        assert found.lines == [Line(line=sum(counts) + 1, offset=offset)]
        counts.append(found.count)
        offset = found.next
    assert counts == [SEARCH_BYTES // len(line), SEARCH_BYTES // len(line), 100]


async def test_a_line_that_is_not_whole_is_searched_when_it_is(store: OutputStore, lines: Lines) -> None:
    """Or when nothing more will come."""
    await store.append(LEASE, "stdout", 0, b"one\nneed")
    found = await lines.search(GROWING, pattern("need"), offset=0, until=None, limit=9)
    assert (found.next, found.count, found.size) == (4, 0, 8)
    await store.append(LEASE, "stdout", 8, b"le\nneed")
    found = await lines.search(GROWING, pattern("need"), offset=4, until=None, limit=9)
    assert (found.next, found.lines) == (11, [Line(line=2, offset=4)])
    found = await lines.search(OUT, pattern("need"), offset=11, until=None, limit=9)
    assert (found.next, found.lines) == (15, [Line(line=3, offset=11)])
    found = await lines.search(OUT, pattern("need"), offset=99, until=None, limit=9)
    assert (found.next, found.count) == (99, 0)


async def test_an_error_comes_before_a_mention_and_a_mention_before_the_last_line(
    store: OutputStore, lines: Lines
) -> None:
    """Stderr before stdout; the text is inert."""

    async def look(*, grows: bool = False) -> tuple[str, str, int, int, str] | None:
        found = await lines.worth(LEASE, grows=grows)
        return (found.kind, found.stream, found.line, found.offset, found.text) if found else None

    assert await look() is None
    await store.append(LEASE, "stdout", 0, b"start\n\nworking\n  \n")
    assert await look(grows=True) == ("last", "stdout", 3, 7, "working")
    await store.append(LEASE, "stdout", 18, b"this may fail")
    assert await look(grows=True) == ("last", "stdout", 5, 18, "this may fail")
    await store.append(LEASE, "stdout", 31, b"\n")
    assert await look(grows=True) == ("mention", "stdout", 5, 18, "this may fail")
    await store.append(LEASE, "stderr", 0, b"it failed\n")
    assert await look(grows=True) == ("mention", "stderr", 1, 0, "it failed")
    await store.append(LEASE, "stdout", 32, b"x\n" * STEP_BYTES + b"\x1b[31ma.c:1: error\x1b[0m: no\n")
    at = 32 + 2 * STEP_BYTES
    assert await look() == ("error", "stdout", STEP_BYTES + 6, at, "a.c:1: error: no")
    await store.append(LEASE, "stderr", 10, b"fatal: no")
    assert await look() == ("error", "stderr", 2, 10, "fatal: no")


async def test_a_lease_that_is_none_has_no_lines(tmp_path: Path) -> None:
    """As it has no output."""
    store = OutputStore(tmp_path / "output")
    lines, nobody = Lines(store, in_thread), Source(lease=LeaseId(""), stream="stdout", grows=True)
    assert await lines.numbers(nobody) == Numbers(size=0, newlines=0, before=[0])
    assert await lines.find(nobody, 1) is None
    assert (await lines.search(nobody, pattern("x"), offset=0, until=None, limit=1)).count == 0
    assert await lines.worth(LeaseId(""), grows=True) is None
