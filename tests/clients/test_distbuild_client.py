"""distbuild's verbs against scripted coordinators on real sockets."""

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from clients.codec import Malformed
from clients.distbuild import (
    BuildRequest,
    Graph,
    HeartbeatRequest,
    Job,
    SignalRequest,
    StatusUpdate,
    UploadDone,
)
from clients.distbuild_client import DistbuildClient
from clients.wire import Client, Refused, Unreachable
from tests.clients.peers import Network, Peer, serving

A, B = "61" + "00" * 19, "62" + "00" * 19
BUILD = BuildRequest(graph=Graph(jobs=(Job(id=A, name="a"),)))


class Coordinator:
    """Answers every request with the same reply and remembers what it was asked."""

    def __init__(self, body: bytes = b"{}", status: int = 200) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self._body = body
        self._status = status

    async def __call__(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            self.requests.append(request)
            await peer.answer(self._body, status=self._status)


async def test_a_heartbeat() -> None:
    """The report goes out under Go's names, null lists come back as empty ones."""
    coordinator = Coordinator(b'{"jobstorun":{"%s":{"ID":"%s","Deps":null}}}' % (A.encode(), A.encode()))
    async with serving(coordinator) as url, Client(url + "/coordinator") as connection:
        client = DistbuildClient(connection)
        answer = await client.heartbeat(HeartbeatRequest(worker_id="w", free_slots=2), wait_seconds=2.5)
        await client.heartbeat(HeartbeatRequest(worker_id="w"))
    assert answer.jobs_to_run[A].deps == ()
    assert coordinator.requests[0] == (
        "POST /coordinator/heartbeat?wait=2.5",
        b'{"WorkerID":"w","RunningJobs":null,"FreeSlots":2,"FinishedJob":[],"AddedArtifacts":[]}',
    )
    assert coordinator.requests[1][0] == "POST /coordinator/heartbeat"


@pytest.mark.parametrize("status", [201, 204, 400, 500])
async def test_only_200_is_success(status: int) -> None:
    """Every other status is a refusal, with the text that came along."""
    text = b"" if status == 204 else b"build not found\n"

    async def talk(peer: Peer) -> None:
        while await peer.request():
            if status == 204:
                await peer.stream.send_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                return
            await peer.answer(text, status=status)

    async with serving(talk) as url, Client(url) as connection:
        client = DistbuildClient(connection)
        for refused in (
            client.heartbeat(HeartbeatRequest(worker_id="w")),
            client.signal(A, SignalRequest(upload_done=UploadDone())),
            client.upload_file(A, b"x"),
        ):
            with pytest.raises(Refused) as refusal:
                await refused
            assert (refusal.value.status, refusal.value.text) == (status, text.decode().strip())
        with pytest.raises(Refused):
            async with client.download_file(A):
                pass
        with pytest.raises(Refused):
            async with client.start_build(BUILD):
                pass


async def test_signal_upload_and_download() -> None:
    """The other verbs' requests, as they stand in the protocol."""
    coordinator = Coordinator(b"the bytes")

    async def chunks() -> AsyncIterator[bytes]:
        yield b"in "
        yield b"pieces"

    async with serving(coordinator) as url, Client(url) as connection:
        client = DistbuildClient(connection)
        await client.signal(A, SignalRequest(upload_done=UploadDone()))
        await client.upload_file(B, b"whole")
        await client.upload_file(B, chunks(), bytes_total=9)
        async with client.download_file(B) as response:
            assert await response.read() == b"the bytes"
    assert coordinator.requests == [
        (f"POST /signal?build_id={A}", b'{"UploadDone":{}}'),
        (f"PUT /file?id={B}", b"whole"),
        (f"PUT /file?id={B}", b"in pieces"),
        (f"GET /file?id={B}", b""),
    ]


STREAM = (
    b'{"ID":"%s","MissingFiles":["%s"]}\n' % (A.encode(), B.encode())
    + b'{"JobFinished":{"ID":"%s","Stdout":"fSI=","ExitCode":0,"Error":null},"BuildFailed":null}' % A.encode()
    + b'{"JobFinished":null,"BuildFailed":null,"BuildFinished":{}}\n'
)


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
async def test_a_build_stream_in_any_chunking(size: int) -> None:
    """Values are found whether they share a chunk or are spread over many."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.start(headers=(("Terzetto-Position", "5"),))
        for start in range(0, len(STREAM), size):
            await peer.say(STREAM[start : start + size])
        await peer.end()

    async with serving(talk) as url, Client(url) as connection:
        client = DistbuildClient(connection)
        async with client.start_build(BUILD) as stream:
            assert (stream.started.id, stream.started.missing_files) == (A, (B,))
            assert stream.headers["terzetto-position"] == "5"
            updates = [update async for update in stream]
    assert [update.job_finished is not None for update in updates] == [True, False]
    assert updates[1].build_finished is not None


async def test_the_end_of_the_build_is_the_end_of_the_stream() -> None:
    """A coordinator that does not close its stream after the last value keeps nobody waiting."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.start()
        await peer.say(STREAM)
        await trio.sleep_forever()  # until the test's end

    async with (
        serving(talk) as url,
        Client(url) as connection,
        DistbuildClient(connection).start_build(BUILD) as stream,
    ):
        assert len([update async for update in stream]) == 2


@pytest.mark.parametrize("ends_cleanly", [True, False])
async def test_a_stream_that_ends_early(ends_cleanly: bool) -> None:
    """Without its last value a stream just ends, or breaks off: it never looks finished."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.start()
        await peer.say(STREAM.splitlines()[0])
        if ends_cleanly:
            await peer.end()

    async with (
        serving(talk) as url,
        Client(url) as connection,
        DistbuildClient(connection).start_build(BUILD) as stream,
    ):
        updates: list[StatusUpdate] = []
        if ends_cleanly:
            updates = [update async for update in stream]
        else:
            with pytest.raises(Unreachable):
                updates = [update async for update in stream]
    assert updates == []


async def test_options_of_a_start() -> None:
    """Our extensions travel in the query, where other coordinators overlook them."""
    coordinator = Coordinator(STREAM)
    async with serving(coordinator) as url, Client(url) as connection:
        client = DistbuildClient(connection)
        async with client.start_build(BUILD, on_disconnect_continue=True, key="k 1"):
            pass
        async with client.start_build(BUILD):
            pass
    lines = [line for line, _ in coordinator.requests]
    assert lines == ["POST /build?on_disconnect=continue&key=k+1", "POST /build"]


@pytest.mark.parametrize("status", [200, 400])
async def test_a_build_that_fails_before_it_begins(status: int) -> None:
    """BuildFailed instead of BuildStarted is a refusal with its words, whatever the status says."""
    coordinator = Coordinator(b'{"BuildFailed":{"Error":"a cycle: a b a"}}', status)
    async with serving(coordinator) as url, Client(url) as connection:
        with pytest.raises(Refused, match="a cycle: a b a"):
            async with DistbuildClient(connection).start_build(BUILD):
                pass


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>"])
async def test_a_start_that_says_nothing(body: bytes) -> None:
    """An answer that is no build stream is Malformed."""
    async with serving(Coordinator(body)) as url, Client(url) as connection:
        with pytest.raises(Malformed):
            async with DistbuildClient(connection).start_build(BUILD):
                pass


async def test_a_slow_upload_lives_as_long_as_it_moves(autojump_clock: trio.testing.MockClock) -> None:
    """Minutes are fine as long as each chunk comes in time; a chunk that does not come ends it."""

    async def dribble(seconds: float) -> AsyncIterator[bytes]:
        for _ in range(5):
            await trio.sleep(seconds)
            yield b"x"

    async with trio.open_nursery() as nursery:
        network = Network(nursery, Coordinator())
        client = DistbuildClient(Client("http://h", open_stream=network.open_stream))
        await client.upload_file(A, dribble(9), stall_seconds=10)
        assert trio.current_time() == pytest.approx(45)
        with pytest.raises(Unreachable, match="no progress"):
            await client.upload_file(A, dribble(11), stall_seconds=10)
        nursery.cancel_scope.cancel()
