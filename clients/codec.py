"""JSON at the border: bytes become frozen values or a `Malformed` that names the field, never a guess.

Two manners of reading attrs classes, one of writing them:

* *lenient* follows Go's `encoding/json`, for dialects whose peers are Go programs: names in any case,
  `null` for an empty list, map, text or number, unknown names ignored;
* *strict* takes names literally and refuses unknown ones.

Neither coerces: `"5"` is no number, `true` is no integer, `1.0` is no integer. (cattrs on its own would
coerce all three, hence the hooks for primitives.)
"""

from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_origin

import attrs
import cattrs
import msgspec
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

T = TypeVar("T")

INTEGER_MAX = 2**53
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Malformed(ValueError):
    """What a peer sent is not what the protocol says; the text names the place and the fault."""


def loads(data: bytes) -> Any:
    """Parse one JSON value; NaN, infinities, lone surrogates and broken UTF-8 are refused."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not valid JSON: {error}") from error


def dumps(value: object) -> bytes:
    """Compact UTF-8 JSON of plain values."""
    return _encode(value)


def read(data: bytes, cls: type[T], *, lenient: bool = False) -> T:
    """Parse `data` into `cls`; raises `Malformed`."""
    return structure(loads(data), cls, lenient=lenient)


def structure(value: object, cls: type[T], *, lenient: bool = False) -> T:
    """Turn parsed JSON into `cls`; raises `Malformed`."""
    try:
        return (_lenient if lenient else _strict).structure(value, cls)
    except (cattrs.BaseValidationError, ValueError) as error:
        raise Malformed("; ".join(cattrs.transform_error(error, "body", _describe))) from error


def unstructure(value: object) -> Any:
    """Turn an attrs value into plain JSON values under its wire names."""
    return _strict.unstructure(value)


def write(value: object) -> bytes:
    """The JSON bytes of an attrs value."""
    return _encode(_strict.unstructure(value))


def extension(default: Any) -> Any:
    """A field that the protocol does not know: written only when it differs from `default`.

    So a peer sees exactly the protocol it knows, until there is something to tell it.
    """
    return attrs.field(default=default, metadata={"extension": True})


def null_when_empty(cls: type[attrs.AttrsInstance], *names: str) -> None:
    """From now on write an empty list in these fields of `cls` as null, as Go writes one that was never set.

    To some Go programs a list that is there and empty is not the same as none.
    """
    plainly = make_dict_unstructure_fn(cls, _strict, **_renames(attrs.resolve_types(cls)))
    keys = [wire_name(name) for name in names]

    def write_nulls(value: Any) -> dict[str, Any]:
        plain = plainly(value)
        for key in keys:
            plain[key] = plain[key] or None
        return plain

    _strict.register_unstructure_hook(cls, write_nulls)


def wire_name(name: str) -> str:
    """`missing_files` → `MissingFiles`, `worker_id` → `WorkerID`: Go's spelling of a field."""
    return "".join("ID" if part == "id" else part.capitalize() for part in name.split("_"))


def _describe(error: BaseException, _type: type | None) -> str:
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        return f"has unknown fields {', '.join(sorted(error.extra_fields))}"
    if isinstance(error, KeyError):
        return f"lacks the field {error.args[0]}"
    return str(error)


def _wrong(wanted: str, value: object) -> ValueError:
    return ValueError(f"must be {wanted}, not {'null' if value is None else type(value).__name__}")


def _exactly(cls: type, wanted: str) -> Callable[[Any, Any], Any]:
    def read_primitive(value: Any, _cls: Any) -> Any:
        if type(value) is not cls:
            raise _wrong(wanted, value)
        return value

    return read_primitive


def _integer(value: Any, _cls: Any) -> int:
    if type(value) is not int:
        raise _wrong("an integer", value)
    if abs(value) > INTEGER_MAX:
        raise ValueError(f"is out of range: {value}")
    return value


def _number(value: Any, _cls: Any) -> float:
    if type(value) not in (int, float):
        raise _wrong("a number", value)
    return float(value)


def _renames(cls: type) -> dict[str, Any]:
    return {
        field.name: override(
            rename=wire_name(field.name), omit_if_default=bool(field.metadata.get("extension")) or None
        )
        for field in attrs.fields(cls)
    }


def _checked(kind: type, wanted: str, inner: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def read_checked(value: Any, cls: Any) -> Any:
        if type(value) is not kind:
            raise _wrong(wanted, value)
        return inner(value, cls)

    return read_checked


def _tuple_factory(cls: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    item: Any = get_args(cls)[0]
    read_item = converter.get_structure_hook(item)

    def read_tuple(value: Any, _cls: Any) -> tuple[Any, ...]:
        try:
            return tuple([read_item(entry, item) for entry in value])
        except (ValueError, cattrs.BaseValidationError):
            again: Any = list.__class_getitem__(item)
            return tuple(converter.structure(value, again))  # again, for an error that names the index

    return _checked(list, "a list", read_tuple)


def _dict_factory(cls: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    plain = cattrs.gen.mapping_structure_factory(cls, converter)
    return _checked(dict, "an object", plain)


def _object_factory(cls: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    return _checked(
        dict, "an object", make_dict_structure_fn(cls, converter, **_renames(attrs.resolve_types(cls)))
    )


def _lenient_object_factory(cls: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    strictly = _object_factory(cls, converter)
    spelling = {wire_name(field.name).lower(): wire_name(field.name) for field in attrs.fields(cls)}

    def read_object(value: Any, kind: Any) -> Any:
        if type(value) is dict:
            value = {
                spelling.get(name.lower(), name): entry for name, entry in value.items() if entry is not None
            }
        return strictly(value, kind)

    return read_object


def _is_tuple(hint: Any) -> bool:
    return get_origin(hint) is tuple


def _is_dict(hint: Any) -> bool:
    origin: Any = get_origin(hint)
    return origin is dict


def _is_plain(hint: Any) -> bool:
    """Text, and lists and maps of text: JSON values already, so nothing need be copied to write them."""
    return (_is_tuple(hint) or _is_dict(hint)) and all(arg in (str, ...) for arg in get_args(hint))


def _as_it_is(value: Any) -> Any:
    return value


def _converter(*, lenient: bool) -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=not lenient)
    converter.register_structure_hook(str, _exactly(str, "a string"))
    converter.register_structure_hook(bool, _exactly(bool, "true or false"))
    converter.register_structure_hook(int, _integer)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_factory(_is_tuple, _tuple_factory)
    converter.register_structure_hook_factory(_is_dict, _dict_factory)
    if lenient:
        converter.register_structure_hook_factory(attrs.has, _lenient_object_factory)
    else:
        converter.register_structure_hook_factory(attrs.has, _object_factory)
    converter.register_unstructure_hook_func(_is_plain, _as_it_is)
    converter.register_unstructure_hook_factory(
        attrs.has, lambda cls: make_dict_unstructure_fn(cls, converter, **_renames(attrs.resolve_types(cls)))
    )
    return converter


_strict = _converter(lenient=False)
_lenient = _converter(lenient=True)
