"""Job output: bytes at offsets, each once; bounded; free for jobs that print nothing."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import trio
import trio.testing

from coordinator.disk import StorageFull, in_thread
from coordinator.output import TRUNCATED, OutputGap, OutputStore, Piece
from events.ids import LeaseId

T = TypeVar("T")
LEASE = LeaseId("0123456789abcdef" * 2)
OTHER = LeaseId("f" * 32)


class Disk:
    """Runs disk work in threads like the real one, tells what was run, and can be full."""

    def __init__(self) -> None:
        self.visits: list[str] = []
        self.is_full = False
        self.gate: trio.Event | None = None

    async def __call__(self, function: Callable[..., T], /, *args: object) -> T:
        self.visits.append(function.__name__)
        if self.gate is not None:
            await self.gate.wait()
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return await in_thread(function, *args)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def store(tmp_path: Path, disk: Disk) -> OutputStore:
    return OutputStore(tmp_path / "output", run_sync=disk)


def files(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((tmp_path / "output").iterdir())}


async def test_pieces_are_put_together(store: OutputStore, tmp_path: Path) -> None:
    """Each append tells how much is stored; streams and leases are kept apart."""
    assert await store.append(LEASE, "stdout", 0, b"one ") == 4
    assert await store.append(LEASE, "stdout", 4, b"two") == 7
    assert await store.append(LEASE, "stderr", 0, b"oh") == 2
    assert await store.append(OTHER, "stdout", 0, b"other") == 5
    assert files(tmp_path) == {
        f"{LEASE}.stderr": b"oh",
        f"{LEASE}.stdout": b"one two",
        f"{OTHER}.stdout": b"other",
    }


async def test_a_repeated_piece_is_stored_once(store: OutputStore) -> None:
    """An answer may be lost; the worker then says it again, perhaps with more."""
    await store.append(LEASE, "stdout", 0, b"abc")
    assert await store.append(LEASE, "stdout", 0, b"abc") == 3
    assert await store.append(LEASE, "stdout", 1, b"bc") == 3
    assert await store.append(LEASE, "stdout", 2, b"cde") == 5
    assert await store.read(LEASE, "stdout", 0, 100) == b"abcde"


async def test_a_gap_is_refused(store: OutputStore, tmp_path: Path) -> None:
    """And says from where on to send."""
    await store.append(LEASE, "stdout", 0, b"abc")
    with pytest.raises(OutputGap) as gap:
        await store.append(LEASE, "stdout", 4, b"e")
    assert gap.value.size == 3
    with pytest.raises(OutputGap):
        await store.seal(LEASE, [Piece(stream="stdout", offset=9, data=b"z")])
    assert files(tmp_path) == {f"{LEASE}.stdout": b"abc"}


async def test_reading_from_anywhere(store: OutputStore) -> None:
    """Offsets beyond the end give nothing."""
    await store.append(LEASE, "stdout", 0, b"0123456789")
    assert await store.read(LEASE, "stdout", 3, 4) == b"3456"
    assert await store.read(LEASE, "stdout", 8, 100) == b"89"
    assert await store.read(LEASE, "stdout", 10, 100) == b""
    assert await store.read(LEASE, "stdout", 99, 100) == b""


async def test_silence_costs_nothing(store: OutputStore, disk: Disk, tmp_path: Path) -> None:
    """A job that prints nothing never touches the disk, and no file tells of it."""
    await store.seal(LEASE)
    await store.seal(LEASE, [Piece(stream="stdout", offset=0, data=b"")])
    assert await store.append(LEASE, "stderr", 0, b"") == 0
    await store.seal(LEASE)
    assert store.size(LEASE, "stdout") == 0
    assert await store.read(LEASE, "stdout", 0, 100) == b""
    store.finish(LEASE)
    assert disk.visits == []
    assert files(tmp_path) == {}


async def test_output_with_the_result_is_one_visit_to_the_disk(
    store: OutputStore, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both streams, written and durable, the directory too."""
    synced: list[str] = []
    sync = os.fsync

    def note(file: int) -> None:
        synced.append(Path(f"/proc/self/fd/{file}").readlink().name)
        sync(file)

    monkeypatch.setattr(os, "fsync", note)
    pieces = [Piece(stream="stdout", offset=0, data=b"out"), Piece(stream="stderr", offset=0, data=b"err")]
    await store.seal(LEASE, pieces)
    assert disk.visits == ["_seal_all"]
    assert synced == [f"{LEASE}.stdout", f"{LEASE}.stderr", "output"]
    assert files(tmp_path) == {f"{LEASE}.stdout": b"out", f"{LEASE}.stderr": b"err"}
    await store.seal(LEASE, pieces)
    assert disk.visits == ["_seal_all"]


