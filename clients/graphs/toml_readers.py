"""The tables of a hand-written graph as typed values: what may stand under which key, and nothing else."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from attrs import frozen

from clients.distbuild import Container
from clients.graphs.text import hint
from clients.graphs.toml_places import Place
from events.containers import problems_of

Complain = Callable[[Place, str], None]
Reader = Callable[[Any], Any]

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d+)([KMG]?)\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_RESERVED = {"src", "out", "file", "stem"}


@frozen(kw_only=True)
class Spec:
    """What a job's table says, variables not yet filled in; `write` has (path, text) pairs."""

    run: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    cmds: tuple[tuple[str, ...], ...] = ()
    write: tuple[tuple[str, str], ...] = ()
    inputs: tuple[str, ...] = ()
    deps: tuple[str, ...] = ()
    env: dict[str, str] = {}
    timeout: float = 0.0
    needs: dict[str, str] = {}
    cwd: str = "${src}"
    image: Container | None = None
    each: tuple[str, ...] | None = None
    type: str = ""
    channel: str = ""
    args: Any = None
    after_failure: bool = False

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every text that a worker will see, in which a dependency's artifact may be named, with its key."""
        texts = {
            "run": self.run,
            "cmd": self.cmd,
            "cmds": chain.from_iterable(self.cmds),
            "write": chain.from_iterable(self.write),
            "env": self.env.values(),
            "cwd": (self.cwd,),
        }
        yield from ((key, text) for key, several in texts.items() for text in several)


@frozen(kw_only=True)
class Tables:
    """A whole file: `jobs` by the names in the file, defaults already merged into them."""

    name: str = ""
    keep_going: bool = False
    vars: dict[str, str] = {}
    jobs: dict[str, Spec] = {}


class _Wrong(ValueError):
    """A value is of the wrong kind; the message says what it must be."""


def read(document: Mapping[str, Any], complain: Complain) -> Tables:
    """The document's tables; whatever is wrong goes to `complain` and is left out of the result."""
    top = _table(document, (), _TOP, complain)
    build = _table(top.get("build", {}), ("build",), _BUILD, complain)
    defaults = _table(top.get("defaults", {}), ("defaults",), _DEFAULTS, complain)
    jobs = {
        name: _spec(table, ("jobs", name), defaults, complain) for name, table in top.get("jobs", {}).items()
    }
    if not jobs:
        complain((), "has no jobs; write a table [jobs.NAME] for each")
    own = {name: _var(name, value, complain) for name, value in top.get("vars", {}).items()}
    return Tables(vars=own, jobs=jobs, **build)


def _table(table: Any, place: Place, readers: Mapping[str, Reader], complain: Complain) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        complain(place, "must be a table")
        return {}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in readers:
            near = hint(key, readers)
            complain((*place, key), f"is not known{near or '; known are ' + ', '.join(readers)}")
            continue
        try:
            values[key] = readers[key](value)
        except _Wrong as error:
            complain((*place, key), str(error))
    return values


def _spec(table: Any, place: Place, defaults: Mapping[str, Any], complain: Complain) -> Spec:
    values = _table(table, place, _JOB, complain)
    said = set(table) if isinstance(table, Mapping) else set(_JOB)
    if len(values.keys() & {"run", "cmd", "cmds"}) > 1:
        complain(place, "says more than one of run, cmd and cmds; keep one")
    if said & _TYPED.keys():
        _complain_of_typed(place, said, complain)
    # With an unknown key there is a complaint already, and the key was probably meant to be one of these.
    elif said <= _JOB.keys() and not said & {"run", "cmd", "cmds", "write", "deps", "image"}:
        complain(place, "has nothing to do; give it a run, cmd, cmds, write or image")
    env = {**defaults.get("env", {}), **values.get("env", {})}
    return Spec(**{**defaults, **values, "env": env})


def _complain_of_typed(place: Place, said: set[str], complain: Complain) -> None:
    if "type" not in said:
        complain(place, "has no type, so nobody is told its channel, args or after_failure")
    for key in sorted(said & _JOB.keys() - _TYPED.keys() - {"deps", "each", "needs"}):
        complain((*place, key), "is for jobs that run commands, and this one has a type")


