"""Times, sizes and names as people read them."""

import pytest

from clients.cli import texts


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3.0, "0.0s"),
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (63.0, "1m 03s"),
        (3599.6, "1h 00m"),
        (7500.0, "2h 05m"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """A duration has at most two units, and a clock that went back makes none below zero."""
    assert texts.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536 << 20, "1.5 GiB"), (5 << 50, "5120.0 TiB")],
)
def test_sizes(count: int, text: str) -> None:
    """Sizes are in powers of 1024."""
    assert texts.size(count) == text


def test_instants_are_utc() -> None:
    """Times are ISO 8601, whatever the time zone here; none is empty."""
    assert texts.instant(1763770000.25) == "2025-11-22T00:06:40Z"
    assert texts.instant(None) == ""


def test_a_name_from_elsewhere_stays_on_its_line() -> None:
    """Control characters, escapes and characters that reorder text become visible harmless ones."""
    assert texts.plain("a\nb\x1b[2J\u202ec d") == "a�b�[2J�c d"


def test_columns_are_as_wide_as_they_need_to_be() -> None:
    """No entry is cut, no line ends in spaces."""
    assert texts.columns(("A", "LONG"), [("one\n", "x"), ("", "y")]) == ["A     LONG", "one�  x", "      y"]


@pytest.mark.parametrize(
    ("room", "text"), [(9, "test/link"), (8, "test…ink"), (3, "t…k"), (2, "t…"), (1, "…"), (0, "…")]
)
def test_of_what_is_too_long_the_ends_are_shown(room: int, text: str) -> None:
    """They tell more than its middle."""
    assert texts.middle("test/link", room) == text


def test_what_reorders_a_name_is_seen_in_it() -> None:
    """At a terminal, too, a name must not look like another one."""
    assert texts.plain("safe\u202egpj.exe \u2066x\u2069") == "safe�gpj.exe �x�"
