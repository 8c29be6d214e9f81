"""Lines in a few colours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.cli.ink import Ink


def test_colour_is_only_there_if_it_is_wanted() -> None:
    """And ends with the piece that has it."""
    ink = Ink.of("build", "bold").then("  ").then("✗ 1", "bold red")
    assert ink.painted(color=False) == ink.plain == "build  ✗ 1"
    assert ink.painted(color=True) == "\x1b[1mbuild\x1b[0m  \x1b[1;31m✗ 1\x1b[0m"


@pytest.mark.parametrize(
    ("room", "text"),
    [(9, "one 世界"), (8, "one 世界"), (7, "one 世…"), (6, "one  …"), (5, "one …"), (1, "…")],
)
def test_what_is_too_long_is_cut(room: int, text: str) -> None:
    """Where half of a wide character would be, there is a space."""
    assert Ink.of("one ").then("世界", "blue").cut(room).plain == text


@given(
    st.lists(st.text(st.characters(categories=["L", "N", "P", "So"]), max_size=8), min_size=1),
    st.integers(1, 30),
)
def test_it_never_takes_more_room_than_there_is(texts: list[str], room: int) -> None:
    """Nor less than it could, but for half of a wide character."""
    ink = Ink(tuple((text, "") for text in texts))
    assert ink.cut(room).columns <= room
    assert ink.cut(room).columns >= min(room, ink.columns) - 1
