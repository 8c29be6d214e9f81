"""JSON at the border: what becomes a value, and what is refused with the name of the field."""

from typing import Any

import pytest
from attrs import frozen

from clients.codec import (
    INTEGER_MAX,
    Malformed,
    dumps,
    extension,
    loads,
    read,
    structure,
    unstructure,
    wire_name,
    write,
)


@frozen(kw_only=True)
class Inner:
    id: str
    sizes: tuple[int, ...] = ()


@frozen(kw_only=True)
class Outer:
    worker_id: str
    count: int = 0
    share: float = 0.0
    is_on: bool = False
    inners: tuple[Inner, ...] = ()
    labels: dict[str, str] = {}
    note: str | None = None
    extra: str = extension("")


@pytest.mark.parametrize(
    ("name", "wire"), [("id", "ID"), ("worker_id", "WorkerID"), ("missing_files", "MissingFiles")]
)
def test_names_are_spelled_as_go_spells_them(name: str, wire: str) -> None:
    """`ID` stands in capitals, other words begin with one."""
    assert wire_name(name) == wire


def test_a_value_survives_the_wire() -> None:
    """Written and read strictly, it is the same value."""
    value = Outer(
        worker_id="w",
        count=3,
        share=0.5,
        is_on=True,
        inners=(Inner(id="i", sizes=(1, 2)),),
        labels={"k": "v"},
    )
    assert read(write(value), Outer) == value


def test_an_extension_is_written_only_when_it_says_something() -> None:
    """A peer sees exactly the protocol it knows; everything else is there, null included."""
    assert unstructure(Outer(worker_id="w")) == {
        "WorkerID": "w",
        "Count": 0,
        "Share": 0.0,
        "IsOn": False,
        "Inners": [],
        "Labels": {},
        "Note": None,
    }
    assert unstructure(Outer(worker_id="w", extra="x"))["Extra"] == "x"


def test_lenient_reading_is_gos() -> None:
    """Any case, null for anything empty, unknown names ignored; what is known keeps its meaning."""
    sent = {
        "WORKERID": "w",
        "count": None,
        "Inners": [{"iD": "i", "Sizes": None, "New": 1}],
        "labels": None,
        "Note": None,
        "Unknown": {"a": 1},
    }
    assert structure(sent, Outer, lenient=True) == Outer(worker_id="w", inners=(Inner(id="i"),))


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"WorkerID": 3}, ["worker_id", "a string, not int"]),
        ({"WorkerID": "w", "Count": "5"}, ["count", "an integer, not str"]),
        ({"WorkerID": "w", "Count": 1.0}, ["count", "an integer, not float"]),
        ({"WorkerID": "w", "Count": True}, ["count", "an integer, not bool"]),
        ({"WorkerID": "w", "Count": INTEGER_MAX + 1}, ["count", "out of range"]),
        ({"WorkerID": "w", "Share": "1"}, ["share", "a number, not str"]),
        ({"WorkerID": "w", "IsOn": 1}, ["is_on", "true or false, not int"]),
        ({"WorkerID": "w", "Inners": "abc"}, ["inners", "a list, not str"]),
        ({"WorkerID": "w", "Inners": [{"ID": "i"}, {"ID": 7}]}, ["inners[1].id", "a string, not int"]),
        ({"WorkerID": "w", "Labels": {"k": 1}}, ["labels['k']", "a string, not int"]),
        ({"WorkerID": "w", "Labels": []}, ["labels", "an object, not list"]),
        ({"Count": 1}, ["lacks the field WorkerID"]),
        ([], ["an object, not list"]),
    ],
)
def test_nothing_is_coerced(sent: Any, words: list[str], lenient: bool) -> None:
    """The refusal names the place and what is wrong there, in both manners."""
    with pytest.raises(Malformed) as refusal:
        structure(sent, Outer, lenient=lenient)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"WorkerID": "w", "New": 1}, "unknown fields New"),
        ({"workerid": "w"}, "lacks the field WorkerID"),
        ({"WorkerID": "w", "Count": None}, "an integer, not null"),
        ({"WorkerID": "w", "Inners": None}, "a list, not null"),
    ],
)
def test_strict_reading_takes_names_literally(sent: Any, words: str) -> None:
    """No unknown names, no other spelling, no null where a value belongs."""
    with pytest.raises(Malformed, match=words):
        structure(sent, Outer)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{} {}",
        b"NaN",
        b"Infinity",
        b'"\\ud800"',
        b'"\xff"',
        b"[" * 100_000,
        b"\xef\xbb\xbf{}",
        b"1e999",
    ],
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    """Broken, doubled, deep, infinite or not UTF-8: refused before anybody looks at it."""
    with pytest.raises(Malformed, match="not valid JSON"):
        loads(text)


def test_dumps_is_compact_utf8() -> None:
    """No spaces, nothing escaped that need not be."""
    assert dumps({"a": [1, "ü"]}) == '{"a":[1,"ü"]}'.encode()
