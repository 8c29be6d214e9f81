"""Decisions about source files: the bytes are on disk before the fact."""

from collections.abc import Iterator

from events.catalog import BuildFailed, Event, SourceDropped, SourceStored
from events.commands import DropSource, StoreSource
from events.decide.jobs import cancel_unfinished
from events.errors import SOURCE_IN_USE, SOURCE_UNKNOWN, Rejected
from events.ids import BuildId, SourceId
from events.model import Source
from events.state import State
from events.transitions import BuildStatus


def store(state: State, command: StoreSource) -> Iterator[Event]:
    """An upload arrived; storing the same bytes again is no news.

    Other bytes under the id of a file that jobs are being made from are refused: results would be filed
    under contents they were not made from. So are other bytes than those of a file in the store.
    """
    known = state.sources.get(command.source)
    if known == Source(blob=command.blob, size=command.size):
        return
    if known is not None and (users := _users(state, command.source)):
        raise Rejected(SOURCE_IN_USE, f"build {users[0]} runs with other contents of {command.source}")
    if known is not None and any(file.source == command.source for file in state.files.values()):
        raise Rejected(SOURCE_IN_USE, f"a file in the store has other contents of {command.source}")
    yield SourceStored(source=command.source, blob=command.blob, size=command.size)


def drop(state: State, command: DropSource) -> Iterator[Event]:
    """A source file is gone. Builds that run with it cannot go on; those that upload can mend it."""
    if command.source not in state.sources:
        raise Rejected(SOURCE_UNKNOWN, f"no source {command.source} is stored")
    yield SourceDropped(source=command.source, reason=command.reason)
    for build in _users(state, command.source):
        yield from cancel_unfinished(state, build, "source-lost")
        yield BuildFailed(build=build, error=f"the source file {command.source} was lost: {command.reason}")


def _users(state: State, source: SourceId) -> list[BuildId]:
    """Running builds that are made from this source file."""
    running = [id_ for id_ in state.active if state.builds[id_].status is BuildStatus.RUNNING]
    return [id_ for id_ in running if source in state.graphs[id_].sources.values()]
