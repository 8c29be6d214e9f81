"""Record ⇄ canonical JSON text: the same bytes on disk, on every stream and in every export.

One flat object: `{"position":7,"at":1763770000.25,"type":"JobLeased", …the event's own fields}`, fields
in the order of the catalog, those at their default left out. cattrs writes; msgspec, which knows attrs
classes and gives the same values faster, reads (a test holds the two against each other).

Evolution: a new field has a default and old records simply lack it. Anything else is a new format: raise
`FORMAT`, and add to `UPCASTERS` what turns a record of the format before into one of this. An unknown
type or a newer format is refused, never skipped.
"""

from collections.abc import Callable, Iterable
from typing import Any

import attrs
import cattrs
import msgspec
from cattrs.gen import make_dict_unstructure_fn

from events.catalog import EVENTS, Event, Record
from events.ids import Position

FORMAT = 1
# {format: function from a record of that format to one of the next, both as plain values}
UPCASTERS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

_write_json = msgspec.json.Encoder().encode
_read_json = msgspec.json.Decoder().decode


@attrs.frozen
class _Head:
    position: int
    at: float
    type: str


_read_head = msgspec.json.Decoder(_Head).decode


class Unreadable(ValueError):
    """The text is no record of any format that this version knows."""


class FromTheFuture(Unreadable):
    """The record was written by a newer Terzetto; upgrade to read it."""


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(omit_if_default=True)
    converter.register_unstructure_hook_factory(
        attrs.has, lambda cls: make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True)
    )
    return converter


_unstructurers: dict[type[Event], Callable[[Event], dict[str, Any]]] = {}
_readers: dict[str, Callable[[bytes | str], Event]] = {}


def _prepare() -> None:
    converter = _converter()
    for name, cls in EVENTS.items():
        attrs.resolve_types(cls)
        _unstructurers[cls] = converter.get_unstructure_hook(cls)
        _readers[name] = msgspec.json.Decoder(cls).decode


_prepare()


def encode(record: Record) -> bytes:
    """The record's one and only text, without a line end."""
    event = record.event
    head = {"position": record.position, "at": record.at, "type": type(event).__name__}
    head.update(_unstructurers[type(event)](event))
    return _write_json(head)


def decode_typed(position: int, at: float, type_name: str, text: bytes) -> Record:
    """The record of a text whose head is known already, as from a log's columns; raises `Unreadable`."""
    reader = _readers.get(type_name)
    if reader is None:
        raise FromTheFuture(
            f"record {position} has the unknown type {type_name!r}, from a newer version: upgrade"
        )
    try:
        return Record(Position(position), at, reader(text))
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise Unreadable(f"record {position} ({type_name}) cannot be read: {error}") from error


def decode_rows(rows: Iterable[tuple[Position, Any, Any, Any]]) -> list[Record]:
    """The records of a log's rows, as `decode_typed` gives them at twice the cost; raises `Unreadable`."""
    records, readers = [], _readers
    for position, at, type_name, text in rows:
        if type(text) is not str or type(at) is not float:
            raise Unreadable(f"record {position} is damaged")
        try:
            event = readers[type_name](text)
        except (KeyError, msgspec.DecodeError, TypeError, ValueError):
            decode_typed(position, at, type_name, text.encode())  # says what is wrong
            raise
        records.append(Record(position, at, event))
    return records


def decode(text: bytes, written_in: int = FORMAT) -> Record:
    """The record of a text of any known format; raises `Unreadable`."""
    if written_in > FORMAT:
        raise FromTheFuture(f"format {written_in} is newer than {FORMAT}, the newest known here: upgrade")
    try:
        if written_in < FORMAT:
            text = _write_json(upcast(_read_json(text), written_in))
        head = _read_head(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"not a record: {error}") from error
    return decode_typed(head.position, head.at, head.type, text)


def upcast(value: dict[str, Any], written_in: int) -> dict[str, Any]:
    """A record of an older format as one of the newest."""
    for step in range(written_in, FORMAT):
        value = UPCASTERS[step](value)
    return value


assert set(UPCASTERS) == set(range(1, FORMAT)), "every older format needs its upcaster"
