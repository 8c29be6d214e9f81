"""The end of SQLite's write-ahead log: torn, as a power cut may leave it, or damaged after it was synced.

SQLite reads frame after frame up to the first that does not fit, and forgets the rest, whatever that is. But
what stands beyond a commit was written only when that commit had been synced. So a commit that SQLite does
not see, and that something follows, had been acknowledged: then it is no torn end.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
# The header's first number says in which order the bytes are that checksums are made of.
_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}
Sums = tuple[int, int]


class Frame(NamedTuple):
    """A page of the database as of then; the last one of a commit says how many pages there are."""

    page: int
    pages: int
    salts: Sums
    sums: Sums
    offset: int


class WriteAheadLog:
    """The bytes of one."""

    def __init__(self, content: bytes, page_bytes: int) -> None:
        self._content = content
        self._page_bytes = page_bytes

    def hides_commits(self, frames: int) -> bool:
        """Had more than the first `frames`, which SQLite sees, been synced?"""
        before: Frame | None = None
        for frame in self._frames(frames):
            if before is not None and before.pages and self._follows(before, frame):
                return True
            before = frame
        return False

    def _frames(self, after: int) -> Iterator[Frame]:
        step, salts = _FRAME.size + self._page_bytes, self._salts()
        for offset in range(HEADER.size + after * step, len(self._content) - step + 1, step):
            page, pages, salt, other, first, second = _FRAME.unpack_from(self._content, offset)
            if salts in (None, (salt, other)):  # those of an earlier use of the file have others
                yield Frame(page, pages, (salt, other), (first, second), offset)

    def _salts(self) -> Sums | None:
        """Those of its frames; None if the header is damaged."""
        if len(self._content) < HEADER.size:
            return None
        magic, _, _, _, salt, other, *sums = HEADER.unpack_from(self._content)
        order = _ORDERS.get(magic, "<")
        return (salt, other) if list(_sums(self._content[:24], (0, 0), order)) == sums else None

    def _follows(self, before: Frame, frame: Frame) -> bool:
        """Was this one written right after that one?"""
        if frame.salts != before.salts or frame.offset - before.offset != _FRAME.size + self._page_bytes:
            return False
        head = self._content[frame.offset : frame.offset + 8]
        start = frame.offset + _FRAME.size
        body = self._content[start : start + self._page_bytes]
        return any(_sums(body, _sums(head, before.sums, order), order) == frame.sums for order in "<>")


def _sums(data: bytes, start: Sums, order: str) -> Sums:
    """SQLite's checksum, going on from `start`."""
    first, second = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
