"""The cache keeps to its bound, keeps what is in use, survives a restart and tells what it holds."""

from pathlib import Path

import pytest

from events.ids import JobId, SourceId
from workers.cache import Cache, Kept

A, B, C = (JobId(name * 20) for name in ("aa", "bb", "cc"))
SOURCE = SourceId("5a" * 20)
ONE, TWO = "1" * 64, "2" * 64


class Told:
    """What the cache has told of its artifacts."""

    def __init__(self) -> None:
        self.changes: list[tuple[JobId, str | None]] = []

    def __call__(self, job: JobId, digest: str | None) -> None:
        self.changes.append((job, digest))


@pytest.fixture
def told() -> Told:
    return Told()


def _open(tmp_path: Path, told: Told, *, bytes_max: int = 1000, boot: str = "boot") -> Cache:
    cache = Cache(tmp_path / "cache", bytes_max=bytes_max, on_change=told)
    cache.open(boot)
    return cache


async def _add(cache: Cache, job: JobId, digest: str = ONE, size: int = 400) -> Kept:
    directory = cache.incoming / "made"
    directory.mkdir()
    (directory / "file").write_bytes(b"x" * size)
    return await cache.add_artifact(job, digest, directory, size)


async def _add_source(cache: Cache, source: SourceId = SOURCE, *, proven: bool, size: int = 10) -> Kept:
    file = cache.incoming / "file"
    file.write_bytes(b"s" * size)
    return await cache.add_source(source, file, is_proven=proven)


def _files(cache: Cache) -> set[str]:
    root = cache.incoming.parent
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} - {"boot"}


async def test_artifacts_are_found_by_job_and_digest(tmp_path: Path, told: Told) -> None:
    """Another digest is another artifact; no digest takes what there is."""
    cache = _open(tmp_path, told)
    kept = await _add(cache, A)
    assert cache.artifact(A, ONE) is cache.artifact(A, "") is kept
    assert cache.artifact(A, TWO) is None
    assert cache.artifact(B, "") is None
    assert (cache.directory_of(kept) / "file").read_bytes() == b"x" * 400
    assert told.changes == [(A, ONE)]


async def test_the_least_recently_used_goes_first(tmp_path: Path, told: Told) -> None:
    """Over the bound, what was not asked for longest is dropped, told of, and gone from the disk."""
    cache = _open(tmp_path, told)
    await _add(cache, A)
    await _add(cache, B)
    assert cache.artifact(A, ONE)
    await _add(cache, C)
    assert set(cache.artifacts()) == {A, C}
    assert told.changes[-1] == (B, None)
    assert cache.bytes_kept == 800
    assert _files(cache) == {f"artifacts/{job}.{ONE}.400/file" for job in (A, C)}


async def test_what_is_in_use_stays(tmp_path: Path, told: Told) -> None:
    """Even beyond the bound; afterwards it may go."""
    cache = _open(tmp_path, told)
    first, second = await _add(cache, A), await _add(cache, B)
    with cache.using(first, second):
        await _add(cache, C)
        assert cache.bytes_kept == 1200
    await _add(cache, JobId("dd" * 20))
    assert set(cache.artifacts()) == {C, "dd" * 20}


async def test_what_is_too_large_on_its_own_is_kept_alone(tmp_path: Path, told: Told) -> None:
    """Otherwise its job would be run again and again for nothing."""
    cache = _open(tmp_path, told)
    await _add(cache, A)
    await _add(cache, B, size=5000)
    assert set(cache.artifacts()) == {B}


async def test_another_digest_replaces_the_artifact(tmp_path: Path, told: Told) -> None:
    """That is no error; whoever still reads the old one can finish."""
    cache = _open(tmp_path, told)
    old = await _add(cache, A, ONE)
    with cache.using(old):
        new = await _add(cache, A, TWO, size=100)
        assert cache.artifact(A, TWO) is new
        assert (cache.directory_of(old) / "file").exists()
    assert told.changes == [(A, ONE), (A, TWO)]
    await _add(cache, B)
    assert _files(cache) == {f"artifacts/{A}.{TWO}.100/file", f"artifacts/{B}.{ONE}.400/file"}
    assert cache.bytes_kept == 500


async def test_the_same_artifact_twice_changes_nothing(tmp_path: Path, told: Told) -> None:
    """The first stays, so that nothing is pulled away from under its users."""
    cache = _open(tmp_path, told)
    first = await _add(cache, A)
    assert await _add(cache, A) is first
    assert (told.changes, cache.bytes_kept) == ([(A, ONE)], 400)
    assert _files(cache) == {f"artifacts/{A}.{ONE}.400/file"}


async def test_an_empty_artifact_costs_no_disk(tmp_path: Path, told: Told) -> None:
    """It is held and found like any other; a job sees an empty directory."""
    cache = _open(tmp_path, told)
    kept = await cache.add_artifact(A, ONE, None, 0)
    assert cache.artifact(A, ONE) is kept
    assert list(cache.directory_of(kept).iterdir()) == []
    assert _files(cache) == set()
    assert told.changes == [(A, ONE)]


async def test_a_restart_finds_everything_again(tmp_path: Path, told: Told) -> None:
    """Artifacts with and without digest, sources whose ids follow from their contents; sizes too."""
    cache = _open(tmp_path, told)
    await _add(cache, A, ONE)
    await _add(cache, B, "", size=300)
    await _add_source(cache, proven=True)
    (cache.incoming / "half").write_bytes(b"a download that was cut off")
    again = _open(tmp_path, told)
    assert again.artifacts() == {A: ONE, B: ""}
    assert again.source(SOURCE)
    assert again.bytes_kept == 710
    assert "incoming/half" not in _files(again)


async def test_a_source_with_an_opaque_id_does_not_outlive_the_process(tmp_path: Path, told: Told) -> None:
    """Nothing proves that the same id will stand for the same bytes tomorrow."""
    cache = _open(tmp_path, told)
    kept = await _add_source(cache, proven=False)
    assert cache.source(SOURCE) is kept
    assert _open(tmp_path, told).source(SOURCE) is None
    assert _files(cache) == set()


async def test_a_crash_of_the_machine_empties_the_cache(tmp_path: Path, told: Told) -> None:
    """Nothing was synced: files from before it may hold zeros."""
    cache = _open(tmp_path, told)
    await _add(cache, A)
    await _add_source(cache, proven=True)
    again = _open(tmp_path, told, boot="another")
    assert again.artifacts() == {}
    assert again.source(SOURCE) is None
    assert again.bytes_kept == 0
    assert _files(again) == set()


async def test_a_source_may_be_replaced(tmp_path: Path, told: Told) -> None:
    """The size counted is the new one's."""
    cache = _open(tmp_path, told)
    await _add_source(cache, proven=True, size=10)
    await _add_source(cache, proven=True, size=20)
    await _add_source(cache, proven=False, size=30)
    assert cache.bytes_kept == 30
    assert _files(cache) == {f"sources/{SOURCE}.opaque"}
