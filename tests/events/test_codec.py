"""One text for each record, for ever: written by cattrs, read by msgspec, and the two agree."""

import json
from collections.abc import Callable
from typing import Any, get_args, get_origin

import attrs
import cattrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import codec
from events.catalog import EVENTS, Command, Event, JobAdded, JobLeased, JobReleased, Record, TimePassed
from events.codec import (
    FromTheFuture,
    Unreadable,
    Upcaster,
    decode,
    decode_rows,
    decode_typed,
    encode,
)
from events.ids import BuildId, JobId, LeaseId, Position, WorkerId
from events.log import CorruptLog, MemoryLog


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type, defaults and nested classes included, as JSON can hold it."""
    if attrs.has(kind):
        fields = {field.name: values(field.type) for field in attrs.fields(kind)}
        return st.builds(kind, **fields)
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if get_origin(kind) is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    plain = {int: st.integers(-(2**53), 2**53), float: st.floats(allow_nan=False, allow_infinity=False)}
    return plain[kind] if kind in plain else st.from_type(kind)


events = st.one_of([values(cls) for cls in EVENTS.values()])
times = st.floats(0, 2**40)
records: st.SearchStrategy[Record] = st.builds(Record, st.integers(1, 2**53).map(Position), times, events)

RELEASED = Record(
    Position(7),
    1763770000.25,
    JobReleased(build=BuildId("b"), job=JobId("j"), lease=LeaseId("l"), reason="worker-lost"),
)


@given(records)
def test_a_record_reads_as_it_was_written(record: Record) -> None:
    """The same value, and written again the same bytes."""
    text = encode(record)
    assert decode(text) == record
    assert encode(decode(text)) == text
    assert decode_typed(record.position, record.at, type(record.event).__name__, text) == record


@given(records)
def test_cattrs_reads_what_msgspec_reads(record: Record) -> None:
    """The writer's own library finds the same values in the text."""
    value = json.loads(encode(record))
    assert value.pop("position") == record.position
    assert value.pop("at") == record.at
    cls: type[Event] = EVENTS[value.pop("type")]
    converter = cattrs.Converter(forbid_extra_keys=True)
    assert converter.structure(value, cls) == record.event


@given(records)
def test_a_text_is_one_line_of_utf8(record: Record) -> None:
    """So that a file of lines is a log, whatever people put into names."""
    text = encode(record)
    assert b"\n" not in text
    assert b"\r" not in text
    assert msgspec.json.decode(text) == json.loads(text.decode())


@given(events)
def test_defaults_are_left_out(event: Event) -> None:
    """A new field with a default changes no old record's text."""
    written = json.loads(encode(Record(Position(1), 0.0, event)))
    for field in attrs.fields(type(event)):
        value, default = getattr(event, field.name), field.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time
            default = default.factory()
        assert (field.name in written) == (default is attrs.NOTHING or value != default)


def test_the_canonical_text() -> None:
    """Flat, compact, the head first, then the fields in the order of the catalog."""
    assert encode(RELEASED) == (
        b'{"position":7,"at":1763770000.25,"type":"JobReleased",'
        b'"build":"b","job":"j","lease":"l","reason":"worker-lost"}'
    )
    leased = JobLeased(
        build=BuildId("b"), job=JobId("j"), lease=LeaseId("l"), worker=WorkerId("ü"), attempt=1, reason="r"
    )
    assert (
        encode(Record(Position(1), 2.0, leased))
        == (
            '{"position":1,"at":2.0,"type":"JobLeased",'
            '"build":"b","job":"j","lease":"l","worker":"ü","attempt":1,"reason":"r"}'
        ).encode()
    )


def test_commands_inside_a_record_leave_defaults_out_too() -> None:
    """Most jobs use two of a command's five fields."""
    event = JobAdded(build=BuildId("b"), job=JobId("j"), commands=(Command(exec=("ls",)),))
    text = encode(Record(Position(1), 0.0, event))
    assert text.endswith(b'"build":"b","job":"j","commands":[{"exec":["ls"]}]}')


def test_no_field_hides_the_head() -> None:
    """A record is flat: its place, time and type have names that no event uses."""
    for cls in EVENTS.values():
        assert not {"position", "at", "type"} & {field.name for field in attrs.fields(cls)}


def test_an_old_record_lacks_what_came_later() -> None:
    """Fields with defaults are read as those."""
    text = b'{"position":1,"at":0.0,"type":"WorkerJoined","worker":"w"}'
    event: Any = decode(text).event
    assert (event.worker, event.session, event.slots, event.labels, event.native) == ("w", "", 0, {}, False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not a record"),
        (b"[]", "not a record"),
        (b"\xff", "not a record"),
        (b"[" * 100_000, "not a record"),
        (b'{"at":0.0,"type":"TimePassed"}', "position"),
        (b'{"position":"1","at":0.0,"type":"TimePassed"}', "position"),
        (b'{"position":1,"at":"0","type":"TimePassed"}', "at"),
        (b'{"position":1,"at":1e999,"type":"TimePassed"}', "at"),
        (b'{"position":1,"at":0.0,"type":5}', "type"),
        (b'{"position":1,"at":0.0,"type":"WorkerLost","worker":"w"}', "reason"),
        (b'{"position":1,"at":0.0,"type":"WorkerLost","worker":5,"reason":"r"}', "worker"),
        (b'{"position":1,"at":0.0,"type":"WorkRequested","worker":"w","slots_free":1.5}', "slots_free"),
        (b'{"position":1,"at":0.0,"type":"WorkRequested","worker":"w","slots_free":true}', "slots_free"),
    ],
)
def test_what_is_no_record_is_refused(text: bytes, words: str) -> None:
    """The text says what is wrong and where; nothing is coerced or guessed."""
    with pytest.raises(Unreadable, match=words) as caught:
        decode(text)
    assert not isinstance(caught.value, FromTheFuture)


