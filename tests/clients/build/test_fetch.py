"""Where artifacts go, and what is left alone on the way."""

import contextlib
import random
from pathlib import Path

import pytest

from clients.build.fetch import MANIFEST, Fetcher, OutDirectory, OutOccupied, places, roots
from clients.distbuild import Job
from clients.wire import Client
from clients.wire.origins import Origins
from events.ids import BuildId
from tests.clients.coordinators import tar
from tests.clients.peers import Peer, Talk, serving

A, B, C = "a" * 40, "b" * 40, "c" * 40
BUILD = BuildId("bb" * 20)


def test_roots() -> None:
    """What no other job depends on, in the graph's order."""
    jobs = [Job(id=A), Job(id=C, deps=(A,)), Job(id=B)]
    assert [job.id for job in roots(jobs)] == [C, B]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("app", "app"),
        ("bin/app", "bin_app"),
        ("../../etc", ".._.._etc"),
        ("a\nb\0c", "a_b_c"),
        ("", A),
        (".", A),
        ("..", A),
        (MANIFEST, A),
        ("x" * 201, A),
        ("é" * 101, A),
        ("e x é", "e x é"),
    ],
)
def test_a_place_is_one_plain_name(name: str, place: str) -> None:
    """Whatever a job is called, its directory is directly in the out directory."""
    assert places([Job(id=A, name=name)]) == {A: place}


def test_jobs_of_one_name_get_places_of_their_own() -> None:
    """Names that fall together are told apart by id."""
    jobs = [Job(id=A, name="x/y"), Job(id=B, name="x_y"), Job(id=C, name="z")]
    assert places(jobs) == {A: "x_y." + "a" * 12, B: "x_y." + "b" * 12, C: "z"}


def install(out: OutDirectory, name: str, content: str) -> Path:
    reserved = out.reserve(name)
    reserved.mkdir()
    (reserved / "file").write_text(content)
    return out.install(name)


def test_our_own_directory_is_replaced(tmp_path: Path) -> None:
    """A later build's artifact takes the place of an earlier one's, wholly."""
    out = OutDirectory(tmp_path / "out")
    out.prepare(["app"])
    first = install(out, "app", "one")
    (first / "extra").write_text("by hand")
    OutDirectory(tmp_path / "out").prepare(["app"])
    assert install(out, "app", "two") == first
    assert [path.name for path in first.iterdir()] == ["file"]
    assert (first / "file").read_text() == "two"
    assert sorted(path.name for path in out.path.iterdir()) == [MANIFEST, "app"]
    assert (out.path / MANIFEST).read_text() == "app\n"


def test_somebody_elses_is_not(tmp_path: Path) -> None:
    """Not even when it appears between the check and the installation, or is a dangling link."""
    out = OutDirectory(tmp_path)
    out.prepare(["app"])
    (tmp_path / "app").symlink_to("nowhere")
    with pytest.raises(OutOccupied):
        out.prepare(["app"])
    with pytest.raises(OutOccupied):
        install(out, "app", "one")
    assert (tmp_path / "app").is_symlink()


def test_what_a_crash_left_is_cleared_away(tmp_path: Path) -> None:
    """A half-unpacked artifact of an earlier attempt does not stand in the way."""
    out = OutDirectory(tmp_path)
    (out.reserve("app") / "half").mkdir(parents=True)
    assert not out.reserve("app").exists()


async def test_an_artifact_that_lies_with_a_worker(tmp_path: Path) -> None:
    """The coordinator redirects, the worker delivers; one that is elsewhere or broken is noted alone."""

    async def worker(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(tar(file=b"made"))

    def coordinator(worker_url: str) -> Talk:
        async def talk(peer: Peer) -> None:
            while (request := await peer.request()) is not None:
                if request[0].endswith(A):
                    await peer.answer(status=307, headers=(("location", f"{worker_url}/artifact?id={A}"),))
                else:
                    await peer.answer(b"no worker holds it", status=404)

        return talk

    out, heard = OutDirectory(tmp_path), []
    async with contextlib.AsyncExitStack() as stack:
        worker_url = await stack.enter_async_context(serving(worker))
        url = await stack.enter_async_context(serving(coordinator(worker_url)))
        client, origins = await stack.enter_async_context(Client(url)), Origins()
        stack.push_async_callback(origins.aclose)
        fetcher = Fetcher(client, origins, out, chance=random.Random(1))
        await fetcher.fetch(BUILD, {A: "app", B: "docs"}, lambda job, path: heard.append((job, path)))
    assert fetcher.fetched == [tmp_path / "app"]
    assert fetcher.unfetched == ["docs: 404: no worker holds it"]
    assert heard == [(A, tmp_path / "app")]
    assert (tmp_path / "app/file").read_bytes() == b"made"
