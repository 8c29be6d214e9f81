"""The store of files: bytes first, then the record; given out only as what they were when they came in."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import attrs
import structlog

from coordinator.blobs import BlobStore, Draft
from coordinator.core import Coordinator
from coordinator.disk import RunSync, read_piece
from coordinator.sources import Sources
from events.catalog import FileStored
from events.commands import DropFile, KeepOutputs, NewFile, StoreFile
from events.errors import DIGEST_DIFFERS, FILE_GONE, FILE_UNKNOWN, SOURCE_IN_USE, Rejected
from events.ids import BlobDigest, BuildId, FileId, SourceId
from events.model import File
from events.query import Query
from events.state import State

READ_BYTES = 1 << 20
# What names a file in its records.
_NAMING = ("FileStored", "OutputsKept")

log = structlog.get_logger()


@attrs.frozen(kw_only=True)
class Wish:
    """What is said of a file that comes in; `digest`: the SHA-256 that it must have, empty if any will do."""

    name: str = ""
    executable: bool = False
    user: str = ""
    digest: str = ""


@attrs.frozen(kw_only=True)
class Output:
    """A file that a build hands over."""

    draft: Draft
    name: str
    executable: bool = False


class Files:
    """Brings files in, gives them out, and lets them go."""

    def __init__(self, core: Coordinator, blobs: BlobStore, sources: Sources, run_sync: RunSync) -> None:
        self._core = core
        self._blobs = blobs
        self._sources = sources
        self._run_sync = run_sync
        self.drafted = blobs.drafted

    async def store(self, draft: Draft, wish: Wish) -> FileStored:
        """Keep a draft as a new file; raises `StorageFull`, `Rejected`."""
        if wish.digest and wish.digest != draft.stored.sha256:
            raise Rejected(DIGEST_DIFFERS, f"what arrived has the SHA-256 {draft.stored.sha256}")
        new = _new(draft, wish.name, executable=wish.executable)
        async with self._blobs.placing([draft], partial(self._check, [draft])):
            [record] = await self._core.submit(StoreFile(file=new, user=wish.user))
        assert isinstance(record.event, FileStored), "a file is stored, or refused"
        return record.event

    async def keep(self, build: BuildId, outputs: Sequence[Output], error: str) -> None:
        """Keep what an ended build hands over, all of it or nothing; raises as `store` does."""
        drafts = [output.draft for output in outputs]
        files = tuple(_new(each.draft, each.name, executable=each.executable) for each in outputs)
        async with self._blobs.placing(drafts, partial(self._check, drafts)):
            await self._core.submit(KeepOutputs(build=build, files=files, error=error))

    async def find(self, id_: FileId) -> File:
        """The file; raises `Rejected`, and says if it was there once."""
        try:
            return await self._core.view(lambda state: state.file(id_))
        except Rejected as refusal:
            if refusal.code is FILE_UNKNOWN and await self._was_there(id_):
                raise Rejected(FILE_GONE, f"file {id_} was dropped") from refusal
            raise

    async def open(self, id_: FileId) -> "Checked":
        """Its bytes, the first of them read; raises `Rejected`, also if they are lost."""
        file = await self.find(id_)
        checked = Checked(self, file)
        await checked.begin()
        return checked

    async def read(
        self, file: File, offset: int, length: int, digest: "hashlib._Hash | None" = None
    ) -> bytes:
        """Some of its bytes, nothing at the end, added to `digest`; raises `Rejected` if they are lost."""
        try:
            return await self._run_sync(_read, self._blobs.path(file.source), offset, length, digest)
        except FileNotFoundError as error:
            raise await self.lose(file, "missing on disk") from error

    async def lose(self, file: File, reason: str) -> Rejected:
        """Its bytes are not what they were: record that, and say so."""
        log.error("a stored file is lost", source=file.source, reason=reason)
        if self._core.state.sources.get(file.source) is not None:
            await self._sources.drop(file.source, reason)
        return Rejected(FILE_GONE, f"its bytes are lost: {reason}")

    async def drop(self, id_: FileId, reason: str) -> None:
        """Let a file go, and its bytes with it if nothing else needs them; raises `Rejected`."""
        source = (await self.find(id_)).source
        await self._core.submit(DropFile(file=id_, reason=reason))
        if source in self._core.state.sources and not _is_needed(self._core.state, source):
            await self._sources.drop(source, reason)

    def _check(self, drafts: Sequence[Draft]) -> None:
        """As `decide` will, but before bytes are replaced that somebody works with."""
        for draft in drafts:
            known = self._core.state.sources.get(draft.stored.source)
            if known is not None and known.blob != draft.stored.sha256:
                raise Rejected(SOURCE_IN_USE, f"other contents were uploaded as {draft.stored.source}")

    async def _was_there(self, id_: FileId) -> bool:
        """As far as the log's table still says so."""
        journal = self._core.journal
        query = Query(
            upto=journal.durable, after=journal.floor, types=_NAMING, text=f'"file":"{id_}"', limit=1
        )
        return bool(await journal.look(lambda log: log.search(query)))


class Checked(AsyncIterator[bytes]):
    """A file's bytes in pieces, of which the last is given only when all of them are what they should be."""

    def __init__(self, files: Files, file: File) -> None:
        self.file = file
        self._files = files
        self._digest = hashlib.sha256()
        self._offset = 0
        self._next = b""

    async def begin(self) -> None:
        """Read the first piece; raises `Rejected`."""
        self._next = await self._read()

    async def __anext__(self) -> bytes:
        piece, self._next = self._next, await self._read() if self._next else b""
        if not piece:
            raise StopAsyncIteration
        return piece

    async def _read(self) -> bytes:
        data = await self._files.read(self.file, self._offset, READ_BYTES, self._digest)
        self._offset += len(data)
        if not data and self._digest.hexdigest() != self.file.blob:
            raise await self._files.lose(self.file, "damaged on disk")
        return data


def _new(draft: Draft, name: str, *, executable: bool) -> NewFile:
    return NewFile(
        blob=BlobDigest(draft.stored.sha256), size=draft.stored.size, name=name, executable=executable
    )


def _read(path: Path, offset: int, length: int, digest: "hashlib._Hash | None") -> bytes:
    data = read_piece(path, offset, length)
    if digest is not None:
        digest.update(data)
    return data


def _is_needed(state: State, source: SourceId) -> bool:
    """Another file has these bytes, or a build is being made from them."""
    return any(file.source == source for file in state.files.values()) or any(
        source in state.graphs[id_].sources.values() for id_ in state.active
    )
