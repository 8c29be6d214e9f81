"""Nothing that a job prints can act on the terminal; its colours can."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.cli.sanitise import PENDING_CHARS_MAX, Sanitiser, sanitise

HOSTILE = {
    "clipboard": b"\x1b]52;c;ZXZpbA==\x07",
    "title": b"\x1b]0;you are root\x1b\\",
    "link": b"\x1b]8;;http://evil/\x1b\\",
    "clear": b"\x1b[2J\x1b[H",
    "alternate screen": b"\x1b[?1049h",
    "device string": b'\x1bP$q"p\x1b\\',
    "private message": b"\x1b^secret\x1b\\",
    "reset": b"\x1bc",
    "charset": b"\x1b(0",
    "report": b"\x1b[6n",
    "eight-bit control": "\x9b2J".encode(),
    "eight-bit title": "\x9d0;x\x9c".encode(),
    "bell and backspace": b"\x07\x08\x08",
    "delete": b"\x7f",
    "reordering": "\u202e\u2066\u200f".encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_acts_is_dropped(name: str) -> None:
    """The text around it stays as it was."""
    assert sanitise(b"before" + HOSTILE[name] + b"after", colour=True) == "beforeafter"


def test_colours_pass_where_they_may_and_end_at_the_end() -> None:
    """Colour is kept for a terminal that shows it, and cannot run on into what follows."""
    red = b"\x1b[1;31mred\x1b[0m plain \x1b[38;5;12mblue"
    assert sanitise(red, colour=True) == "\x1b[1;31mred\x1b[0m plain \x1b[38;5;12mblue\x1b[0m"
    assert sanitise(red, colour=False) == "red plain blue"
    assert sanitise("\x9b31mred".encode(), colour=True) == "\x1b[31mred\x1b[0m"


def test_nothing_is_overwritten() -> None:
    """A carriage return alone starts a new line, so that no text can hide another."""
    assert sanitise(b"10%\r20%\r\ndone\r", colour=True) == "10%\n20%\ndone\n"


def test_bytes_that_are_no_text() -> None:
    """They become replacement characters; what a raw eight-bit control would be is none of them."""
    assert sanitise(b"a\xff\x9b2Jb", colour=True) == "a��2Jb"


def test_a_sequence_that_never_ends_does_not_swallow_everything() -> None:
    """After some thousand characters it is text, though without its beginning."""
    sanitiser = Sanitiser(colour=True)
    title = b"\x1b]0;" + b"x" * PENDING_CHARS_MAX
    assert sanitiser.feed(title) + sanitiser.feed(b"end") == "0;" + "x" * PENDING_CHARS_MAX + "end"


@given(
    st.lists(
        st.sampled_from(
            [*HOSTILE.values(), b"\x1b[31m", b"\x1b", b"[", b"m", b"\r", b"\n", "é\u2028".encode(), b"ab"]
        )
    ),
    st.lists(st.integers(0, 200)),
    st.booleans(),
)
def test_how_the_bytes_are_cut_makes_no_difference(
    pieces: list[bytes], cuts: list[int], colour: bool
) -> None:
    """A stream in pieces reads like the same stream at once, and only colours remain of its escapes."""
    data = b"".join(pieces)
    sanitiser = Sanitiser(colour=colour)
    places = [0, *sorted(cut for cut in cuts if cut <= len(data)), len(data)]
    text = "".join(sanitiser.feed(data[a:b]) for a, b in pairwise(places)) + sanitiser.close()
    assert text == sanitise(data, colour=colour)
    rest = text.replace("\x1b[31m", "").replace("\x1b[0m", "") if colour else text
    assert not any(char < " " and char != "\n" for char in rest)
