"""Stretches of the log, and the state before them."""

import contextlib
import gc
from collections.abc import Iterator
from itertools import takewhile

from events.catalog import Record
from events.hindsight.audit import fold_record
from events.ids import BEGINNING, Position
from events.log import Readable, read_records
from events.state import State


def stretch(log: Readable, after: Position, upto: Position | None = None) -> Iterator[Record]:
    """The records beyond `after`, up to `upto` or the present end."""
    records = read_records(log, after)
    return records if upto is None else takewhile(lambda record: record.position <= upto, records)


def state_at(log: Readable, position: Position) -> State:
    """What the records up to this one add up to; raises `CorruptLog`."""
    state = State()
    with unhindered():
        for record in stretch(log, BEGINNING, position):
            fold_record(state, record)
    return state


@contextlib.contextmanager
def unhindered() -> Iterator[None]:
    """Keep the garbage collector from counting millions of live objects again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
