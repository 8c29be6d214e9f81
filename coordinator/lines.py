"""What jobs print, by the line: numbers while only a part is loaded, search, and the line to look at first.

A stream is read a step at a time, in a thread, and few steps at once, so that neither long outputs nor many
readers hold up anybody. What a step has found out about bytes holds for ever, since output only grows: it is
remembered for the outputs that were asked for last.
"""

import re
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import attrs
import trio

from coordinator.disk import RunSync
from coordinator.matching import LINE_CHARS_MAX, Hit, Sight, count, matching, shown, sight
from coordinator.output import OutputStore
from events.ids import LeaseId

T = TypeVar("T")

BLOCK_BYTES = 64 << 10
STEP_BYTES = 4 * BLOCK_BYTES
# What one search looks through; whoever wants more goes on from where it stopped.
SEARCH_BYTES = 16 << 20
STEPS_AT_ONCE = 2
OUTPUTS_REMEMBERED = 64


@attrs.frozen(kw_only=True)
class Source:
    """One stream of a lease; `grows`: it is live, so its last line may not be whole yet."""

    lease: LeaseId
    stream: str
    grows: bool


@attrs.frozen(kw_only=True)
class Numbers:
    """A sparse index of lines: `before[k]` newlines come before byte `k * BLOCK_BYTES`, `newlines` in all."""

    size: int
    newlines: int
    before: list[int]


@attrs.frozen(kw_only=True)
class Line:
    """A line by number, from 1 on, and the byte that it begins at."""

    line: int
    offset: int


@attrs.frozen(kw_only=True)
class Matches:
    """`count` lines up to the byte `next` match; the first of them by name. `next` may be the end so far."""

    size: int
    next: int
    count: int
    lines: list[Line]


@attrs.frozen(kw_only=True)
class Worth:
    """The line to look at first. `kind`: it names an `error`, is a `mention` of one, or the `last` line."""

    kind: str
    stream: str
    line: int
    offset: int
    text: str


@attrs.define(eq=False)
class _Known:
    """What was found out about a stream: newlines before each block; errors before the byte `seen`."""

    before: "array[int]" = attrs.field(factory=lambda: array("Q", [0]))
    seen: int = 0
    lines_seen: int = 0
    error: Line | None = None
    mention: Line | None = None
    lock: trio.Lock = attrs.field(factory=trio.Lock)


