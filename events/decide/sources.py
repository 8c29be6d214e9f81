"""Decisions about source files: the bytes are on disk before the fact."""

from collections.abc import Iterator

from events.catalog import Event, SourceDropped, SourceStored
from events.commands import DropSource, StoreSource
from events.errors import SOURCE_UNKNOWN, Rejected
from events.model import Source
from events.state import State


def store(state: State, command: StoreSource) -> Iterator[Event]:
    """An upload arrived; storing the same bytes again is no news."""
    if state.sources.get(command.source) != Source(blob=command.blob, size=command.size):
        yield SourceStored(source=command.source, blob=command.blob, size=command.size)


def drop(state: State, command: DropSource) -> Iterator[Event]:
    if command.source not in state.sources:
        raise Rejected(SOURCE_UNKNOWN, f"no source {command.source} is stored")
    yield SourceDropped(source=command.source, reason=command.reason)
