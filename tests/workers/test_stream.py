"""Output on its way while a job runs, against a scripted coordinator in virtual time."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field
from trio.testing import MockClock

from clients import wire
from tests.clients.peers import Network, Peer
from workers.output import Output
from workers.stream import CHUNK_BYTES_MAX, RESULT_BYTES_MAX, OutputStreams, Watched

LEASE = "1e" * 16


@define(eq=False)
class Store:
    """A coordinator's store of output; `status` other than 200 is what it answers instead."""

    stored: dict[str, bytearray] = field(factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    asked: list[str] = field(factory=list)
    status: int = 200
    lose_answers: int = 0

    async def talk(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            self.asked.append(request[0])
            if self.status != 200:
                await peer.answer(b"no", status=self.status)
                continue
            stream, offset = request[0].partition("stream=")[2].split("&offset=")
            stored = self.stored[stream]
            if int(offset) > len(stored):
                await peer.answer(json.dumps({"size": len(stored)}).encode(), status=409)
                continue
            stored[int(offset) :] = request[1]
            if self.lose_answers:
                self.lose_answers -= 1
                await peer.stream.aclose()
                return
            await peer.answer(json.dumps({"size": len(stored)}).encode())


@asynccontextmanager
async def _streams(store: Store) -> AsyncIterator[tuple[OutputStreams, Output, Watched]]:
    async with trio.open_nursery() as nursery:
        network = Network(nursery, store.talk)
        streams = OutputStreams(wire.Client("http://coordinator", open_stream=network.open_stream))
        nursery.start_soon(streams.send_forever)
        output = Output.limited()
        yield streams, output, streams.watch(LEASE, output)
        nursery.cancel_scope.cancel()


async def test_output_of_a_longer_job_is_sent_as_it_comes(autojump_clock: MockClock) -> None:
    """Each stream from its own offset; every byte once."""
    store = Store()
    async with _streams(store) as (_, output, watched):
        for _ in range(10):
            output.append(b"out\n", b"err\n")
            await trio.sleep(0.1)
        await trio.sleep(0.2)
        assert store.stored == {"stdout": b"out\n" * 10, "stderr": b"err\n" * 10}
        assert watched.sent == {"stdout": 40, "stderr": 40}
        assert store.asked[0].startswith(f"POST /api/leases/{LEASE}/output?stream=stdout&offset=0")


async def test_a_short_job_is_not_streamed(autojump_clock: MockClock) -> None:
    """Its result is soon there and carries everything."""
    store = Store()
    async with _streams(store) as (streams, output, watched):
        output.append(b"x" * 1000, b"")
        await trio.sleep(0.25)
        await streams.flush(watched)
        streams.forget(watched)
        await trio.sleep(1)
        assert store.asked == []


async def test_much_output_is_sent_at_once(autojump_clock: MockClock) -> None:
    """However young the job is; in pieces of bounded size."""
    store = Store()
    async with _streams(store) as (_, output, _):
        output.append(b"x" * (CHUNK_BYTES_MAX + 5), b"")
        await trio.sleep(0.25)
        assert len(store.stored["stdout"]) == CHUNK_BYTES_MAX + 5


async def test_a_lost_answer_is_harmless(autojump_clock: MockClock) -> None:
    """The same bytes go to the same offset again."""
    store = Store(lose_answers=3)
    async with _streams(store) as (_, output, watched):
        output.append(b"0123456789", b"")
        await trio.sleep(2)
        assert store.stored["stdout"] == b"0123456789"
        assert watched.unsent() == 0


async def test_what_the_coordinator_has_lost_is_sent_again(autojump_clock: MockClock) -> None:
    """It names the offset from which it lacks bytes."""
    store = Store()
    async with _streams(store) as (_, output, watched):
        output.append(b"0123456789", b"")
        await trio.sleep(1)
        del store.stored["stdout"][4:]
        output.append(b"abc", b"")
        await trio.sleep(1)
        assert store.stored["stdout"] == b"0123456789abc"
        assert watched.sent["stdout"] == 13


async def test_a_coordinator_that_takes_no_output_is_not_asked_again(autojump_clock: MockClock) -> None:
    """404 or 405: everything goes with the result, and no time is lost at the end."""
    for status in (404, 405):
        store = Store(status=status)
        async with _streams(store) as (streams, output, watched):
            output.append(b"x" * (RESULT_BYTES_MAX + 1), b"x")
            await trio.sleep(1)
            began = trio.current_time()
            await streams.flush(watched)
            assert trio.current_time() == began
            assert len(store.asked) == 1
            assert watched.sent == {"stdout": 0, "stderr": 0}


async def test_the_end_of_a_job_sends_what_is_too_much_for_its_result(autojump_clock: MockClock) -> None:
    """Little may travel in the result; much goes ahead of it."""
    store = Store()
    async with _streams(store) as (streams, output, watched):
        output.append(b"x" * (3 * CHUNK_BYTES_MAX), b"e" * 10)
        await streams.flush(watched)
        assert watched.unsent() <= RESULT_BYTES_MAX


async def test_a_coordinator_that_is_away_does_not_hold_a_result_for_ever(autojump_clock: MockClock) -> None:
    """After half a minute everything goes with the result instead."""
    store = Store(status=503)
    async with _streams(store) as (streams, output, watched):
        output.append(b"x" * (RESULT_BYTES_MAX + 1), b"")
        began = trio.current_time()
        await streams.flush(watched)
        assert 29 < trio.current_time() - began < 31
