"""Requests on their way: told is what is logged and nothing else, whatever the post does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import Factory, define

from clients.agent import Delivery, NotSent, Unconfirmed
from clients.requests import FINISHED, Outcome, read_wish, write_answer
from coordinator.core import Coordinator
from coordinator.requests import AGAIN_SECONDS, LOOK_SECONDS, SEND_SECONDS, NotTaken, Requests
from events.commands import LogRequest
from events.ids import RequestId
from events.log import MemoryLog
from events.transitions import RequestStatus
from tests.coordinator.memory import FullLog, replayed, running

ASKED = LogRequest(action="cancel_build", who="ann", what='{"bid":7}')


@define(eq=False)
class Post:
    """Keeps what it takes, as a broker does; `is_up`, and whether it confirms, is the test's to say."""

    keeps: bool = True
    is_up: bool = True
    confirms: bool = True
    taken: list[int] = Factory(list)
    acked: list[bytes] = Factory(list)
    queued: int = 0
    _inbox: tuple[trio.MemorySendChannel[Delivery], trio.MemoryReceiveChannel[Delivery]] = Factory(
        lambda: trio.open_memory_channel[Delivery](100)
    )

    async def publish(self, key: str, body: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if not self.is_up:
            raise NotSent("down")
        assert key != FINISHED
        self.taken.append(read_wish(body).request or 0)
        if not self.confirms:
            raise Unconfirmed("no word")

    async def receive(self) -> Delivery:
        return await self._inbox[1].receive()

    async def ack(self, delivery: Delivery) -> None:
        self.acked.append(delivery.body)

    async def allow(self, ignored: int) -> None: ...

    async def waiting(self) -> int:
        return self.queued

    def say(self, body: bytes) -> None:
        self._inbox[0].send_nowait(Delivery(body))


@asynccontextmanager
async def at_work(core: Coordinator, post: Post) -> AsyncIterator[Requests]:
    requests = Requests(core, post)
    async with trio.open_nursery() as nursery:
        await nursery.start(requests.publish_forever)
        await nursery.start(requests.hear_forever)
        yield requests
        nursery.cancel_scope.cancel()


async def test_what_is_logged_is_told_once_and_in_order(autojump_clock: trio.testing.MockClock) -> None:
    """The answer ends it; a second answer, or one to nothing, changes nothing and is acknowledged too."""
    log, post = MemoryLog(), Post()
    async with running(log) as core, at_work(core, post) as requests:
        assert [await requests.make(ASKED) for _ in range(3)] == [1, 2, 3]
        answers = [write_answer(RequestId(n), Outcome(errors=False, msg="Ok")) for n in (1, 1, 9)]
        for body in (*answers, b"nonsense", b'{"request_id":"x"}'):
            post.say(body)
        await trio.sleep(LOOK_SECONDS)
        assert post.taken == [1, 2, 3]
        assert len(post.acked) == 5
        assert list(core.state.open_requests) == [2, 3]
        assert core.state.requests[RequestId(1)].answer == answers[0].decode()
    assert replayed(log).requests == core.state.requests


async def test_what_was_not_taken_never_is(autojump_clock: trio.testing.MockClock) -> None:
    """Also when the broker comes back; a short absence is waited out."""
    post = Post(is_up=False)
    async with running(MemoryLog()) as core, at_work(core, post) as requests:
        with pytest.raises(NotTaken):
            await requests.make(ASKED)
        assert core.state.requests[RequestId(1)].status is RequestStatus.FINISHED
        async with trio.open_nursery() as nursery:
            nursery.start_soon(requests.make, ASKED)
            await trio.sleep(SEND_SECONDS / 2)
            post.is_up = True
        await trio.sleep(AGAIN_SECONDS)
        assert post.taken[0] == 2
        assert 1 not in post.taken


async def test_what_may_have_been_sent_is_as_good_as_taken(autojump_clock: trio.testing.MockClock) -> None:
    """It is told until the broker has confirmed it, also if it was down meanwhile."""
    post = Post(confirms=False)
    async with running(MemoryLog()) as core, at_work(core, post) as requests:
        assert await requests.make(ASKED) == 1
        await trio.sleep(SEND_SECONDS)
        post.is_up = False
        await trio.sleep(SEND_SECONDS)
        assert core.state.requests[RequestId(1)].status is RequestStatus.LOGGED
        post.is_up = post.confirms = True
        await trio.sleep(SEND_SECONDS)
        assert core.state.requests[RequestId(1)].status is RequestStatus.PUBLISHED


async def test_what_nobody_answers_is_told_again_ever_more_seldom(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Unless it still waits at the broker."""
    post = Post()
    async with running(MemoryLog()) as core, at_work(core, post) as requests:
        await requests.make(ASKED)
        post.queued = 1
        await trio.sleep(2 * AGAIN_SECONDS)
        assert post.taken == [1]
        post.queued = 0
        await trio.sleep(20 * AGAIN_SECONDS)
        assert 3 <= len(post.taken) <= 6
        post.say(write_answer(RequestId(1), Outcome(errors=False, msg="Ok")))
        await trio.sleep(LOOK_SECONDS)
        told = len(post.taken)
        await trio.sleep(100 * AGAIN_SECONDS)
        assert len(post.taken) == told


async def test_what_a_former_process_told_within_itself_is_told_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """At once; what a broker keeps is not."""
    async with running(MemoryLog()) as core:
        async with at_work(core, Post()) as requests:
            await requests.make(ASKED)
        for keeps, told in ((True, []), (False, [1])):
            post = Post(keeps=keeps)
            async with at_work(core, post):
                await trio.sleep(LOOK_SECONDS)
            assert post.taken == told


async def test_an_answer_waits_for_room_on_the_disk(autojump_clock: trio.testing.MockClock) -> None:
    """It is acknowledged when it is safe."""
    log, post = FullLog(), Post()
    async with running(log) as core, at_work(core, post) as requests:
        await requests.make(ASKED)
        log.is_full = True
        body = write_answer(RequestId(1), Outcome(errors=False, msg="Ok"))
        post.say(body)
        await trio.sleep(SEND_SECONDS)
        assert post.acked == []
        log.is_full = False
        await trio.sleep(30)
        assert post.acked == [body]
    assert replayed(log).requests[RequestId(1)].answer == body.decode()
