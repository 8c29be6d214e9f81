"""The worker's own server, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from clients import wire
from clients.archive import unpack
from clients.server import serve
from events.ids import JobId
from workers.cache import Cache
from workers.http import _packed, application

A, B = JobId("aa" * 20), JobId("bb" * 20)
DIGEST = "d" * 64


async def _cache(tmp_path: Path) -> Cache:
    cache = Cache(tmp_path / "cache", bytes_max=1 << 30)
    cache.open("boot")
    directory = cache.incoming / "made"
    directory.mkdir()
    (directory / "file").write_bytes(b"x" * 3_000_000)
    await cache.add_artifact(A, DIGEST, directory, 3_000_000)
    await cache.add_artifact(B, "", None, 0)
    return cache


@asynccontextmanager
async def _serving(cache: Cache) -> AsyncIterator[wire.Client]:
    stop = trio.Event()
    app = application(cache, base_path="worker/0")
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            serving = partial(serve, app, bind="127.0.0.1:0", shutdown=stop.wait, grace_seconds=1)
            urls: list[str] = await nursery.start(serving)
            async with wire.Client(urls[0]) as client:
                yield client
            stop.set()


@pytest.mark.parametrize("base", ["", "/worker/0"])
@pytest.mark.parametrize("query", [f"id={A}", f"id={A}&digest={DIGEST}"])
async def test_artifacts_are_served_as_tar(tmp_path: Path, base: str, query: str) -> None:
    """At the root and below the path of the worker's URL; while it is sent, it stays."""
    cache = await _cache(tmp_path)
    async with _serving(cache) as client:
        async with client.request("GET", f"{base}/artifact?{query}", timeout_seconds=5) as response:
            assert (response.status, response.headers["content-type"]) == (200, "application/x-tar")
            assert response.headers["content-disposition"] == f'attachment; filename="{A}.tar"'
            assert response.headers["x-content-type-options"] == "nosniff"
            kept = cache.artifact(A, DIGEST)
            assert kept is not None
            first = await anext(response)
            assert kept.users == 1

            async def whole() -> AsyncIterator[bytes]:
                yield first
                async for chunk in response:
                    yield chunk

            assert await unpack(whole(), tmp_path / "copy") == 3_000_000
        with trio.fail_after(2):
            while kept.users:
                await trio.sleep(0.01)


async def test_an_artifact_without_contents_is_an_empty_archive(tmp_path: Path) -> None:
    """It is as good as any other."""
    async with _serving(await _cache(tmp_path)) as client:
        reply = await client.call("GET", f"/artifact?id={B}", timeout_seconds=5)
        assert (reply.status, reply.body) == (200, bytes(1024))


ABSENT = {
    "unknown": (f"?id={'cc' * 20}", 404),
    "another digest": (f"?id={A}&digest={'e' * 64}", 404),
    "no id": ("", 400),
    "two ids": (f"?id={A}&id={B}", 400),
    "upper case": (f"?id={A.upper()}", 400),
    "short": (f"?id={A[:39]}", 400),
    "path": ("?id=../../../etc/passwd", 400),
    "encoded path": ("?id=%2e%2e%2fx", 400),
    "odd digest": (f"?id={A}&digest=..", 400),
    "two digests": (f"?id={A}&digest={DIGEST}&digest={DIGEST}", 400),
}


@pytest.mark.parametrize(("query", "status"), ABSENT.values(), ids=ABSENT)
async def test_everything_else_is_refused(tmp_path: Path, query: str, status: int) -> None:
    """In words, with a status that is not 200."""
    async with _serving(await _cache(tmp_path)) as client:
        reply = await client.call("GET", f"/artifact{query}", timeout_seconds=5)
        assert reply.status == status
        assert reply.body


async def test_an_artifact_that_went_meanwhile_is_no_empty_one(tmp_path: Path) -> None:
    """Between the look-up and the first byte it may be dropped: then there is no archive at all."""
    cache = await _cache(tmp_path)
    kept = cache.artifact(A, DIGEST)
    assert kept is not None
    directory = cache.incoming / "again"
    directory.mkdir()
    await cache.add_artifact(A, "e" * 64, directory, 0)
    with pytest.raises(FileNotFoundError):
        await anext(_packed(cache, kept, trio.to_thread.run_sync))


async def test_it_says_that_it_lives(tmp_path: Path) -> None:
    """For whoever watches over processes."""
    async with _serving(await _cache(tmp_path)) as client:
        reply = await client.call("GET", "/healthz", timeout_seconds=5)
        assert (reply.status, reply.body) == (200, b"ok\n")
