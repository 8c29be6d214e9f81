"""State at a position, in a file: a cache that spares a start the replay of what was replayed before.

Never trusted over the log. It is bound to the code that folded it and to the chain hash at its position, and
has a checksum; if anything is wrong with it, the log is replayed instead, which nothing here touches.

A line of JSON, the head, then the state in pieces, then the SHA-256 of all of it. Each piece is a field of
State or of a build's Graph, or of a large one so many items; msgspec writes and reads them by their types.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import attrs
import msgspec
from attrs import frozen

from events.files import make_directory, write_durably
from events.ids import BuildId, Position
from events.state import Graph, State

NAME = "snapshot-{position:015}.state"
# How many there are: where the latest is no good, the one before may be.
KEPT = 2
# Items of a dict in one piece, so that neither writing nor reading one holds anybody up.
ITEMS_MAX = 4000
_CHECKSUM_BYTES = sha256().digest_size
_LENGTH_BYTES = 4


class BadSnapshot(Exception):
    """The file is no snapshot of this log for this version; the text says why."""


@frozen
class Head:
    """What a snapshot says first: where it belongs, and which code made it."""

    position: int
    chain: str
    code: str


class _Piece(NamedTuple):
    """A part of a field's value; `build` is empty for what is State's own."""

    build: BuildId
    field: str
    value: msgspec.Raw


_write = msgspec.msgpack.Encoder().encode
_read_piece = msgspec.msgpack.Decoder(_Piece).decode
_read_head = msgspec.json.Decoder(Head).decode


def write(directory: Path, state: State, chain: bytes) -> Path:
    """Make `state`, whose log has this chain hash at its position, a snapshot there; durable on return.

    The older ones go, up to a few.
    """
    path = directory / NAME.format(position=state.position)
    make_directory(directory)
    write_durably(path, parts(state, chain))
    for old in found(directory)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def read(path: Path) -> tuple[Head, State]:
    """Raises `BadSnapshot`."""
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise BadSnapshot(f"cannot be read: {error.strerror}") from error


def load(data: bytes) -> tuple[Head, State]:
    """What the parts of a snapshot, put together, stand for; raises `BadSnapshot`."""
    body = memoryview(data)[:-_CHECKSUM_BYTES]
    if len(data) <= _CHECKSUM_BYTES or sha256(body).digest() != data[-_CHECKSUM_BYTES:]:
        raise BadSnapshot("is damaged: its checksum is wrong")
    start = data.find(b"\n") + 1
    try:
        head = _read_head(data[:start])
        if head.code != code():
            raise BadSnapshot("was made by another version")
        state = _state_of(_pieces_in(body[start:]))
    except (msgspec.DecodeError, LookupError, TypeError, ValueError) as error:
        raise BadSnapshot(f"makes no sense: {error!r}") from error
    if state.position != head.position:
        raise BadSnapshot("is of another position than it says")
    return head, state


def parts(state: State, chain: bytes) -> Iterator[bytes]:
    """The bytes of a snapshot, piece by piece."""
    total = sha256()
    for part in _body(state, chain):
        total.update(part)
        yield part
    yield total.digest()


def found(directory: Path) -> list[Path]:
    """The snapshots there, the latest first."""
    return sorted(directory.glob(NAME.replace("{position:015}", "*")), reverse=True)


def position_of(path: Path) -> Position:
    """What the name says; 0 if that is not one of ours."""
    digits = path.name.removeprefix("snapshot-").removesuffix(".state")
    return Position(int(digits) if digits.isascii() and digits.isdigit() else 0)


@cache
def code() -> str:
    """A name for what folds: it changes with every line of this package."""
    return fingerprint(Path(str(files("events"))))


def fingerprint(package: Path) -> str:
    """A hash of all modules there."""
    total = sha256(msgspec.__version__.encode())
    for path in sorted(package.rglob("*.py")):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def _body(state: State, chain: bytes) -> Iterator[bytes]:
    yield msgspec.json.encode(Head(state.position, chain.hex(), code())) + b"\n"
    for build, field, value in _pieces(state):
        piece = _write(_Piece(build, field, msgspec.Raw(_write(value))))
        yield len(piece).to_bytes(_LENGTH_BYTES, "big")
        yield piece


def _pieces(state: State) -> Iterator[tuple[BuildId, str, Any]]:
    """In the order in which `_state_of` puts them together again."""
    for build, graph in state.graphs.items():
        for field in attrs.fields(Graph):
            for value in _paged(getattr(graph, field.name)):
                yield build, field.name, value
    for field in attrs.fields(State):
        if field.name != "graphs":
            for value in _paged(getattr(state, field.name)):
                yield BuildId(""), field.name, value


def _paged(value: Any) -> Iterator[Any]:
    if not isinstance(value, dict) or len(value) <= ITEMS_MAX:
        yield value
        return
    items = iter(value.items())
    while page := dict(islice(items, ITEMS_MAX)):
        yield page


def _pieces_in(data: memoryview) -> Iterator[_Piece]:
    place = 0
    while place < len(data):
        start = place + _LENGTH_BYTES
        place = start + int.from_bytes(data[place:start], "big")
        yield _read_piece(data[start:place])


def _state_of(pieces: Iterator[_Piece]) -> State:
    graphs: dict[BuildId, dict[str, Any]] = {}
    own: dict[str, Any] = {}
    for build, field, raw in pieces:
        value = _decoder(Graph if build else State, field)(raw)
        values = graphs.setdefault(build, {}) if build else own
        if field in values:
            values[field].update(value)
        else:
            values[field] = value
    return State(graphs={build: Graph(**values) for build, values in graphs.items()}, **own)


@cache
def _decoder(cls: type, field: str) -> Callable[[msgspec.Raw], Any]:
    return msgspec.msgpack.Decoder(get_type_hints(cls)[field], dec_hook=_restore).decode


def _restore(kind: Any, value: Any) -> Any:
    """What msgspec has no word for."""
    assert kind.__origin__ is OrderedDict, f"{kind} cannot be kept in a snapshot"
    return OrderedDict(value)