async def test_what_was_streamed_is_sealed_with_the_rest(store: OutputStore, tmp_path: Path) -> None:
    """The result brings what was not streamed, from its offset on."""
    await store.append(LEASE, "stdout", 0, b"streamed ")
    await store.append(LEASE, "stderr", 0, b"all of it")
    await store.seal(LEASE, [Piece(stream="stdout", offset=9, data=b"and more")])
    assert store.size(LEASE, "stdout") == 17
    assert files(tmp_path) == {f"{LEASE}.stdout": b"streamed and more", f"{LEASE}.stderr": b"all of it"}


async def test_many_seals_at_once_share_their_visit(store: OutputStore, disk: Disk) -> None:
    """While one is at the disk, the others gather; then one more visit does for all of them."""
    disk.gate = trio.Event()
    leases = [LeaseId(f"{number:032x}") for number in range(10)]
    async with trio.open_nursery() as nursery:
        for lease in leases:
            piece = Piece(stream="stdout", offset=0, data=lease.encode())
            nursery.start_soon(store.seal, lease, [piece])
            await trio.testing.wait_all_tasks_blocked()
        disk.gate.set()
    assert disk.visits == ["_seal_all"] * 2
    disk.gate = None
    assert [await store.read(lease, "stdout", 0, 99) for lease in leases] == [x.encode() for x in leases]


async def test_the_limit_keeps_the_beginning_and_says_so(tmp_path: Path) -> None:
    """Beyond it bytes are counted, so that the worker goes on, but dropped; readers see a marker."""
    store = OutputStore(tmp_path / "output", bytes_max=10)
    assert await store.append(LEASE, "stdout", 0, b"12345678") == 8
    assert await store.append(LEASE, "stdout", 8, b"90abc") == 13
    assert await store.append(LEASE, "stdout", 13, b"d" * 100) == 113
    assert await store.read(LEASE, "stdout", 0, 1000) == b"1234567890" + TRUNCATED
    again = OutputStore(tmp_path / "output", bytes_max=10)
    assert await again.append(LEASE, "stdout", 113, b"e") == 114
    assert await again.read(LEASE, "stdout", 0, 1000) == b"1234567890" + TRUNCATED


async def test_exactly_the_limit_is_not_truncated(tmp_path: Path) -> None:
    """The marker stands only for missing bytes."""
    store = OutputStore(tmp_path / "output", bytes_max=10)
    assert await store.append(LEASE, "stdout", 0, b"1234567890") == 10
    assert await store.read(LEASE, "stdout", 0, 1000) == b"1234567890"


async def test_a_restart_goes_on_where_the_file_ends(store: OutputStore, tmp_path: Path) -> None:
    """Nothing but the files is remembered."""
    await store.append(LEASE, "stdout", 0, b"before ")
    again = OutputStore(tmp_path / "output")
    assert again.size(LEASE, "stdout") == 7
    assert await again.append(LEASE, "stdout", 3, b"ore after") == 12
    assert await again.read(LEASE, "stdout", 0, 100) == b"before after"


