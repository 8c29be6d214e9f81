"""What a job needs and this worker lacks: sources from the coordinator, artifacts from other workers.

However many jobs ask for the same thing at once, it is downloaded once; when the job whose download
the others wait for is cancelled, one of them goes on in its place.
"""

import hashlib
import random
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import structlog
import trio

from clients import wire
from clients.archive import LIMITS, RunSync, UnsafeArchive, unpack
from clients.backoff import persist
from clients.distbuild import PATH_ARTIFACT
from clients.distbuild_client import DistbuildClient
from events.ids import JobId, SourceId, is_hex40
from workers.cache import Cache, Kept

log = structlog.get_logger()

DOWNLOADS_MAX = 16
STALL_SECONDS = 30.0
# How long the coordinator may be away before a job that needs a source from it is given up.
OUTAGE_SECONDS = 60.0
# A peer may be restarting; but the coordinator can have the artifact made again, so do not insist.
PEER_OUTAGE_SECONDS = 2.0
PEERS_MAX = 64
BATCH_BYTES = 1 << 20


class Lost(Exception):
    """An artifact cannot be had from the worker that is said to hold it."""


class Unavailable(Exception):
    """A source cannot be had from the coordinator."""


class Fetcher:
    """Finds things in the cache or brings them there."""

    def __init__(
        self,
        cache: Cache,
        coordinator: DistbuildClient,
        open_client: Callable[[str], wire.Client],
        *,
        own_url: str,
        chance: random.Random,
        run_sync: RunSync = trio.to_thread.run_sync,
    ) -> None:
        self._cache = cache
        self._coordinator = coordinator
        self._peers = Peers(open_client)
        self._own_url = own_url
        self._chance = chance
        self._run_sync = run_sync
        self._flights: dict[str, trio.Event] = {}
        self._slots = trio.CapacityLimiter(DOWNLOADS_MAX)

    async def source(self, source: SourceId, path: str) -> Kept:
        """A source on disk; `path` is its path in the graph. Raises Unavailable, OSError."""
        if not is_hex40(source):
            raise Unavailable(f"not a source's id: {source[:80]!r}")
        return await self._once(
            source, lambda: self._cache.source(source), partial(self._download_source, source, path)
        )

    async def artifact(self, job: JobId, digest: str, holder: str) -> Kept:
        """The artifact of `job` on disk, from the worker at the URL `holder`. Raises Lost, OSError."""
        if not is_hex40(job):
            raise Lost(f"not a job's id: {job[:80]!r}")
        return await self._once(
            job, lambda: self._cache.artifact(job, digest), partial(self._fetch_artifact, job, digest, holder)
        )

    async def aclose(self) -> None:
        await self._peers.aclose()

    async def _once(
        self, key: str, find: Callable[[], Kept | None], bring: Callable[[], Awaitable[Kept]]
    ) -> Kept:
        while (kept := find()) is None:
            flight = self._flights.get(key)
            if flight is not None:
                await flight.wait()  # ends with the other's download, which is bounded
                continue
            flight = self._flights[key] = trio.Event()
            try:
                async with self._slots:
                    return await bring()
            finally:
                del self._flights[key]
                flight.set()
        return kept

    async def _download_source(self, source: SourceId, path: str) -> Kept:
        file = self._cache.incoming / source
        try:
            proven = await persist(
                partial(self._receive_source, source, path, file), chance=self._chance, seconds=OUTAGE_SECONDS
            )
            return await self._cache.add_source(source, file, is_proven=proven == source)
        except (wire.Refused, wire.Unreachable) as error:
            raise Unavailable(f"source {source} cannot be had from the coordinator: {error}") from error
        finally:
            with trio.CancelScope(shield=True):
                await self._run_sync(partial(file.unlink, missing_ok=True))

    async def _receive_source(self, source: SourceId, path: str, file: Path) -> str:
        # As clients.graphs.source_id makes ids; those of other clients may come from anywhere.
        digest = hashlib.sha256(path.encode() + b"\0")
        async with self._coordinator.download_file(source) as response:
            await self._save(_lively(response), file, digest)
        return digest.hexdigest()[:40]

    async def _save(self, chunks: AsyncIterable[bytes], file: Path, digest: "hashlib._Hash") -> None:
        mode = "wb"
        pending = bytearray()
        async for chunk in chunks:
            pending += chunk
            if len(pending) >= BATCH_BYTES:
                await self._run_sync(partial(_append, file, mode, bytes(pending), digest))
                pending.clear()
                mode = "ab"
        await self._run_sync(partial(_append, file, mode, bytes(pending), digest))

    async def _fetch_artifact(self, job: JobId, digest: str, holder: str) -> Kept:
        if not holder or holder == self._own_url:
            raise Lost(f"the artifact of {job} is not here any more")
        directory = self._cache.incoming / job
        try:
            size = await persist(
                partial(self._receive_artifact, job, digest, holder, directory),
                chance=self._chance,
                seconds=PEER_OUTAGE_SECONDS,
            )
            with trio.CancelScope(shield=True):  # on disk and not in the cache, it would be in the way
                kept = await self._cache.add_artifact(job, digest, directory, size)
            return kept  # noqa: RET504, mypy knows that a scope may swallow
        except (wire.Refused, wire.Unreachable, UnsafeArchive, ValueError) as error:
            log.warning("artifact lost", job=job, holder=holder, error=str(error))
            raise Lost(f"the artifact of {job} cannot be had from {holder}: {error}") from error

    async def _receive_artifact(self, job: JobId, digest: str, holder: str, directory: Path) -> int:
        client = await self._peers.client(holder)
        target = f"{PATH_ARTIFACT}?id={job}" + (f"&digest={digest}" if digest else "")
        async with client.request("GET", target, timeout_seconds=STALL_SECONDS) as response:
            await response.require(200)
            return await unpack(_lively(response), directory, limits=LIMITS, run_sync=self._run_sync)


class Peers:
    """A client for each worker we download from, the least recently used closed first."""

    def __init__(self, open_client: Callable[[str], wire.Client]) -> None:
        self._open = open_client
        self._clients: OrderedDict[str, wire.Client] = OrderedDict()

    async def client(self, url: str) -> wire.Client:
        """Raises ValueError if `url` is none."""
        if url not in self._clients:
            self._clients[url] = self._open(url)
            if len(self._clients) > PEERS_MAX:
                _, oldest = self._clients.popitem(last=False)
                await oldest.aclose()
        self._clients.move_to_end(url)
        return self._clients[url]

    async def aclose(self) -> None:
        while self._clients:
            _, client = self._clients.popitem()
            await client.aclose()


async def _lively(response: wire.Response) -> AsyncIterator[bytes]:
    """The body's chunks; raises Unreachable when the next one lets us wait for too long."""
    while True:
        chunk = None
        with trio.move_on_after(STALL_SECONDS) as scope:
            chunk = await anext(response, None)
        if scope.cancelled_caught:
            raise wire.Unreachable(f"nothing more came for {STALL_SECONDS:g} s")
        if chunk is None:
            return
        yield chunk


def _append(file: Path, mode: str, data: bytes, digest: "hashlib._Hash") -> None:
    with file.open(mode) as stream:
        stream.write(data)
        if mode == "wb" and data.startswith(b"#!"):
            # The protocol carries no modes, and a script that cannot be run is of little use.
            file.chmod(0o755)
    digest.update(data)
