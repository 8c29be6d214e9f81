"""Work on a log that takes long, in a process of its own: `python -m coordinator.keeping VERB …`.

It only reads the log, so it needs no lock, may be killed at any instant, and keeps no heartbeat waiting. What
it is told to do, and how it says what became of it, is `coordinator.keeper`'s business alone.
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from events import segments, snapshot
from events.digest import digest
from events.files import beside
from events.ids import Position
from events.restore import DIRECTORY, restore
from events.sqlite import SqliteReader
from events.state import State
from events.validate import Inconsistent, validate

NICENESS = 19


def take_snapshot(log: Path, position: str = "", live: str = "") -> dict[str, Any]:
    """Fold what came since the last snapshot, see whether it makes sense, and keep it if it does.

    Up to a position, where State had the digest `live`; or all that there is.
    """
    directory = beside(log, DIRECTORY)
    with closing(SqliteReader(log)) as reader:
        state = restore(reader, directory, upto=Position(int(position)) if position else reader.head())
        if problem := _problem(state, live):
            return {"position": state.position, "contradiction": problem}
        path = snapshot.write(directory, state, reader.chain_at(state.position))
    return {"position": state.position, "bytes": path.stat().st_size}


def _problem(state: State, live: str) -> str:
    if live and digest(state) != live:
        return f"up to {state.position} the log adds up to another state"
    try:
        validate(state)
    except Inconsistent as error:
        return str(error)
    return ""


def archive(log: Path, upto: str, how: str) -> dict[str, Any]:
    """Make segments of what is not archived yet, up to a position; `how` is `whole` or `partial`."""
    with closing(SqliteReader(log)) as reader:
        directory, after = beside(log, segments.DIRECTORY), reader.meta().archived
        is_partial = how == "partial"
        return {"upto": segments.store(reader, directory, after, Position(int(upto)), is_partial=is_partial)}


VERBS: dict[str, Callable[..., dict[str, Any]]] = {"snapshot": take_snapshot, "archive": archive}


def main(verb: str, log: str, *arguments: str) -> None:
    os.nice(NICENESS)
    sys.stdout.write(json.dumps(VERBS[verb](Path(log), *arguments)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
