"""Where in a TOML text a key stands, so that a complaint about its meaning can name the line.

tomllib tells lines only for faults of syntax. This looks at the text line by line and believes a line
to be a table or a key only where the parsed document has one of that name; inside multi-line strings
and arrays it may still be taken in, so a line is a help to the reader and nothing else depends on it.
"""

import tomllib
from collections.abc import Mapping
from typing import Any

Place = tuple[str, ...]


def places(text: str, document: Mapping[str, Any]) -> dict[Place, int]:
    """The line, from 1, on which each table and key of `document` is first said."""
    found: dict[Place, int] = {}
    table: Place = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("["):
            header = _path(line)
            if _has(document, header):
                table = header
                _note(found, table, number)
        elif "=" in line:
            _note(found, (*table, *_path(line.partition("=")[0] + "= {}")), number, document)
    return found


def line_of(place: Place, found: Mapping[Place, int]) -> int | None:
    """The line of the place, or of the nearest place around it that is known."""
    while place and place not in found:
        place = place[:-1]
    return found.get(place)


def dotted(place: Place) -> str:
    """The place as TOML writes it."""
    return ".".join(part if part.replace("-", "_").isidentifier() else f'"{part}"' for part in place)


def _path(line: str) -> Place:
    try:
        value: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    path: Place = ()
    while isinstance(value, dict) and value:
        path = (*path, next(iter(value)))
        value = value[path[-1]]
    return path


def _has(document: Mapping[str, Any], place: Place) -> bool:
    value: Any = document
    for part in place:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return bool(place)


def _note(
    found: dict[Place, int], place: Place, number: int, document: Mapping[str, Any] | None = None
) -> None:
    if document is not None and not _has(document, place):
        return
    for size in range(1, len(place) + 1):
        found.setdefault(place[:size], number)
