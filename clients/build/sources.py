"""A build's sources on their way from the client's disk to the coordinator."""

import errno
import io
import random
import stat
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import trio

from clients.archive import RunSync
from clients.backoff import TRANSIENT_UNDER_WAY, persist
from clients.build.parallel import for_each
from clients.codec import Malformed
from clients.distbuild_client import DistbuildClient
from clients.wire import BodyLengthChanged

UPLOADS_AT_ONCE = 8
# Up to here a file is read whole: it then shares a kept connection and can be sent again at once.
WHOLE_BYTES_MAX = 1 << 20
CHUNK_BYTES = 1 << 20


class SourceUnusable(Exception):
    """A file that the graph names cannot be read, or lies outside the source directory."""


class Sources:
    """The files of a graph below `root`; `files` is their path by source id."""

    def __init__(
        self, root: Path, files: Mapping[str, str], *, run_sync: RunSync = trio.to_thread.run_sync
    ) -> None:
        self._root = root
        self._files = files
        self._run_sync = run_sync

    async def upload(
        self,
        missing: Sequence[str],
        client: DistbuildClient,
        *,
        chance: random.Random,
        patience_seconds: float,
        tell: Callable[[int, int], None],
    ) -> None:
        """Send each missing file, some at a time; `tell(done, total)` hears of each.

        Every file is tried again for `patience_seconds` while the coordinator is unreachable. Raises
        `SourceUnusable`, `Malformed` for an id that the graph does not have, and what the client raises.
        """
        done = 0

        async def send(source: str) -> None:
            nonlocal done
            await persist(
                partial(self._send, client, source),
                chance=chance,
                seconds=patience_seconds,
                transient=TRANSIENT_UNDER_WAY,
            )
            done += 1
            tell(done, len(missing))

        await for_each(missing, send, at_once=UPLOADS_AT_ONCE)

    async def _send(self, client: DistbuildClient, source: str) -> None:
        path = self._path(source)
        try:
            size, content = await self._run_sync(partial(_look, path))
            if content is not None:
                await client.upload_file(source, content)
            else:
                await client.upload_file(source, self._chunks(path), bytes_total=size)
        except OSError as error:
            raise SourceUnusable(f"source {self._files[source]!r}: {error.strerror or error}") from error
        except BodyLengthChanged as error:
            raise SourceUnusable(f"source {self._files[source]!r} changed while it was sent") from error

    def _path(self, source: str) -> Path:
        if source not in self._files:
            raise Malformed(f"the coordinator asks for a source that the graph does not name: {source[:80]}")
        path = PurePosixPath(self._files[source])
        # A graph may come from elsewhere; it gets nothing of this machine but the sources.
        if path.is_absolute() or ".." in path.parts:
            raise SourceUnusable(f"source {str(path)!r} lies outside the source directory")
        return self._root / path

    async def _chunks(self, path: Path) -> AsyncIterator[bytes]:
        file: io.FileIO = await self._run_sync(partial(io.FileIO, path))
        try:
            while chunk := await self._run_sync(partial(file.read, CHUNK_BYTES)):
                yield chunk
        finally:
            file.close()


def _look(path: Path) -> tuple[int, bytes | None]:
    """A file's size, and its content if that is small."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")
    return status.st_size, path.read_bytes() if status.st_size <= WHOLE_BYTES_MAX else None
