"""The compact form: fewer bytes, and the very values of the lines."""

import json
import re
import zlib
from hashlib import sha512
from itertools import chain, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.compact import RECORDS_MIN, decode, encode
from events.catalog import Record
from events.codec import encode as line_of
from events.log import subjects
from tests.bench.farm_log import Farm
from tests.events.test_codec import records


def farm() -> list[bytes]:
    """The lines of a build of 1000 jobs, with ids of chance instead of counted ones."""
    all_ = chain.from_iterable(Farm(kept=2).records(4000))
    own = [line_of(record) for record in all_ if subjects(record)[0] is not None]
    return [re.sub(rb"\b[0-9a-f]{32,64}\b", as_if_by_chance, line) for line in own]


def as_if_by_chance(found: re.Match[bytes]) -> bytes:
    return sha512(found.group()).hexdigest()[: len(found.group())].encode()


@given(st.lists(records, min_size=1, max_size=40), st.booleans())
def test_nothing_is_lost(told: list[Record], more: bool) -> None:
    """Of any records of any type, in any order."""
    lines = [line_of(record) for record in told]
    frame = encode(lines, more=more)
    assert decode(frame) == [json.loads(line) for line in lines]
    head = json.loads(frame)
    assert head["position"] == told[-1].position
    assert head.get("more", False) is more
    assert b"\n" not in frame


@given(records, st.integers(RECORDS_MIN, 10))
def test_records_that_are_alike_are_told_apart_by_their_number(record: Record, count: int) -> None:
    """Columns there are none then."""
    lines = [line_of(record._replace(position=record.position + n)) for n in range(count)]  # type: ignore[arg-type]
    assert decode(encode(lines)) == [json.loads(line) for line in lines]


def test_it_is_small() -> None:
    """A third of the lines' bytes; packed, less than 32 a record, and most of them make up ids."""
    lines = farm()
    frame = encode(lines)
    assert len(frame) < len(b"\n".join(lines)) / 3
    assert len(zlib.compress(frame)) < 32 * len(lines)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
def test_few_records_cost_little_more_than_their_lines(count: int) -> None:
    """As they come while one looks on."""
    lines = farm()[-count:]
    assert len(encode(lines)) < len(b"\n".join(lines)) + 100


def test_times_are_exact() -> None:
    """Whole seconds, microseconds, what is finer than that, and what no browser can count in them."""
    times = [0.0, 5.0, 5.0, 1763770000.25, 1763770000.250001, 1763770000.1234567, 1e-9, 3.0, 1e22, 2.0]
    lines = [
        json.dumps({"position": n, "at": at, "type": "TimePassed"}).encode() for n, at in enumerate(times)
    ]
    assert [record["at"] for record in decode(encode(lines))] == times
    assert list(islice(json.loads(encode(lines))["times"], 5)) == [0, 5000000, 0, 1763769995250000, 1]
