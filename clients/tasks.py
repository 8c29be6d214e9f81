"""Cube's wire types, field for field as Go's encoding/json writes them, and as strictly read.

From the book's sources: names are Go's exported field names, states are integers, what was never set is
`null`, empty or zero, and a name that is not known is refused in the words of Go's decoder.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any
from uuid import UUID

from attrs import frozen

from clients import codec
from clients.codec import INTEGER_MAX, Malformed

PATH_TASKS = "/tasks"
PATH_NODES = "/nodes"
PATH_STATS = "/stats"
NEVER = "0001-01-01T00:00:00Z"
NOBODY = "00000000-0000-0000-0000-000000000000"


class State(IntEnum):
    """What a task is, or is wished to be."""

    PENDING = 0
    SCHEDULED = 1
    RUNNING = 2
    COMPLETED = 3
    FAILED = 4


@frozen(kw_only=True)
class PortBinding:
    """Where on a machine a port of a container is."""

    host_ip: str = ""
    host_port: str = ""


@frozen(kw_only=True)
class Task:
    """A container that is to run, or runs, or did; memory and disk in bytes."""

    id: str = NOBODY
    container_id: str = ""
    name: str = ""
    state: int = State.PENDING
    image: str = ""
    cpu: float = 0
    memory: int = 0
    disk: int = 0
    exposed_ports: dict[str, dict[str, str]] | None = None
    host_ports: dict[str, tuple[PortBinding, ...]] | None = None
    port_bindings: dict[str, str] | None = None
    restart_policy: str = ""
    start_time: str = NEVER
    finish_time: str = NEVER
    health_check: str = ""
    restart_count: int = 0


@frozen(kw_only=True)
class TaskEvent:
    """A wish: that the task be in this state."""

    id: str = NOBODY
    state: int = State.PENDING
    timestamp: str = NEVER
    task: Task = Task()


@frozen(kw_only=True)
class Node:
    """A worker, as the manager sees it; memory in kB, disk in bytes."""

    name: str
    ip: str = ""
    api: str
    memory: int = 0
    memory_allocated: int = 0
    disk: int = 0
    disk_allocated: int = 0
    stats: dict[str, Any] | None = None
    role: str = "worker"
    task_count: int = 0


@frozen(kw_only=True)
class ErrResponse:
    """What every refusal looks like, `HTTPStatusCode` included."""

    status: int
    message: str

    def encoded(self) -> bytes:
        return codec.dumps({"HTTPStatusCode": self.status, "Message": self.message}) + b"\n"


def time_text(at: float) -> str:
    """Seconds since 1970 as Go writes a time in UTC; 0 is Go's zero time."""
    if not at:
        return NEVER
    text = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"


def as_number(value: float) -> float:
    """As Go writes a float: a whole one without a point."""
    return int(value) if float(value).is_integer() and abs(value) < INTEGER_MAX else float(value)


def as_uuid(text: str) -> str | None:
    """The usual spelling of a UUID in any that Go's parser takes; None if it takes it for none."""
    bare = text
    if len(text) == 38 and text[0] + text[-1] == "{}":
        bare = text[1:-1]
    elif len(text) == 45 and text[:9].lower() == "urn:uuid:":
        bare = text[9:]
    if len(bare) not in (32, 36) or not (_UUID.match(bare) or _BARE.match(bare)):
        return None
    return str(UUID(bare))


def read_event(body: bytes) -> TaskEvent:
    """A task event, or `Malformed` in the words in which Go's decoder would refuse it."""
    value = _first_value(body)
    if value is None:
        return TaskEvent()
    event: TaskEvent = _EVENT(value, "")
    return event


_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_BARE = re.compile(r"[0-9a-fA-F]{32}\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,](\d+))?(?:Z|[+-]\d\d:\d\d)\Z")
_KINDS = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
# Reads a value that is not null; the text says where it stands.
_Reader = Callable[[Any, str], Any]


def _first_value(body: bytes) -> Any:
    """As Go's decoder does it: what comes after the first value is not looked at."""
    try:
        text = body.decode()
        start = len(text) - len(text.lstrip(" \t\r\n"))
        return json.JSONDecoder(parse_constant=_no_constant).raw_decode(text, start)[0]
    except json.JSONDecodeError as error:
        raise Malformed(_syntax(error, text)) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise Malformed("invalid character in string literal") from error


def _no_constant(name: str) -> Any:
    raise Malformed(f"invalid character '{name[0]}' looking for beginning of value")


_SYNTAX = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
}