def _var(name: str, value: Any, complain: Complain) -> str:
    if name in _RESERVED or not _NAME.match(name):
        complain(("vars", name), "cannot be a variable's name; use letters, digits, _ and -")
    if not isinstance(value, str):
        complain(("vars", name), "must be a string")
        return ""
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong("must be a string")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise _Wrong("must be a string or a list of strings")
    return tuple(values)


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise _Wrong("must be a list of words, the program first; for a line of shell use run")
    return tuple(value)


def _lines(value: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list):
        raise _Wrong("must be a list of commands, each a list of words")
    return tuple(_words(line) for line in value)


def _writes(value: Any) -> tuple[tuple[str, str], ...]:
    tables = value if isinstance(value, list) else [value]
    pairs = []
    for table in tables:
        if not isinstance(table, dict) or table.keys() != {"file", "text"}:
            raise _Wrong('must be { file = "name", text = "what to write" }, or a list of such')
        pairs.append((_text(table["file"]), _text(table["text"])))
    return tuple(pairs)


def _env(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise _Wrong('must be a table of strings, as in { LANG = "C" }')
    return value


def _seconds(value: Any) -> float:
    seconds = 0.0
    if isinstance(value, str):
        parts = _DURATION.findall(value)
        if "".join(number + unit for number, unit in parts) == value:
            seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    if not 0 < seconds < float("inf"):
        raise _Wrong('must be a duration like "30s", "1m30s" or "250ms", or a positive number of seconds')
    return seconds


def _bytes(value: Any) -> int:
    found = _SIZE.match(value) if isinstance(value, str) else None
    size = int(found[1]) * _BYTES[found[2]] if found else value
    if type(size) is not int or size <= 0:
        raise _Wrong('must be a size like "512M" or "2G", or a positive number of bytes')
    return size


def _image(value: Any) -> Container:
    """An image's name, or a table with its name and what its container may use."""
    table = {"name": value} if isinstance(value, str) else value
    if not isinstance(table, dict) or "name" not in table or not table.keys() <= _IMAGE.keys():
        raise _Wrong(f"must be the name of an image, or a table of it; known are {', '.join(_IMAGE)}")
    said: dict[str, Any] = {}
    for key, one in table.items():
        try:
            said["image" if key == "name" else key] = _IMAGE[key](one)
        except _Wrong as error:
            raise _Wrong(f"{key} {error}") from error
    container = Container(**said)
    for problem in problems_of(container):
        raise _Wrong(f"is not right: {problem}")
    return container


def _amount(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise _Wrong("must be a positive number")
    return float(value)


def _number(value: Any) -> int:
    if type(value) is not int:
        raise _Wrong("must be a whole number")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("must be true or false")
    return value


def _type(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _Wrong("must be a string of at least one character")
    return value


def _json(value: Any) -> Any:
    """Whatever JSON can say, too, which is all but times and what is no number."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise _Wrong("must be something that JSON can say: no dates, times, nan or inf") from error
    return value


def _any_table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong("must be a table")
    return value


_IMAGE: dict[str, Reader] = {
    "name": _text,
    "cpu": _amount,
    "memory": _bytes,
    "disk": _bytes,
    "network": _flag,
    "ports": _texts,
    "restarts": _number,
}
_TOP: dict[str, Reader] = {
    "build": _any_table,
    "vars": _any_table,
    "defaults": _any_table,
    "jobs": _any_table,
}
_BUILD: dict[str, Reader] = {"name": _text, "keep_going": _flag}
_DEFAULTS: dict[str, Reader] = {
    "env": _env,
    "timeout": _seconds,
    "cwd": _text,
    "needs": _env,
    "image": _image,
}
_TYPED: dict[str, Reader] = {"type": _type, "channel": _text, "args": _json, "after_failure": _flag}
_JOB: dict[str, Reader] = {
    "run": _texts,
    "cmd": _words,
    "cmds": _lines,
    "write": _writes,
    "inputs": _texts,
    "deps": _texts,
    "each": _texts,
    **_TYPED,
    **_DEFAULTS,
}
