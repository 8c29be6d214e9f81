"""What a viewer asks for, and what it is sent: by itself as long as it is behind, then with its audience."""

from collections.abc import AsyncGenerator, Callable

import trio
from attrs import Factory, define
from quart.wrappers import Request, Websocket

from clients.server import Direct
from coordinator.follow import TICK_SECONDS, Follower
from coordinator.history import check_floor, find
from coordinator.http.audience import Audience, Audiences, Topic, Viewer
from coordinator.http.compression import Packed
from coordinator.http.forms import COMPACT, EVENTS, JOINED, LINES, Carrier, Form, Piece, progress
from coordinator.parts import Parts
from events.catalog import EVENTS as TYPES
from events.errors import MALFORMED, Rejected
from events.ids import Position
from events.log import Entry, subjects

SSE = "text/event-stream"


@define(eq=False, kw_only=True)
class Watcher(Viewer):
    """A viewer at the other end of a connection. `told` is where its access line gets the number of bytes.

    With `upto` it gets what is recorded up to there, and nothing that comes.
    """

    topic: Topic
    follower: Follower
    carrier: Carrier
    direct: Direct | None
    upto: Position | None = None
    told: dict[str, int] = Factory(dict)
    packed: Packed = Factory(Packed)

    async def pieces(self, audiences: Audiences, seconds: float) -> AsyncGenerator[Piece]:
        """All that has to be sent to it in the usual way, to the end; with a sign of life every `seconds`."""
        while self.upto is not None and (entries := await self.follower.read_upto(self.upto)):
            past = await audiences.pieces.get(self.topic.form, self.topic, entries, self.follower.is_amid)
            self.packed.note(past.body)
            yield past
        if self.upto is not None:
            return
        fell_behind = False
        while not self.follower.has_ended:
            audience = audiences.of(self.topic)
            if not fell_behind and self._may_join(audience):
                await audiences.join(self.topic, self)
                fell_behind = True
                continue
            piece = await self._next(audiences, audience, 0 if fell_behind else seconds)
            fell_behind = False
            if piece is not None:
                self.packed.note(piece.body)
                yield piece
            if self.direct is None:
                await trio.sleep(TICK_SECONDS)

    def _may_join(self, audience: Audience | None) -> bool:
        follower = self.follower
        if self.direct is None or not follower.has_news:
            return self.direct is not None
        return follower.is_abreast if audience is None else follower.cursor >= audience.cursor

    async def _next(self, audiences: Audiences, audience: Audience | None, seconds: float) -> Piece | None:
        """What it has to catch up with, or else what comes, or a sign of life; None if there is nothing."""
        follower, form = self.follower, self.topic.form
        is_behind = audience is not None and follower.cursor < audience.cursor
        if is_behind and audience is not None:
            entries = await follower.read_upto(audience.cursor)
        else:
            entries = await follower.read(seconds)
        if entries:
            return await audiences.pieces.get(form, self.topic, entries, follower.is_amid)
        return None if is_behind or follower.has_ended else progress(form, follower.cursor)

    def offer(self, piece: Piece) -> bool:
        framed = piece.framed(self.carrier)
        if self.direct is None or not self.direct.write_now(framed):
            return False
        self.packed.note(piece.body)
        self.told["bytes"] = self.told.get("bytes", 0) + len(framed)
        return True

    async def flush(self) -> None:
        if self.direct is not None:
            await self.direct.flush()


async def asked_for(parts: Parts, asked: Request | Websocket, name: str | None) -> tuple[Topic, Follower]:
    """What is to be looked at, and from where on; raises `Rejected`."""
    after = Position(position(asked.args.get("after") or asked.headers.get("Last-Event-ID")))
    if after > parts.journal.durable:
        raise Rejected(MALFORMED, f"after={after} is beyond the last record, {parts.journal.durable}")
    build, form = None if name is None else await find(parts.core, name), _form(asked)
    if build is None:
        check_floor(parts.journal, after)
    topic = Topic(build, _types(asked), asked.args.get("worker"), form)
    follower = Follower(
        parts.journal,
        after,
        build,
        wanted=_filter(topic.types, topic.worker),
        bytes_max=form.bytes_max,
        records_max=form.records_max,
    )
    return topic, follower


def until(parts: Parts, asked: Request) -> Position | None:
    """The position up to which records are wanted, if not all that come; raises `Rejected`."""
    if "upto" not in asked.args:
        return None
    upto = Position(position(asked.args["upto"], "upto"))
    if upto > parts.journal.durable:
        raise Rejected(MALFORMED, f"upto={upto} is beyond the last record, {parts.journal.durable}")
    return upto


def position(text: str | None, name: str = "after") -> int:
    """What the parameter says; raises `Rejected`."""
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise Rejected(MALFORMED, f"{name} must be a position, not {text[:40]!r}")
    return int(text)


def _form(asked: Request | Websocket) -> Form:
    named, as_events = asked.args.get("form", "lines"), SSE in asked.headers.get("Accept", "")
    if named not in ("lines", "compact") or (as_events and named == "compact"):
        raise Rejected(MALFORMED, f"form must be lines or compact, and lines for {SSE}, not {named[:40]!r}")
    if named == "compact":
        return COMPACT
    if isinstance(asked, Websocket):
        return JOINED if asked.args.get("batch") == "1" else LINES
    return EVENTS if as_events else LINES


def _types(asked: Request | Websocket) -> frozenset[str]:
    types = frozenset(asked.args.getlist("type"))
    if unknown := types - TYPES.keys():
        raise Rejected(MALFORMED, f"there is no type of record {min(unknown)[:40]!r}")
    return types


def _filter(types: frozenset[str], worker: str | None) -> Callable[[Entry], bool] | None:
    if not types and worker is None:
        return None

    def wanted(entry: Entry) -> bool:
        fits = not types or type(entry.record.event).__name__ in types
        return fits and (worker is None or subjects(entry.record)[1] == worker)

    return wanted


def is_from_elsewhere(asked: Request | Websocket) -> bool:
    """Pages of other sites must not look in: a browser names the page that opens a socket, or fetches."""
    origin = asked.headers.get("Origin")
    return origin is not None and origin.split("://", 1)[-1] != asked.headers.get("Host")