def test_an_unknown_type_is_from_the_future() -> None:
    """It is not skipped: what it says may be what everything after it rests on."""
    with pytest.raises(FromTheFuture, match=r"record 3 .*'JobTeleported'.*upgrade"):
        decode(b'{"position":3,"at":0.0,"type":"JobTeleported"}')


def test_a_newer_format_is_from_the_future() -> None:
    """Even if it looks familiar."""
    with pytest.raises(FromTheFuture, match=r"record 7 has format 2, the newest known here is 1: upgrade"):
        decode(encode(RELEASED), codec.FORMAT + 1)
    with pytest.raises(FromTheFuture, match=r"record 7 has format 2"):
        decode(encode(RELEASED)[:-1] + b',"format":2}')


def test_an_older_format_is_brought_up_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step knows two formats; the reader knows one."""
    monkeypatch.setattr(codec, "FORMAT", 3)
    first = Upcaster(lambda value: {**value, "type": "JobReleased"}, b"", b"")
    monkeypatch.setitem(codec.UPCASTERS, 1, first)
    second = Upcaster(lambda value: {**value, "reason": value.pop("why")}, b"", b"")
    monkeypatch.setitem(codec.UPCASTERS, 2, second)
    old = (
        b'{"position":7,"at":1763770000.25,"type":"JobGivenBack",'
        b'"build":"b","job":"j","lease":"l","why":"worker-lost"}'
    )
    assert decode(old, 1) == RELEASED
    assert decode(old.replace(b"JobGivenBack", b"JobReleased"), 2) == RELEASED
    assert decode(encode(RELEASED), 3) == RELEASED


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((7, 1.5, "JobReleased", b"{}"), "record 7 is damaged"),
        ((7, 1, "JobReleased", "{}"), "record 7 is damaged"),
        ((7, 1.5, None, "{}"), "unknown type None"),
        ((7, 1.5, "JobReleased", "{}"), "record 7 .JobReleased. cannot be read"),
    ],
)
def test_rows_are_not_believed(row: Any, words: str) -> None:
    """A bit that fell over in the database's own bookkeeping makes a column another type."""
    with pytest.raises(Unreadable, match=words):
        decode_rows([row])


OLD = b'{"position":7,"at":1.5,"type":"JobGivenBack","build":"b","job":"j","lease":"l","reason":"r"}'
NEW = OLD.replace(b"JobGivenBack", b"JobReleased")


def renaming(**changed: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda value: {**value, "type": "JobReleased", **changed}


@pytest.mark.parametrize(
    ("upcasters", "words"),
    [
        ({}, "every older format needs its upcaster"),
        ({1: Upcaster(lambda value: value, OLD, NEW)}, "the step from format 1 gives"),
        ({1: Upcaster(renaming(build="c"), OLD, NEW.replace(b'"b"', b'"c"'))}, "changes 'build'"),
        ({1: Upcaster(renaming(at=2.5), OLD, NEW.replace(b"1.5", b"2.5"))}, "changes 'at'"),
        ({1: Upcaster(renaming(), OLD, NEW), 2: Upcaster(renaming(), NEW, NEW)}, "every older format"),
    ],
)
def test_a_format_that_could_not_be_read_again_is_not_begun(
    monkeypatch: pytest.MonkeyPatch, upcasters: dict[int, Upcaster], words: str
) -> None:
    """The module is not even imported then."""
    monkeypatch.setattr(codec, "FORMAT", 2)
    monkeypatch.setattr(codec, "UPCASTERS", {1: Upcaster(renaming(), OLD, NEW)})
    codec.check_upcasters()
    monkeypatch.setattr(codec, "UPCASTERS", upcasters)
    with pytest.raises(AssertionError, match=words):
        codec.check_upcasters()


def test_no_event_says_what_every_record_says() -> None:
    """These words are the record's own in all formats."""
    for cls in EVENTS.values():
        assert {field.name for field in attrs.fields(cls)}.isdisjoint(
            {"position", "at", "type", "format", "chain"}
        )


def test_unreadable_is_a_value_error_and_not_a_corrupt_log() -> None:
    """Which of the two it is, is for the log to say."""
    assert issubclass(Unreadable, ValueError)
    assert not issubclass(CorruptLog, Unreadable)
    assert MemoryLog().append([Record(Position(1), 0.0, TimePassed())]) == [
        b'{"position":1,"at":0.0,"type":"TimePassed"}'
    ]