def _syntax(error: json.JSONDecodeError, text: str) -> str:
    if not text.strip():
        return "EOF"
    place = error.pos
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    if place >= len(text) or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    return f"invalid character {text[place]!r} {_SYNTAX.get(error.msg, 'looking for beginning of value')}"


def _wrong(value: Any, where: str, kind: str) -> Malformed:
    what = _KINDS.get(type(value), "value")
    if what == "number" and kind not in ("string", "bool", "float64", "uuid.UUID"):
        what = f"number {json.dumps(value)}" if kind in ("int", "int64", "task.State") else what
    place = f"struct field {where}" if where else "value"
    return Malformed(f"json: cannot unmarshal {what} into Go {place} of type {kind}")


def _text(value: Any, where: str) -> str:
    if type(value) is not str:
        raise _wrong(value, where, "string")
    return value


def _whole(kind: str) -> _Reader:
    def read(value: Any, where: str) -> int:
        if type(value) is not int or abs(value) > INTEGER_MAX:
            raise _wrong(value, where, kind)
        return value

    return read


def _number(value: Any, where: str) -> float:
    if type(value) not in (int, float):
        raise _wrong(value, where, "float64")
    return as_number(value)


def _id(value: Any, where: str) -> str:
    if type(value) is not str:
        raise _wrong(value, where, "uuid.UUID")
    found = as_uuid(value)
    if found is None:
        is_long = len(value) in (32, 36, 38, 45)
        raise Malformed("invalid UUID format" if is_long else f"invalid UUID length: {len(value)}")
    return found


def _time(value: Any, _where: str) -> str:
    if type(value) is not str:
        raise Malformed("Time.UnmarshalJSON: input is not a JSON string")
    if not _TIME.match(value):
        quoted = json.dumps(value, ensure_ascii=False)
        layout = "2006-01-02T15:04:05Z07:00"
        raise Malformed(f'parsing time {quoted} as "{layout}": cannot parse {quoted} as "2006"')
    return value


def _nothing(value: Any, where: str) -> dict[str, str]:
    """Go's `struct{}`."""
    if type(value) is not dict:
        raise _wrong(value, where, "struct {}")
    for name in value:
        raise Malformed(f'json: unknown field "{name}"')
    return {}


def _map(inner: _Reader, kind: str, zero: Any) -> _Reader:
    def read(value: Any, where: str) -> dict[str, Any]:
        if type(value) is not dict:
            raise _wrong(value, where, kind)
        return {key: zero if item is None else inner(item, where) for key, item in value.items()}

    return read


def _list(inner: _Reader, kind: str) -> _Reader:
    def read(value: Any, where: str) -> tuple[Any, ...]:
        if type(value) is not list:
            raise _wrong(value, where, kind)
        return tuple(inner(item, where) for item in value if item is not None)

    return read


def _struct(cls: type[Any], name: str, /, **fields: _Reader) -> _Reader:
    """As Go reads one that knows its fields: names in any case, null is as if it were not there."""
    spelling = {codec.wire_name(field).lower(): field for field in fields}

    def read(value: Any, where: str) -> Any:
        if type(value) is not dict:
            raise _wrong(value, where, name)
        path = where.partition(".")[2]
        found: dict[str, Any] = {}
        for key, item in value.items():
            field = spelling.get(key.lower())
            if field is None:
                raise Malformed(f'json: unknown field "{key}"')
            if item is not None:
                below = ".".join(part for part in (path, codec.wire_name(field)) if part)
                found[field] = fields[field](item, f"{name.rpartition('.')[2]}.{below}")
        return cls(**found)

    return read


_BINDING = _struct(PortBinding, "nat.PortBinding", host_ip=_text, host_port=_text)
_TASK = _struct(
    Task,
    "task.Task",
    id=_id,
    container_id=_text,
    name=_text,
    state=_whole("task.State"),
    image=_text,
    cpu=_number,
    memory=_whole("int64"),
    disk=_whole("int64"),
    exposed_ports=_map(_nothing, "nat.PortSet", {}),
    host_ports=_map(_list(_BINDING, "[]nat.PortBinding"), "nat.PortMap", ()),
    port_bindings=_map(_text, "map[string]string", ""),
    restart_policy=_text,
    start_time=_time,
    finish_time=_time,
    health_check=_text,
    restart_count=_whole("int"),
)
_EVENT = _struct(TaskEvent, "task.TaskEvent", id=_id, state=_whole("task.State"), timestamp=_time, task=_TASK)
