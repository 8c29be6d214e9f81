"""Record ⇄ canonical JSON text: the same bytes on disk, on every stream and in every export.

One flat object: `{"position":7,"at":1763770000.25,"type":"JobLeased", …the event's own fields}`, fields
in the order of the catalog, those at their default left out. cattrs writes; msgspec, which knows attrs
classes and gives the same values faster, reads (a test holds the two against each other).

Evolution: a new field has a default and old records simply lack it. Anything else is a new format: raise
`FORMAT`, and add to `UPCASTERS` what turns a record of the format before into one of this. An unknown
type or a newer format is refused, never skipped. From format 2 on a log's first record and every
`CoordinatorStarted` say in which format they and all after them are written: a last key, `"format"`.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import attrs
import cattrs
import msgspec
from cattrs.gen import make_dict_unstructure_fn

from events.catalog import EVENTS, CoordinatorStarted, Event, Record
from events.ids import Position

FORMAT = 1


class Upcaster(NamedTuple):
    """`step` makes a record of one format one of the next, both as plain values: of `sample`, `becomes`.

    It leaves the position, the time and what the record is about as they are.
    """

    step: Callable[[dict[str, Any]], dict[str, Any]]
    sample: bytes
    becomes: bytes


# From each older format to the one after it.
UPCASTERS: dict[int, Upcaster] = {}

_write_json = msgspec.json.Encoder().encode
_read_json = msgspec.json.Decoder().decode


@attrs.frozen
class Head:
    """What the texts of all formats, past and future, have in common; `format` is 0 where none is said."""

    position: int
    at: float
    type: str
    format: int = 0


_read_head = msgspec.json.Decoder(Head).decode


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


# What a record says of itself, beside the event's own fields.
HEAD = {"position", "at", "type", "format"}

_unstructurers: dict[type[Event], Callable[[Event], dict[str, Any]]] = {}
_readers: dict[str, Callable[[bytes | str], Event]] = {}


def _prepare() -> None:
    converter = _converter()
    for name, cls in EVENTS.items():
        attrs.resolve_types(cls)
        assert not HEAD & attrs.fields_dict(cls).keys(), f"{name} has a field that the record itself has"
        _unstructurers[cls] = converter.get_unstructure_hook(cls)
        _readers[name] = msgspec.json.Decoder(cls).decode


_prepare()


def encode(record: Record) -> bytes:
    """The record's one and only text, without a line end."""
    event = record.event
    head = {"position": record.position, "at": record.at, "type": type(event).__name__}
    head.update(_unstructurers[type(event)](event))
    if FORMAT > 1 and (record.position == 1 or isinstance(event, CoordinatorStarted)):
        head["format"] = FORMAT
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


def decode(text: bytes, written_in: int | None = None) -> Record:
    """The record of a text in a known format, today's unless told otherwise; raises `Unreadable`."""
    head = read_head(text)
    written_in = head.format or written_in or FORMAT
    if written_in > FORMAT:
        raise FromTheFuture(
            f"record {head.position} has format {written_in}, the newest known here is {FORMAT}: upgrade"
        )
    if written_in < FORMAT:
        text = _upcast(text, written_in)
        head = read_head(text)
    return decode_typed(head.position, head.at, head.type, text)


def read_head(text: bytes) -> Head:
    """What a record of any format says first; raises `Unreadable`."""
    try:
        return _read_head(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"not a record: {error}") from error


def quoted(text: str) -> bytes:
    """A text as it stands in a record's text."""
    return _write_json(text)


def unknown_fields(record: Record, text: bytes) -> set[str]:
    """What the text, in today's format, says that this version does not know of."""
    known = {*HEAD, *(field.name for field in attrs.fields(type(record.event)))}
    return set(_read_json(text)) - known


def check_upcasters() -> None:
    """Every older format has its step, and each step does with its sample what it says."""
    assert set(UPCASTERS) == set(range(1, FORMAT)), "every older format needs its upcaster"
    for older, (step, sample, becomes) in UPCASTERS.items():
        before, after = _read_json(sample), step(_read_json(sample))
        assert _write_json(after) == becomes, f"the step from format {older} gives {after}"
        for key in ("position", "at", "build", "worker"):
            assert before.get(key) == after.get(key), f"the step from format {older} changes {key!r}"
        decode(sample, older)


def _upcast(text: bytes, written_in: int) -> bytes:
    """A text of an older format as one of today's; raises `Unreadable`."""
    try:
        value = _read_json(text)
        for step in range(written_in, FORMAT):
            value = UPCASTERS[step].step(value)
        return _write_json(value)
    except (msgspec.DecodeError, LookupError, TypeError, ValueError) as error:
        raise Unreadable(f"no record of format {written_in}: {error!r}") from error


check_upcasters()
