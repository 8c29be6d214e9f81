"""Work on a log that takes long, in a process of its own: `python -m coordinator.keeping VERB …`.

It only reads the log, so it needs no lock, may be killed at any instant, and keeps no heartbeat waiting. What
it is told to do, and how it says what became of it, is `coordinator.keeper`'s business alone.
"""

import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from events import snapshot
from events.restore import restore
from events.sqlite import SqliteReader
from events.validate import Inconsistent, validate

NICENESS = 19


def take_snapshot(log: Path, directory: Path) -> dict[str, Any]:
    """Fold what came since the last snapshot, see whether it makes sense, and keep it if it does."""
    with closing(SqliteReader(log)) as reader:
        state = restore(reader, directory, upto=reader.head())
        try:
            validate(state)
        except Inconsistent as error:
            return {"position": state.position, "contradiction": str(error)}
        path = snapshot.write(directory, state, reader.chain_at(state.position))
    return {"position": state.position, "bytes": path.stat().st_size}


VERBS = {"snapshot": take_snapshot}


def main(verb: str, *paths: str) -> None:
    os.nice(NICENESS)
    sys.stdout.write(json.dumps(VERBS[verb](*map(Path, paths))) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
