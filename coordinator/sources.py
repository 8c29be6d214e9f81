"""Source files on their way in: the bytes are on disk before the fact is in the log."""

from collections.abc import AsyncIterator

from coordinator.blobs import BlobStore
from coordinator.core import Coordinator
from events.commands import DropSource, StoreSource
from events.ids import BlobDigest, SourceId


class Sources:
    """The upload path: idempotent, and many at once for the same id are one."""

    def __init__(self, core: Coordinator, blobs: BlobStore) -> None:
        self._core = core
        self._blobs = blobs

    async def store(self, source: SourceId, chunks: AsyncIterator[bytes]) -> None:
        """Keep a source file; raises `StorageFull`, `Rejected`.

        The first content of an id stays: running builds rely on it, and the id is said to determine it.
        """
        if source in self._core.state.sources:
            async for _ in chunks:
                pass
            await self._core.view(lambda _state: None)
            return
        stored = await self._blobs.store(source, chunks)
        await self._core.submit(StoreSource(source=source, blob=BlobDigest(stored.sha256), size=stored.size))

    async def forget_missing(self) -> None:
        """After a start: what the disk lost is no longer said to be there."""
        for source in [id_ for id_ in self._core.state.sources if not self._blobs.has(id_)]:
            await self._core.submit(DropSource(source=source, reason="missing on disk"))

    async def drop(self, source: SourceId, reason: str) -> None:
        """Let go of what nobody wants, or what is damaged: the fact, then the bytes; raises `Rejected`."""
        await self._core.submit(DropSource(source=source, reason=reason))
        if source not in self._core.state.sources:  # else somebody has stored it again meanwhile
            await self._blobs.remove(source)
