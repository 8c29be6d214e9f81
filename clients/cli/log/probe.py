"""A program for the interpreter of another version: what do the records add up to there, at some positions?

It is handed over as text and uses nothing of Terzetto but what it is to look at, by names that every
version has: `events.codec.decode`, `events.fold.fold`, `events.state.State`. Both versions run it, so both
put their State into the same words. Fields that are empty are left out, so that one which only one of the
versions knows makes no difference until it says something.

    python -c PROGRAM ROOT POSITION… [--show] < LINES

`ROOT` is where `events` lies, or empty if it is installed. A line for each position: its digest, with
`--show` the whole state; or the error that ended the replay.
"""

import enum
import hashlib
import json
import sys
from typing import Any


def portable(value: Any) -> Any:
    """Plain values, dicts as pairs in their order."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return [[portable(key), portable(item)] for key, item in value.items()]
    names = getattr(value, "_fields", None) or [field.name for field in getattr(value, "__attrs_attrs__", ())]
    if names:
        fields = {name: portable(getattr(value, name)) for name in sorted(names)}
        return {name: item for name, item in fields.items() if item}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    return value


def main(root: str, *arguments: str) -> None:
    if root:
        sys.path.insert(0, root)
    from events.codec import decode
    from events.fold import fold
    from events.state import State

    shows = "--show" in arguments
    wanted = {int(text) for text in arguments if text != "--show"}
    state = State()
    for position, line in enumerate(sys.stdin.buffer, start=1):
        try:
            fold(state, decode(line.rstrip(b"\n")))
        except Exception as error:
            say({"position": position, "error": f"{type(error).__name__}: {error}"})
            return
        if position in wanted:
            value = portable(state)
            text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
            told = {"state": value} if shows else {"digest": hashlib.sha256(text.encode()).hexdigest()}
            say({"position": position, **told})


def say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
