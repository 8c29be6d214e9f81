"""A line in a few colours: how wide it is, how it is cut, and what a terminal gets of it."""

from typing import Self

from attrs import frozen
from rich.cells import cell_len, set_cell_size

_CODES = {
    "": "",
    "blue": "34",
    "bold": "1",
    "bold red": "1;31",
    "dim": "2",
    "green": "32",
    "magenta": "35",
    "yellow": "33",
}


@frozen
class Ink:
    """Pieces of text, each with the name of its style, which may be none."""

    pieces: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text: str, style: str = "") -> Self:
        return cls(((text, style),))

    def then(self, text: str, style: str = "") -> "Ink":
        """The same, and this behind it."""
        return Ink((*self.pieces, (text, style)))

    @property
    def plain(self) -> str:
        return "".join(text for text, _ in self.pieces)

    @property
    def columns(self) -> int:
        """How much room it takes; some characters take two columns, some none."""
        return sum(cell_len(text) for text, _ in self.pieces)

    def cut(self, room: int) -> "Ink":
        """In at most so many columns, which are one at least."""
        if self.columns <= room:
            return self
        kept, left = [], room - 1
        for text, style in self.pieces:
            text = set_cell_size(text, min(left, cell_len(text)))
            kept.append((text, style))
            left -= cell_len(text)
        return Ink((*kept, ("…", kept[-1][1])))

    def painted(self, *, color: bool) -> str:
        """With the sequences that colour it, if it is to have colour."""
        if not color:
            return self.plain
        return "".join(
            f"\x1b[{_CODES[style]}m{text}\x1b[0m" if style and text else text for text, style in self.pieces
        )
