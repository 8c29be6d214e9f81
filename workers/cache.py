"""What this worker keeps on disk for later jobs: sources by id, artifacts by job id and spec digest.

The least recently used goes first when there is too much, but nothing that a running job uses. What is
kept survives a restart of the worker, since names say all that must be known: `<job>.<digest>.<bytes>`
for an artifact's directory, the id for a source whose id follows from its contents. A source with an
opaque id is kept only as long as the process lives: nothing proves that the id will mean the same then.

Nothing is synced to disk, so after a crash of the machine files may hold zeros: a cache from before the
machine was last started is not trusted.
"""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import structlog
import trio
from attrs import define

from clients.archive import RunSync
from events.ids import JobId, SourceId, is_hex40
from workers.disk import delete

log = structlog.get_logger()

NO_DIGEST = "none"
# Artifacts without contents cost no disk, only memory: so their number is bounded as well.
ENTRIES_MAX = 200_000
Key = tuple[str, str]


@define(eq=False)
class Kept:
    """One source or artifact. `path` is None for an artifact without contents."""

    path: Path | None
    size: int
    digest: str = ""
    users: int = 0
    is_dropped: bool = False


class Cache:
    """The index of what is on disk; `on_change(job, digest)` tells of artifacts, digest None when gone."""

    def __init__(
        self,
        directory: Path,
        *,
        bytes_max: int,
        run_sync: RunSync = trio.to_thread.run_sync,
        on_change: Callable[[JobId, str | None], None] = lambda _job, _digest: None,
    ) -> None:
        self.on_change = on_change
        self.incoming = directory / "incoming"
        # What an artifact without contents looks like to a job.
        self.empty = directory / "empty"
        self._sources = directory / "sources"
        self._artifacts = directory / "artifacts"
        self.trash = directory / "trash"
        self._bytes_max = bytes_max
        self._bytes = 0
        self._run_sync = run_sync
        self._entries: OrderedDict[Key, Kept] = OrderedDict()
        self._discarded: list[Path] = []
        self._numbers = itertools.count()

    def open(self, boot: str) -> None:
        """Make the directories and find what is there; `boot` names this life of the machine. Blocks."""
        marker = self.trash.with_name("boot")
        if not marker.exists() or marker.read_text() != boot:
            delete(self._sources)
            delete(self._artifacts)
        delete(self.incoming)
        delete(self.trash)
        for directory in (self.incoming, self.empty, self._sources, self._artifacts, self.trash):
            directory.mkdir(parents=True, exist_ok=True)
        self.empty.chmod(0o555)
        marker.write_text(boot)
        found = [*self._found_sources(), *self._found_artifacts()]
        for _, key, kept in sorted(found, key=lambda item: item[0]):
            self._insert(key, kept)

    @property
    def bytes_kept(self) -> int:
        return self._bytes

    def artifacts(self) -> dict[JobId, str]:
        """Every artifact held, with its spec digest ("" where there is none)."""
        return {
            JobId(name): kept.digest for (kind, name), kept in self._entries.items() if kind == "artifact"
        }

    def source(self, source: SourceId) -> Kept | None:
        return self._find(("source", source))

    def artifact(self, job: JobId, digest: str) -> Kept | None:
        """The artifact of `job`, if its digest is the one asked for; "" takes any."""
        kept = self._find(("artifact", job))
        return kept if kept is not None and digest in ("", kept.digest) else None

    @contextmanager
    def using(self, *kept: Kept) -> Iterator[None]:
        """While this lasts, nothing of `kept` leaves the disk, not even when it is replaced."""
        for one in kept:
            one.users += 1
        try:
            yield
        finally:
            for one in kept:
                one.users -= 1
                if one.is_dropped:
                    self._discard(one)

    async def add_source(self, source: SourceId, file: Path, *, is_proven: bool) -> Kept:
        """Take `file` over; `is_proven` says that its contents yield its id."""
        kept = _moved(file, self._sources / (source if is_proven else f"{source}.opaque"))
        self._insert(("source", source), kept)
        await self._trim(kept)
        return kept

    async def add_artifact(self, job: JobId, digest: str, directory: Path | None, size: int) -> Kept:
        """Take `directory` over as the artifact of `job`; one of another digest is replaced by it.

        The same artifact twice is no error: the first stays, the second is thrown away.
        """
        old = self._entries.get(("artifact", job))
        if old is not None and old.digest == digest:
            self._discard(Kept(directory, size))
            await self._delete_discarded()
            return old
        name = f"{job}.{digest or NO_DIGEST}.{size}"
        kept = Kept(None, size) if directory is None else _moved(directory, self._artifacts / name)
        kept.size, kept.digest = size, digest
        self._insert(("artifact", job), kept)
        self.on_change(job, digest)
        await self._trim(kept)
        return kept

    def directory_of(self, artifact: Kept) -> Path:
        return artifact.path or self.empty

    def _find(self, key: Key) -> Kept | None:
        kept = self._entries.get(key)
        if kept is not None:
            self._entries.move_to_end(key)
        return kept

    def _insert(self, key: Key, kept: Kept) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self._bytes -= old.size
            # A source's new file has replaced the old one's name; an artifact's name says its digest.
            if old.path != kept.path:
                self._discard(old)
        self._entries[key] = kept
        self._bytes += kept.size

    async def _trim(self, newest: Kept) -> None:
        """Drop what was not used for longest; `newest` stays even if it is too large on its own."""
        while self._bytes > self._bytes_max or len(self._entries) > ENTRIES_MAX:
            unused = (item for item in self._entries.items() if not item[1].users and item[1] is not newest)
            oldest = next(unused, None)
            if oldest is None:
                break
            self._drop(*oldest)
        await self._delete_discarded()

    def _drop(self, key: Key, kept: Kept) -> None:
        del self._entries[key]
        self._bytes -= kept.size
        self._discard(kept)
        kind, name = key
        log.info("cache entry dropped", kind=kind, id=name, bytes=kept.size)
        if kind == "artifact":
            self.on_change(JobId(name), None)

    def _discard(self, kept: Kept) -> None:
        kept.is_dropped = True
        if kept.path is not None and not kept.users and kept.path.parent != self.trash:
            # The new path is kept: who still has it in hand must not take it for an empty artifact.
            kept.path = kept.path.rename(self.trash / str(next(self._numbers)))
            self._discarded.append(kept.path)

    async def _delete_discarded(self) -> None:
        while self._discarded:
            await self._run_sync(partial(delete, self._discarded.pop()))

    def _found_sources(self) -> Iterator[tuple[float, Key, Kept]]:
        for path in self._sources.iterdir():
            if not is_hex40(path.name):
                path.unlink()
                continue
            status = path.stat()
            yield status.st_mtime, ("source", path.name), Kept(path, status.st_size)

    def _found_artifacts(self) -> Iterator[tuple[float, Key, Kept]]:
        for path in self._artifacts.iterdir():
            job, digest, size = path.name.split(".")
            kept = Kept(path, int(size), "" if digest == NO_DIGEST else digest)
            yield path.stat().st_mtime, ("artifact", job), kept


def _moved(file: Path, path: Path) -> Kept:
    # One step of the file system's journal: a thread would cost more than it, and no await may come
    # between the name on disk and the index.
    return Kept(file.rename(path), path.stat().st_size)