class Lines:
    """The lines of what is in the output store."""

    def __init__(self, outputs: OutputStore, run_sync: RunSync) -> None:
        self._outputs = outputs
        self._run_sync = run_sync
        self._turns = trio.CapacityLimiter(STEPS_AT_ONCE)
        self._known: OrderedDict[tuple[LeaseId, str], _Known] = OrderedDict()

    async def numbers(self, source: Source) -> Numbers:
        """The index of all that is printed so far."""
        known, size = await self._counted(source)
        rest, _ = await self._step(source, size // BLOCK_BYTES * BLOCK_BYTES, size, _newlines)
        return Numbers(size=size, newlines=known.before[-1] + rest, before=list(known.before))

    async def find(self, source: Source, number: int) -> int | None:
        """The byte at which the line of this number begins; None if there is no such line yet."""
        known, size = await self._counted(source)
        block = max(0, bisect_left(known.before, number - 1) - 1)
        rest = number - 1 - known.before[block]
        begin = block * BLOCK_BYTES
        inside, _ = await self._step(source, begin, min(begin + BLOCK_BYTES, size), _after, rest)
        return begin + inside if inside is not None and begin + inside < size else None

    async def number(self, source: Source, offset: int) -> int:
        """The number of the line in which this byte is."""
        known, size = await self._counted(source)
        offset = min(offset, size)
        block = offset // BLOCK_BYTES
        rest, _ = await self._step(source, block * BLOCK_BYTES, offset, _newlines)
        return known.before[block] + rest + 1

    async def search(
        self, source: Source, wanted: re.Pattern[bytes], *, offset: int, until: int | None, limit: int
    ) -> Matches:
        """Lines that match, from the line that begins at `offset` on, of those that begin before `until`.

        At most `SEARCH_BYTES` are looked through. A line that is longer than a step counts as several.
        """
        size = self._outputs.readable(source.lease, source.stream)
        stop = size if until is None else until
        end = min(size, stop, offset + SEARCH_BYTES)
        number, total, lines = await self.number(source, offset), 0, list[Line]()
        while offset < end:
            is_enough = len(lines) >= limit and offset + STEP_BYTES <= stop
            look = _count if is_enough else _search
            (found, hits, passed), upto = await self._lines(source, offset, size, look, wanted, stop - offset)
            if upto == offset:
                break
            lines += [_line(hit, number, offset) for hit in hits[: limit - len(lines)]]
            number, total, offset = number + passed, total + found, upto
        return Matches(size=size, next=offset, count=total, lines=lines)

    async def worth(self, lease: LeaseId, *, grows: bool) -> Worth | None:
        """The line of either stream that a person would look for first; None if nothing was printed."""
        sources = [Source(lease=lease, stream=name, grows=grows) for name in ("stderr", "stdout")]
        known = [await self._sighted(source) for source in sources]
        for kind in ("error", "mention"):
            for source, each in zip(sources, known, strict=True):
                line: Line | None = getattr(each, kind)
                if line is not None:
                    return await self._worth(kind, source, line)
        for source in sources:
            if (last := await self._last(source)) is not None:
                return await self._worth("last", source, last)
        return None

    async def _worth(self, kind: str, source: Source, line: Line) -> Worth:
        text, _ = await self._step(source, line.offset, line.offset + 8 * LINE_CHARS_MAX, shown)
        return Worth(kind=kind, stream=source.stream, line=line.line, offset=line.offset, text=text)

    async def _last(self, source: Source) -> Line | None:
        size = self._outputs.readable(source.lease, source.stream)
        begin = max(0, size - BLOCK_BYTES)
        inside, _ = await self._step(source, begin, size, _last_begins)
        if inside is None:
            return None
        return Line(line=await self.number(source, begin + inside), offset=begin + inside)

    async def _sighted(self, source: Source) -> _Known:
        known = self._remembered(source)
        async with known.lock:
            size = self._outputs.readable(source.lease, source.stream)
            while known.error is None and known.seen < size:
                (found, passed), upto = await self._lines(source, known.seen, size, _look)
                if upto == known.seen:
                    break
                if found.error is not None:
                    known.error = _line(found.error, known.lines_seen + 1, known.seen)
                if found.mention is not None and known.mention is None:
                    known.mention = _line(found.mention, known.lines_seen + 1, known.seen)
                known.lines_seen, known.seen = known.lines_seen + passed, upto
        return known

    async def _counted(self, source: Source) -> tuple[_Known, int]:
        """The newlines before each whole block of what is there, and its size."""
        known = self._remembered(source)
        async with known.lock:
            size = self._outputs.readable(source.lease, source.stream)
            while len(known.before) <= size // BLOCK_BYTES:
                begin = (len(known.before) - 1) * BLOCK_BYTES
                end = min(begin + STEP_BYTES, size // BLOCK_BYTES * BLOCK_BYTES)
                counts, _ = await self._step(source, begin, end, _newlines_of_blocks)
                for count in counts:
                    known.before.append(known.before[-1] + count)
        return known, size

    async def _step(
        self, source: Source, begin: int, end: int, work: Callable[..., T], *args: object
    ) -> tuple[T, int]:
        """Do the work on these bytes, in a thread; and where they end."""
        async with self._turns:
            data = await self._outputs.read(source.lease, source.stream, begin, end - begin)
            return await self._run_sync(work, data, *args), begin + len(data)

    async def _lines(
        self, source: Source, begin: int, size: int, work: Callable[..., T], *args: object
    ) -> tuple[T, int]:
        """Do the work on the whole lines of the next step; and where they end.

        The last line of a stream that grows is left for later; one that has no end within a step is cut.
        """
        async with self._turns:
            data = await self._outputs.read(source.lease, source.stream, begin, min(STEP_BYTES, size - begin))
            is_last = begin + len(data) >= size
            whole = data.rfind(b"\n") + 1
            if (is_last and not source.grows) or (not whole and not is_last):
                whole = len(data)
            return await self._run_sync(work, data[:whole], *args), begin + whole

    def _remembered(self, source: Source) -> _Known:
        key = source.lease, source.stream
        known = self._known.setdefault(key, _Known())
        self._known.move_to_end(key)
        if len(self._known) > OUTPUTS_REMEMBERED:
            self._known.popitem(last=False)
        return known


def _line(hit: Hit, number: int, offset: int) -> Line:
    return Line(line=number + hit.line, offset=offset + hit.offset)


def _newlines(data: bytes) -> int:
    return data.count(b"\n")


def _newlines_of_blocks(data: bytes) -> list[int]:
    return [data.count(b"\n", begin, begin + BLOCK_BYTES) for begin in range(0, len(data), BLOCK_BYTES)]


def _after(data: bytes, newlines: int) -> int | None:
    """Where the text after so many newlines begins."""
    parts = data.split(b"\n", newlines)
    return len(data) - len(parts[-1]) if len(parts) > newlines else None


def _last_begins(data: bytes) -> int | None:
    """Where the last line begins that says something."""
    text = data.rstrip()
    return text.rfind(b"\n") + 1 if text else None


def _search(data: bytes, wanted: re.Pattern[bytes], until: int) -> tuple[int, list[Hit], int]:
    """How many lines match of those that begin before `until`; which; and how many there are."""
    hits = [hit for hit in matching(data, wanted) if hit.offset < until]
    return len(hits), hits, data.count(b"\n")


def _count(data: bytes, wanted: re.Pattern[bytes], _until: int) -> tuple[int, list[Hit], int]:
    """As `_search` of a whole step, without which."""
    return count(data, wanted), [], data.count(b"\n")


def _look(data: bytes) -> tuple[Sight, int]:
    return sight(data), data.count(b"\n")
