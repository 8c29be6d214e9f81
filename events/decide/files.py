"""Decisions about the store of files: bytes are on disk before the fact, and what is needed does not go."""

from collections.abc import Iterable, Iterator

from events.catalog import Event, FileDropped, FileStored, OutputsKept, StoredFile
from events.commands import DropFile, KeepOutputs, NewFile, StoreFile
from events.decide.context import Context
from events.errors import FILE_IN_USE, SOURCE_IN_USE, Rejected
from events.ids import BuildId, FileId, as_uuid, source_of
from events.state import State


def store(state: State, command: StoreFile, context: Context) -> Iterator[Event]:
    """A file arrived. It never changes, so the same bytes again are another file."""
    _check(state, [command.file])
    new = _named(command.file, context)
    yield FileStored(
        file=new.file,
        blob=new.blob,
        size=new.size,
        name=new.name,
        executable=new.executable,
        user=command.user,
    )


def drop(state: State, command: DropFile) -> Iterator[Event]:
    """A file goes, unless a build is being made from it or has it as an output."""
    file = state.file(command.file)
    for build in state.active:
        if file.source in state.graphs[build].sources.values():
            raise Rejected(FILE_IN_USE, f"build {build} is made from it")
    if owner := _owner(state, command.file):
        raise Rejected(FILE_IN_USE, f"it is an output of build {owner}")
    yield FileDropped(file=command.file, reason=command.reason)


def keep_outputs(state: State, command: KeepOutputs, context: Context) -> Iterator[Event]:
    """An ended build's outputs are in the store. Said again, or of one that declares none, it is no news."""
    if command.build not in state.unkept:
        return
    _check(state, command.files)
    files = tuple([_named(file, context) for file in command.files])
    yield OutputsKept(build=command.build, files=files, error=command.error)


def _named(file: NewFile, context: Context) -> StoredFile:
    return StoredFile(
        file=FileId(as_uuid(context.new_id(16))),
        blob=file.blob,
        size=file.size,
        name=file.name,
        executable=file.executable,
    )


def _check(state: State, files: Iterable[NewFile]) -> None:
    """A file's bytes are a source under an id that somebody may have given to others."""
    for file in files:
        known = state.sources.get(source_of(file.blob))
        if known is not None and known.blob != file.blob:
            raise Rejected(SOURCE_IN_USE, f"other contents were uploaded as {source_of(file.blob)}")


def _owner(state: State, file: FileId) -> BuildId | None:
    """The build whose output the file is."""
    outputs = ((id_, graph.outputs) for id_, graph in state.graphs.items())
    return next((id_ for id_, kept in outputs if kept is not None and file in kept.files), None)
