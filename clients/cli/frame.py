"""The lines at the end of a terminal that are drawn again and again, below what stays.

No alternate screen, and the cursor stays visible at their end: even a killed process leaves nothing to be
repaired. Each picture is one write, so that nothing flickers, and one that is like the last is none.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TextIO

_ERASE_BELOW = "\x1b[J"


class Drawn(NamedTuple):
    """A line as the terminal gets it, and how many columns it takes."""

    text: str
    columns: int


class Frame:
    """Draws on `stream`; `reflows`: a terminal that becomes narrower breaks lines that are too long now."""

    def __init__(self, stream: TextIO, *, reflows: bool = True) -> None:
        self._stream = stream
        self._reflows = reflows
        self._lines: tuple[Drawn, ...] = ()
        self._size = os.terminal_size((0, 0))

    @property
    def size(self) -> os.terminal_size:
        """The terminal's as it is now."""
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return shutil.get_terminal_size()
        return size if size.columns and size.lines else shutil.get_terminal_size()

    def draw(self, lines: Sequence[Drawn], above: str = "") -> None:
        """Show these lines instead of the last ones, and `above` before them for good."""
        size = self.size
        if not self._is_in_foreground:
            # Whoever is there draws, and we only say what is to stay.
            self._stream.write(above)
            self._stream.flush()
            self.forget()
            return
        if not above and tuple(lines) == self._lines and size == self._size:
            return
        self._stream.write(self._erasure(size.columns) + above + "\n".join(line.text for line in lines))
        self._stream.flush()
        self._lines, self._size = tuple(lines), size

    def forget(self) -> None:
        """Somebody else used the terminal: begin at its cursor, as if nothing had been drawn before."""
        self._lines, self._size = (), os.terminal_size((0, 0))

    @property
    def _is_in_foreground(self) -> bool:
        """A shell that was told `bg`, or `&`, uses the terminal itself."""
        try:
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except (OSError, ValueError):
            return True  # no terminal, or none of a shell's

    def _erasure(self, columns: int) -> str:
        """Go up to where the last picture begins, as the terminal shows it now, and erase from there on."""
        rows = sum(max(1, -(-line.columns // columns)) if self._reflows else 1 for line in self._lines)
        return (f"\x1b[{rows - 1}A" if rows > 1 else "") + "\r" + _ERASE_BELOW


def reflows(environ: Mapping[str, str]) -> bool:
    """Most terminals break long lines anew when they become narrower; these cut them off."""
    return not (environ.get("XTERM_VERSION") or environ.get("STY") or environ.get("TERM") == "linux")
