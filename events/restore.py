"""What a log adds up to, from the latest snapshot of it that is any good, or from its first record on."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from events import snapshot
from events.fold import replay
from events.ids import BEGINNING, Position
from events.log import Chained, read_records
from events.snapshot import BadSnapshot
from events.state import State

# Beside the log.
DIRECTORY = "snapshots"

Warn = Callable[[Path, str], object]


def restore(
    log: Chained, directory: Path, warn: Warn = lambda _path, _why: None, upto: Position | None = None
) -> State:
    """The state after the record at `upto`, or after the last; `warn` hears what is wrong with snapshots."""
    with without_collector():
        state = latest(log, directory, warn, upto=log.head() if upto is None else upto)
        records = read_records(log, BEGINNING if state is None else state.position)
        return replay(takewhile(lambda record: upto is None or record.position <= upto, records), state)


def latest(
    log: Chained, directory: Path, warn: Warn = lambda _path, _why: None, *, upto: Position
) -> State | None:
    """The state of the latest good snapshot of this log up to a position, if there is one."""
    for path in snapshot.found(directory):
        try:
            if snapshot.position_of(path) <= upto or snapshot.position_of(path) > log.head():
                return checked(log, path)
        except BadSnapshot as error:
            warn(path, str(error))
    return None


def checked(log: Chained, path: Path) -> State:
    """The state of a snapshot; raises `BadSnapshot` if it is none of this log."""
    if snapshot.position_of(path) > log.head():
        raise BadSnapshot("is ahead of the log")
    head, state = snapshot.read(path)
    if log.chain_at(state.position).hex() != head.chain:
        raise BadSnapshot("is of another log")
    return state


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep the garbage collector from counting millions of live objects again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()
            gc.enable()
