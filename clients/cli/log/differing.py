"""What changed between two points of the log: how much of each kind, then the things themselves."""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import asdict

from clients.cli import printing
from clients.cli.errors import usage
from clients.cli.log import reading, standing
from clients.cli.log.options import Moment
from clients.cli.log.showing import moment
from clients.cli.texts import count, duration, plain, short
from events.hindsight.difference import Change, differences, transitions
from events.sqlite import SqliteReader
from events.state import State

# Of each kind so many are shown, unless all are asked for.
SHOWN_MAX = 20
# What is told of a thing that was not there before, or is not any more: the rest is for programs.
_TOLD = {
    "build": ("status",),
    "job": ("status", "worker"),
    "lease": ("worker",),
    "worker": ("status", "slots_free", "slots"),
    "source": ("size",),
    "setting": ("value",),
}

# What changes along with the rest, and is told of by itself only.
_SAID_OTHERWISE = ("lease", "note")


def diff(
    reader: SqliteReader, first: Moment, second: Moment, build: str, *, show_all: bool, as_json: bool
) -> int:
    """Raises `Failure` for points beyond the end of the log, or in the wrong order."""
    before = standing.replayed(reader, first)
    after = standing.replayed(reader, second)
    if after.position < before.position:
        order = f"position {after.position} is before {before.position}"
        raise usage(order, fix="name the earlier one first")
    only = reading.find_build(reader, build) if build else None
    found = [change for change in differences(before, after) if only is None or change.concerns(only)]
    if as_json:
        ends = {"from": _end(before), "to": _end(after)}
        printing.as_json({**ends, "changes": [asdict(change) for change in found]})
    else:
        printing.lines([plain(line) for line in _lines(before, after, found, show_all=show_all)])
    return 0


def _end(state: State) -> dict[str, object]:
    return {"position": state.position, "at": state.at, "time": moment(state.at)}


def _lines(before: State, after: State, found: list[Change], *, show_all: bool) -> Iterator[str]:
    later = f": {duration(after.at - before.at)} later" if before.position else ""
    yield f"from record {before.position}, {moment(before.at)}" if before.position else "from the beginning"
    yield f"to record   {after.position}, {moment(after.at)}{later}"
    if not found:
        yield "nothing changed"
    moved = transitions(found)
    for kind in dict.fromkeys(change.kind for change in found):
        changes = [change for change in found if change.kind == kind]
        yield _counted(changes, kind)
        if kind == "job":
            yield from (f"  {number} {_way(*pair)}" for pair, number in moved.most_common())
        shown = changes if show_all else changes[:SHOWN_MAX]
        yield from (f"  {_line(change)}" for change in shown)
        if len(changes) > len(shown):
            yield f"  … and {len(changes) - len(shown)} more; --all shows them"


def _counted(changes: list[Change], kind: str) -> str:
    new = sum(change.before is None for change in changes)
    gone = sum(change.after is None for change in changes)
    parts = ((new, "new"), (gone, "gone"), (len(changes) - new - gone, "changed"))
    return f"{count(len(changes), kind)}: " + ", ".join(f"{n} {word}" for n, word in parts if n)


def _way(before: object, after: object) -> str:
    return f"{before or 'not there'} → {after or 'not there'}"


def _line(change: Change) -> str:
    """`+` is new, `-` is gone, and of what is still there only what changed is told."""
    name = _called(change)
    if change.before is None or change.after is None:
        values = change.after or change.before or {}
        told = ", ".join(_value(key, values[key]) for key in _TOLD.get(change.kind, ()) if values[key] != "")
        return f"{'+' if change.before is None else '-'} {name}{': ' if told else ''}{told}"
    changed = [key for key, value in change.after.items() if change.before[key] != value]
    changed = [key for key in changed if key not in _SAID_OTHERWISE] or changed
    told = ", ".join(_changed(key, change.before, change.after) for key in changed)
    return f"  {name}: {told}"


def _changed(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    label = "" if key in ("status", "value") else f"{key.replace('_', ' ')} "
    return f"{label}{_text(key, before[key])} → {_text(key, after[key])}"


def _value(key: str, value: object) -> str:
    return _text(key, value) if key in ("status", "worker", "value") else f"{key.replace('_', ' ')} {value}"


def _text(key: str, value: Any) -> str:
    if key in ("lease", "blob", "digest", "session"):
        return short(value) or "none"
    if key == "builds":
        return " ".join(short(id_) for id_ in value)
    return str(value).removeprefix("http://") or "none"


def _called(change: Change) -> str:
    """By name where there is one, and of which build or worker."""
    ids = change.ids
    match change.kind:
        case "build":
            return f"{short(ids[0])} {change.name}".rstrip()
        case "job":
            return f"{change.name or short(ids[1])} of build {short(ids[0])}"
        case "artifact":
            return f"{change.name or short(ids[1])} on {ids[0].removeprefix('http://')}"
        case "lease":
            return f"{short(ids[0])} of {change.name or 'a job'}"
        case "worker" | "setting":
            return ids[0].removeprefix("http://")
        case _:
            return short(ids[0])
