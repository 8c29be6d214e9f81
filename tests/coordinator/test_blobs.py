"""Source files on disk: whole or absent, once for many uploads, nothing left of what broke off."""

import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
import trio
import trio.testing

from coordinator.blobs import BATCH_BYTES, READ_BYTES, BlobStore, StorageFull, StoredBlob
from coordinator.disk import in_thread
from coordinator.output import OutputStore
from events.ids import SourceId

T = TypeVar("T")
SOURCE = SourceId("ab" + "0" * 38)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def files(tmp_path: Path) -> list[str]:
    root = tmp_path / "blobs"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await trio.lowlevel.checkpoint()
        yield chunk


def stored(data: bytes) -> StoredBlob:
    return StoredBlob(size=len(data), sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("size", [0, 1, READ_BYTES, BATCH_BYTES * 2 + 7])
async def test_what_goes_in_comes_out(store: BlobStore, tmp_path: Path, size: int) -> None:
    """Size and sha256 are told, and the bytes come back in large pieces."""
    data = os.urandom(size)
    chunks = [data[start : start + 300_000] for start in range(0, size, 300_000)]
    assert await store.store(SOURCE, pieces(*chunks)) == stored(data)
    read = [chunk async for chunk in store.open_chunks(SOURCE)]
    assert b"".join(read) == data
    assert all(len(chunk) == READ_BYTES for chunk in read[:-1])
    assert store.has(SOURCE)
    assert store.size(SOURCE) == size
    assert files(tmp_path) == [f"ab/{SOURCE}"]


async def test_what_is_absent_says_so(store: BlobStore) -> None:
    """Nothing is invented for an unknown id."""
    assert not store.has(SOURCE)
    with pytest.raises(FileNotFoundError):
        store.size(SOURCE)
    with pytest.raises(FileNotFoundError):
        await anext(store.open_chunks(SOURCE))


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "AB" + "0" * 38, "a" * 39, "a" * 40 + "\n"])
async def test_only_ids_become_paths(store: BlobStore, name: str) -> None:
    """Whatever else is refused before a path is built from it."""
    with pytest.raises(ValueError, match="not a source id"):
        await store.store(SourceId(name), pieces(b"x"))
    with pytest.raises(ValueError, match="not a source id"):
        store.open_chunks(SourceId(name))


async def test_an_upload_that_breaks_off_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    """Neither a file under the name nor a temporary one; the id can be uploaded again."""

    async def broken() -> AsyncIterator[bytes]:
        await trio.lowlevel.checkpoint()
        yield bytes(BATCH_BYTES)
        assert files(tmp_path) == [f"incoming/{SOURCE}.0"]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.store(SOURCE, broken())
    assert files(tmp_path) == []
    assert await store.store(SOURCE, pieces(b"again")) == stored(b"again")


async def test_a_cancelled_upload_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    """The peer may go away at any time."""

    async def stalling() -> AsyncIterator[bytes]:
        yield bytes(BATCH_BYTES)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.store, SOURCE, stalling())
        while not files(tmp_path):
            await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
    assert files(tmp_path) == []


async def test_leftovers_of_a_crash_are_removed_at_the_start(store: BlobStore, tmp_path: Path) -> None:
    """What was whole stays."""
    await store.store(SOURCE, pieces(b"whole"))
    (tmp_path / "blobs" / "incoming" / "half").write_bytes(b"ha")
    again = BlobStore(tmp_path / "blobs")
    assert files(tmp_path) == [f"ab/{SOURCE}"]
    assert again.size(SOURCE) == 5


class Gate:
    """A body that waits to be let through, and counts how far it was read."""

    def __init__(self, *chunks: bytes, failure: Exception | None = None) -> None:
        self.opened = trio.Event()
        self.taken = 0
        self._chunks = chunks
        self._failure = failure

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await self.opened.wait()
        for chunk in self._chunks:
            self.taken += 1
            yield chunk
        if self._failure is not None:
            raise self._failure


async def test_of_concurrent_uploads_one_writes_and_all_are_answered(
    store: BlobStore, tmp_path: Path
) -> None:
    """The others' bytes are left unread until it is done, then read away."""
    leader, follower = Gate(b"first", b"!"), Gate(b"second")
    follower.opened.set()
    answers: list[StoredBlob] = []

    async def upload(gate: Gate) -> None:
        answers.append(await store.store(SOURCE, aiter(gate)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(upload, leader)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(upload, follower)
        nursery.start_soon(upload, follower)
        await trio.testing.wait_all_tasks_blocked()
        assert follower.taken == 0
        leader.opened.set()
    assert answers == [stored(b"first!")] * 3
    assert follower.taken == 2
    assert files(tmp_path) == [f"ab/{SOURCE}"]


async def test_when_the_writer_dies_the_next_goes_on(store: BlobStore) -> None:
    """With its own bytes, of which none were lost; the others wait for it in turn."""
    leader, next_, last = Gate(b"x", failure=ConnectionResetError()), Gate(b"whole"), Gate(b"whole")
    next_.opened.set()
    last.opened.set()
    answers: list[StoredBlob] = []

    async def upload(gate: Gate) -> None:
        answers.append(await store.store(SOURCE, aiter(gate)))

    async def fail() -> None:
        with pytest.raises(ConnectionResetError):
            await store.store(SOURCE, aiter(leader))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(upload, next_)
        nursery.start_soon(upload, last)
        await trio.testing.wait_all_tasks_blocked()
        leader.opened.set()
    assert answers == [stored(b"whole")] * 2


async def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """The temporary file makes room again."""

    async def full_at_the_end(function: Callable[..., T], /, *args: object) -> T:
        if function.__name__ == "finish":
            assert len(files(tmp_path)) == 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return await in_thread(function, *args)

    store = BlobStore(tmp_path / "blobs", run_sync=full_at_the_end)
    with pytest.raises(StorageFull):
        await store.store(SOURCE, pieces(bytes(BATCH_BYTES), b"x"))
    assert files(tmp_path) == []


async def test_the_name_appears_after_the_bytes_are_durable(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsync of the file, rename, fsync of the directory, in this order, and then the answer."""
    steps: list[str] = []
    sync, rename = os.fsync, Path.rename

    def note_sync(file: int) -> None:
        steps.append("sync of " + Path(f"/proc/self/fd/{file}").readlink().parent.name)
        sync(file)

    def note_rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    await store.store(SOURCE, pieces(b"x"))
    assert steps == ["sync of incoming", "rename", "sync of blobs"]


@pytest.mark.parametrize("store", [BlobStore, OutputStore])
def test_the_store_itself_survives_a_power_cut(
    store: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own name is synced, too, or all that is in it would be nowhere."""
    synced = list[Path]()
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink()))
    store(tmp_path / "store")
    assert tmp_path in synced


async def test_a_small_upload_is_one_visit_to_the_disk(tmp_path: Path) -> None:
    """Thousands of small sources are the common case."""
    visits: list[str] = []

    async def counting(function: Callable[..., T], /, *args: object) -> T:
        visits.append(function.__name__)
        return await in_thread(function, *args)

    store = BlobStore(tmp_path / "blobs", run_sync=counting)
    await store.store(SOURCE, pieces(b"a", b"b", b"c"))
    assert visits == ["finish"]
