"""Decisions about source files: the bytes are on disk before the fact."""

from collections.abc import Iterator

from events.catalog import Event, SourceDropped, SourceStored
from events.commands import DropSource, StoreSource
from events.errors import SOURCE_IN_USE, SOURCE_UNKNOWN, Rejected
from events.ids import BuildId, SourceId
from events.model import Source
from events.state import State
from events.transitions import BuildStatus


def store(state: State, command: StoreSource) -> Iterator[Event]:
    """An upload arrived; storing the same bytes again is no news.

    Other bytes under the id of a file that jobs are being made from are refused: results would be filed
    under contents they were not made from.
    """
    known = state.sources.get(command.source)
    if known == Source(blob=command.blob, size=command.size):
        return
    user = _user(state, command.source) if known is not None else None
    if user is not None and state.builds[user].status is BuildStatus.RUNNING:
        raise Rejected(SOURCE_IN_USE, f"build {user} runs with other contents of {command.source}")
    yield SourceStored(source=command.source, blob=command.blob, size=command.size)


def drop(state: State, command: DropSource) -> Iterator[Event]:
    """Let a source file go that no build needs any more."""
    if command.source not in state.sources:
        raise Rejected(SOURCE_UNKNOWN, f"no source {command.source} is stored")
    user = _user(state, command.source)
    if user is not None:
        raise Rejected(SOURCE_IN_USE, f"build {user} needs {command.source}")
    yield SourceDropped(source=command.source, reason=command.reason)


def _user(state: State, source: SourceId) -> BuildId | None:
    """A build that has not ended and has this source file; one that runs if there is one."""
    users = [build for build in state.active if source in state.graphs[build].sources.values()]
    running = (build for build in users if state.builds[build].status is BuildStatus.RUNNING)
    return next(running, users[0] if users else None)
