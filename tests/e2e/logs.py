"""What must be true of every log that a coordinator leaves behind, however it ended."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from events.catalog import (
    CoordinatorStarted,
    Event,
    JobFailed,
    JobReleased,
    JobSucceeded,
)
from events.fold import fold
from events.ids import Position
from events.log import Entry, verify
from events.sqlite import SqliteReader
from events.state import State
from events.validate import validate

E = TypeVar("E", bound=Event)


def read(data: Path) -> list[Entry]:
    """All of the log in a coordinator's data directory, chain verified."""
    reader = SqliteReader(data / "log.sqlite3")
    try:
        entries: list[Entry] = []
        while page := reader.read(Position(len(entries))):
            entries += page
    finally:
        reader.close()
    verify(entries)
    return entries


def check(entries: Sequence[Entry]) -> State:
    """Replay: every end of a life is a consistent state, and nothing was counted twice."""
    state = State()
    for entry in entries:
        if isinstance(entry.record.event, CoordinatorStarted):
            validate(state)
        fold(state, entry.record)
    validate(state)
    check_ends(entries)
    return state


def check_ends(entries: Iterable[Entry]) -> None:
    """Each lease of a job ended once at most."""
    ends = Counter(
        (event.build, event.job, event.lease)
        for event in (entry.record.event for entry in entries)
        if isinstance(event, JobSucceeded | JobFailed | JobReleased)
    )
    twice = [lease for lease, count in ends.items() if count > 1]
    assert not twice, f"ended more than once: {twice}"


def events(entries: Iterable[Entry], kind: type[E], **fields: object) -> list[E]:
    """The events of one kind whose fields have these values, in order."""
    return [
        event
        for event in (entry.record.event for entry in entries)
        if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
    ]
