"""How records look on a stream: as the log's own lines, as server-sent events, or compact.

A piece of a stream is put into its form once for all who are sent it, and so are the bytes that each carrier
makes of it. Pieces of the past are kept for a while: after a restart everybody comes at once.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from enum import Enum

import trio
from attrs import frozen

from clients import compact
from clients.codec import dumps
from clients.server import as_chunk, as_text_message
from coordinator.disk import RunSync
from coordinator.follow import BYTES_MAX
from coordinator.http.compression import packed_piece
from events.ids import Position
from events.log import Entry

# So many bytes of pieces are kept. What is larger than `INLINE_BYTES` is made by a thread.
KEPT_BYTES = 32 << 20
INLINE_BYTES = 16 << 10


class Carrier(Enum):
    """What becomes of a piece: chunks, chunks of a gzipped body, or the messages of a socket."""

    CHUNKED = "chunked"
    PACKED = "packed"
    SOCKET = "socket"


@frozen(kw_only=True)
class Form:
    """`messages` makes them of records, and of whether the command of the last one goes on after it.

    What is no message of a socket ends with `end`. The limits are those of a `Follower`.
    """

    name: str
    messages: Callable[[Sequence[Entry], bool], list[bytes]]
    end: bytes = b"\n"
    bytes_max: int = BYTES_MAX
    records_max: int | None = None


def _lines(entries: Sequence[Entry], _more: bool) -> list[bytes]:
    return [entry.line for entry in entries]


def _joined(entries: Sequence[Entry], _more: bool) -> list[bytes]:
    return [b"\n".join(_lines(entries, _more))]


def _events(entries: Sequence[Entry], _more: bool) -> list[bytes]:
    return [b"id: %d\ndata: %b" % (entry.record.position, entry.line) for entry in entries]


def _compact(entries: Sequence[Entry], more: bool) -> list[bytes]:
    return [compact.encode(_lines(entries, more), more=more)]


LINES = Form(name="lines", messages=_lines)
JOINED = Form(name="joined", messages=_joined)
EVENTS = Form(name="events", messages=_events, end=b"\n\n")
# The more records there are, the more they have in common.
COMPACT = Form(name="compact", messages=_compact, bytes_max=2 << 20, records_max=8000)


class Piece:
    """Messages that go out together."""

    def __init__(self, form: Form, messages: Sequence[bytes]) -> None:
        self.messages = messages
        self.body = b"".join([message + form.end for message in messages])
        self._packed = b""
        self._framed: dict[Carrier, bytes] = {}

    @property
    def packed(self) -> bytes:
        """The body, as a part of a gzipped one."""
        self._packed = self._packed or packed_piece(self.body)
        return self._packed

    def framed(self, carrier: Carrier) -> bytes:
        """As it goes over the wire."""
        framed = self._framed.get(carrier)
        if framed is None:
            framed = self._framed[carrier] = self._frame(carrier)
        return framed

    def _frame(self, carrier: Carrier) -> bytes:
        match carrier:
            case Carrier.CHUNKED:
                return as_chunk(self.body)
            case Carrier.PACKED:
                return as_chunk(self.packed)
            case Carrier.SOCKET:
                return b"".join(map(as_text_message, self.messages))


def progress(form: Form, position: Position) -> Piece:
    """Everything up to there was sent."""
    said = dumps({"type": "Progress", "position": position})
    return Piece(form, [b"data: " + said if form is EVENTS else said])


class Pieces:
    """Makes pieces, and keeps those that were asked for last."""

    def __init__(self, run_sync: RunSync) -> None:
        self._run_sync = run_sync
        self._kept: OrderedDict[Hashable, Piece] = OrderedDict()
        self._bytes = 0
        self._making: dict[Hashable, trio.Event] = {}

    async def get(self, form: Form, of: Hashable, entries: Sequence[Entry], more: bool) -> Piece:
        """The piece of these records, which are consecutive ones of what `of` says."""
        key = (form.name, of, entries[0].record.position, entries[-1].record.position, more)
        while key not in self._kept:
            if key in self._making:
                await self._making[key].wait()  # as long as it takes to make
                continue
            made = self._making[key] = trio.Event()
            try:
                self._keep(key, await self._make(form, entries, more))
            finally:
                del self._making[key]
                made.set()
        self._kept.move_to_end(key)
        return self._kept[key]

    async def _make(self, form: Form, entries: Sequence[Entry], more: bool) -> Piece:
        def make() -> Piece:
            return Piece(form, form.messages(entries, more))

        is_small = sum(len(entry.text) for entry in entries) < INLINE_BYTES
        return make() if is_small else await self._run_sync(make)

    def _keep(self, key: Hashable, piece: Piece) -> None:
        self._kept[key] = piece
        self._bytes += len(piece.body)
        while self._bytes > KEPT_BYTES and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body)
