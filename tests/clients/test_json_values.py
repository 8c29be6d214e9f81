"""Concatenated JSON, cut anywhere; and refusals put into words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.codec import Malformed
from clients.json_values import Splitter, reason_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
OBJECTS = st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=5)


@given(objects=OBJECTS, space=st.sampled_from(["", "\n", " \r\n\t"]), escaped=st.booleans(), data=st.data())
def test_objects_come_back_whatever_the_chunks(
    objects: list[object], space: str, escaped: bool, data: st.DataObject
) -> None:
    """However the stream is cut, each object is found once, whole and in order."""
    stream = (
        space.join(json.dumps(value, ensure_ascii=escaped) for value in objects).encode() + space.encode()
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter, found = Splitter(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += [json.loads(value) for value in splitter.feed(stream[start:end])]
    splitter.close()
    assert found == objects


def test_an_object_is_given_as_soon_as_it_is_complete() -> None:
    """No value waits for the next one to begin."""
    splitter = Splitter()
    assert splitter.feed(b'{"a":"}') == []
    assert splitter.feed(b'"}') == [b'{"a":"}"}']
    assert splitter.feed(b'{"b":"\\') == []
    assert splitter.feed(b'""}{') == [b'{"b":"\\""}']
    with pytest.raises(Malformed, match="within"):
        splitter.close()


@pytest.mark.parametrize("stream", [b"null", b"[1]", b'{"a":1} 500 Internal', b"<html>"])
def test_anything_but_objects_is_refused(stream: bytes) -> None:
    """What is no JSON object is told at once."""
    with pytest.raises(Malformed, match="expected a JSON object"):
        Splitter().feed(stream)


def test_a_value_too_large() -> None:
    """A value without end does not fill memory."""
    splitter = Splitter(bytes_max=100)
    with pytest.raises(Malformed, match="exceeds 100 bytes"):
        splitter.feed(b'{"a":"' + b"x" * 200)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no such build", "no such build"),
        ('{"BuildFailed":{"Error":"cycle"}}', "cycle"),
        ('{"BuildFailed":null,"error":"x"}', "x"),
        ('{"message":"m"}', "m"),
        ('{"kind":"Error","message":"m","reason":"r"}', '{"kind":"Error","message":"m","reason":"r"}'),
        ("[1]", "[1]"),
        ("{}", "{}"),
        ("\ud800", "\ud800"),
    ],
)
def test_the_reason_in_a_refusal(text: str, reason: str) -> None:
    """Plain text stands for itself; known JSON shapes give their message."""
    assert reason_of(text) == reason