async def test_a_full_disk_changes_nothing(store: OutputStore, disk: Disk, tmp_path: Path) -> None:
    """Neither append nor seal takes note of what was not stored; both work again later."""
    await store.append(LEASE, "stdout", 0, b"abc")
    disk.is_full = True
    with pytest.raises(StorageFull):
        await store.append(LEASE, "stdout", 3, b"def")
    with pytest.raises(StorageFull):
        await store.seal(LEASE, [Piece(stream="stdout", offset=3, data=b"def")])
    assert store.size(LEASE, "stdout") == 3
    disk.is_full = False
    await store.seal(LEASE, [Piece(stream="stdout", offset=3, data=b"def")])
    assert files(tmp_path) == {f"{LEASE}.stdout": b"abcdef"}


async def test_a_seal_that_fails_fails_alone(store: OutputStore, disk: Disk, tmp_path: Path) -> None:
    """Of many that are done in one go, the others succeed."""
    (tmp_path / "output" / f"{OTHER}.stdout").symlink_to("/dev/full")
    disk.gate = trio.Event()
    failed: list[LeaseId] = []

    async def seal(lease: LeaseId) -> None:
        try:
            await store.seal(lease, [Piece(stream="stdout", offset=0, data=b"x")])
        except (StorageFull, OSError):
            failed.append(lease)

    async with trio.open_nursery() as nursery:
        for lease in (LeaseId("0" * 32), OTHER, LEASE):
            nursery.start_soon(seal, lease)
            await trio.testing.wait_all_tasks_blocked()
        disk.gate.set()
    assert failed == [OTHER]
    assert store.size(LEASE, "stdout") == 1


async def test_followers_wake_when_there_is_more_and_when_it_ends(store: OutputStore) -> None:
    """True: read on; False: that was all."""
    woken: list[bool] = []

    async def follow(offset: int) -> None:
        woken.append(await store.grown(LEASE, "stdout", offset))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow, 0)
        nursery.start_soon(follow, 3)
        await trio.testing.wait_all_tasks_blocked()
        await store.append(LEASE, "stderr", 0, b"not this stream")
        await store.append(LEASE, "stdout", 0, b"abc")
        await trio.testing.wait_all_tasks_blocked()
        assert woken == [True]
        store.finish(LEASE)
    assert woken == [True, False]
    assert await store.grown(LEASE, "stdout", 2)


async def test_a_silent_leases_follower_wakes_at_its_end(store: OutputStore) -> None:
    """There is no file to follow, only the lease."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.grown, LEASE, "stdout", 0)
        await trio.testing.wait_all_tasks_blocked()
        store.finish(LEASE)


async def test_waiting_ends_with_its_time(store: OutputStore, autojump_clock: trio.testing.MockClock) -> None:
    """For readers who owe a sign of life."""
    await store.wait(LEASE, "stdout", 0, 15)
    assert trio.current_time() == pytest.approx(15)


async def test_output_stays_readable_after_its_lease(store: OutputStore) -> None:
    """Finishing forgets the lease, not its files."""
    await store.seal(LEASE, [Piece(stream="stdout", offset=0, data=b"abc")])
    store.finish(LEASE)
    assert store.size(LEASE, "stdout") == 3
    assert await store.read(LEASE, "stdout", 0, 10) == b"abc"


@pytest.mark.parametrize(
    ("lease", "stream"), [("../" + "a" * 29, "stdout"), ("", "stdout"), ("a" * 40, "stdout"), (LEASE, "../x")]
)
async def test_only_leases_and_streams_become_paths(store: OutputStore, lease: str, stream: str) -> None:
    """Anything else is refused before a path is built from it."""
    with pytest.raises(ValueError, match="not a lease id"):
        await store.append(LeaseId(lease), stream, 0, b"x")


async def test_a_job_that_never_ran_has_no_output(store: OutputStore) -> None:
    """Its lease is no id; there is simply nothing to read."""
    assert store.size(LeaseId(""), "stdout") == 0
    assert await store.read(LeaseId(""), "stdout", 0, 10) == b""
