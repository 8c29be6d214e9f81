"""Logs as lines: byte for byte what they were, and every altered, moved or missing line found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from events.codec import decode
from events.log import CorruptLog, LogFromTheFuture, MemoryLog, link, read_all
from events.transfer import dump, is_chained, load
from tests.golden.scenarios import HERE

LOGS = sorted(HERE.glob("*.jsonl"))
LINES = LOGS[0].read_bytes().splitlines()


def exported(texts: list[bytes]) -> list[bytes]:
    log = MemoryLog()
    log.append([decode(text) for text in texts])
    return [dump(entry) for entry in read_all(log)]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_there_and_back(path: Path) -> None:
    """An export read and exported again is the same bytes, and a record's text is in it unaltered."""
    texts = path.read_bytes().splitlines()
    lines = exported(texts)
    entries = list(load(lines))
    assert [entry.text for entry in entries] == texts
    assert [dump(entry) for entry in entries] == lines
    assert all(line.startswith(text[:-1]) for line, text in zip(lines, texts, strict=True))


def test_the_hash_is_the_last_field() -> None:
    """64 hex digits, which any JSON parser finds; texts of their own accord have none."""
    [line] = exported(LINES[:1])
    assert line == LINES[0][:-1] + b',"chain":"' + link(bytes(32), LINES[0]).hex().encode() + b'"}'
    assert is_chained(line)
    assert not is_chained(LINES[0])


def test_nothing_is_the_log_of_nothing() -> None:
    assert list(load([])) == []


def test_lines_of_a_stream_make_a_log_too() -> None:
    """They carry no hashes; the chain is made as they are read."""
    assert [dump(entry) for entry in load(LINES)] == exported(LINES)


def alter(lines: list[bytes]) -> None:
    lines[6] = lines[6].replace(b'"at":1763770000', b'"at":1763770001')


def remove(lines: list[bytes]) -> None:
    del lines[6]


def swap(lines: list[bytes]) -> None:
    lines[6], lines[7] = lines[7], lines[6]


def repeat(lines: list[bytes]) -> None:
    lines.insert(6, lines[5])


def strip(lines: list[bytes]) -> None:
    lines[6] = LINES[6]


def rehash(lines: list[bytes]) -> None:
    lines[6] = lines[6][:-10] + b"00000000" + lines[6][-2:]


def reformat(lines: list[bytes]) -> None:
    lines[6] = lines[6].replace(b":", b": ", 1)


def cut(lines: list[bytes]) -> None:
    lines[6] = lines[6][:40]


def retype(lines: list[bytes]) -> None:
    lines[6] = lines[6].replace(b'"type":"', b'"type":"X')


@pytest.mark.parametrize("harm", [alter, remove, swap, repeat, strip, rehash, reformat, cut, retype])
def test_harm_is_found_where_it_was_done(harm: Callable[[list[bytes]], None]) -> None:
    """The text names the record; what stands before it was given out."""
    lines = exported(LINES)
    whole = list(lines)
    harm(lines)
    assert lines != whole
    found = []
    with pytest.raises(CorruptLog, match=r"record 7 "):
        found += [dump(entry) for entry in load(lines)]
    entries = load(lines)
    assert [dump(next(entries)) for _ in range(6)] == whole[:6]


@pytest.mark.parametrize("harm", [remove, swap, repeat, reformat, cut])
def test_without_hashes_still_something_is_found(harm: Callable[[list[bytes]], None]) -> None:
    """Not what was altered into another record."""
    lines = list(LINES)
    harm(lines)
    with pytest.raises(CorruptLog, match=r"record 7 "):
        list(load(lines))


def test_the_first_hash_may_not_be_taken_away() -> None:
    """It would make all the others doubtful."""
    lines = exported(LINES)
    lines[0] = LINES[0]
    with pytest.raises(CorruptLog, match="record 1 was altered"):
        list(load(lines))


def test_what_a_newer_version_wrote_is_no_damage() -> None:
    """Its hash is right, its type unknown: upgrade."""
    text = b'{"position":1,"at":1.0,"type":"JobTeleported"}'
    for line in (text, text[:-1] + b',"chain":"' + link(bytes(32), text).hex().encode() + b'"}'):
        with pytest.raises(LogFromTheFuture, match="JobTeleported"):
            list(load([line]))
