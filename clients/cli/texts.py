"""Times, sizes and columns as people read them; machines get seconds, bytes and JSON instead."""

from collections.abc import Sequence
from datetime import UTC, datetime


def duration(seconds: float) -> str:
    """`0.4s`, `12s`, `1m 03s`, `2h 05m`."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m"


def size(count: float) -> str:
    """`17 B`, `4.0 KiB`, `1.5 GiB`."""
    unit = "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            break
        count, unit = count / 1024, larger
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"


def instant(seconds: float | None) -> str:
    """Seconds since 1970 as ISO 8601 in UTC; empty for None."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def count(number: int, noun: str) -> str:
    """`1 job`, `3 jobs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def short(identifier: str) -> str:
    """Enough of an id to tell it apart, and enough to type."""
    return identifier[:8]


def plain(text: str) -> str:
    """A name from elsewhere as one harmless line: nothing in it can move the cursor or forge a line."""
    if text.isprintable():  # nearly every text, and this is much faster
        return text
    return "".join(char if char.isprintable() else "�" for char in text)


def middle(text: str, room: int) -> str:
    """The text in at most so many characters: of one that is too long, its two ends."""
    if len(text) <= room:
        return text
    ends = max(0, room - 1)
    return text[: ends - ends // 2] + "…" + (text[-(ends // 2) :] if ends > 1 else "")


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines under the header, each column as wide as its widest entry."""
    table = [[*header], *([plain(entry) for entry in row] for row in rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(header))]
    return [
        "  ".join(entry.ljust(width) for entry, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
