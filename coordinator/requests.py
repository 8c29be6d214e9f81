"""Requests on their way: told to whoever carries them out, from the log; and their answers, into the log.

Level-triggered: what is logged and not published is owed, whoever logged it and in whichever life of this
process. A request is sent at least once; who carries it out sees to it that it is done once. One that the
broker has, and that nobody answers while none wait there, may have been lost with the broker's disk: it is
sent again, ever more seldom.
"""

import math

import structlog
import trio

from clients.agent import Delivery, NotSent, Post, Unconfirmed
from clients.codec import Malformed
from clients.requests import REQUESTS, Outcome, read_answer, write_answer, write_wish
from coordinator.core import Coordinator
from events.commands import FinishRequest, LogRequest, PublishRequest
from events.errors import MALFORMED, REQUEST_UNKNOWN, Rejected
from events.ids import RequestId
from events.transitions import RequestStatus

BATCH = 100
LOOK_SECONDS = 5.0
RETRY_SECONDS = 0.5
# So long a request is given to reach the broker before whoever made it is told that it did not.
SEND_SECONDS = 5.0
AGAIN_SECONDS = 60.0
NOT_SENT = "Couldn't send message to broker"

log = structlog.get_logger()


class NotTaken(Exception):
    """The request is not going to be carried out, since nobody could be told of it."""


class Requests:
    """Both ways."""

    def __init__(self, core: Coordinator, post: Post) -> None:
        self._core = core
        self._post = post
        # Of these the broker may know although it never said so.
        self._maybe_sent: set[RequestId] = set()
        self._sending, self._sent = RequestId(0), trio.Event()
        # When a request that nobody answers is sent again, and after how long the next time.
        self._again: dict[RequestId, tuple[float, float]] = {}

    async def make(self, wish: LogRequest) -> RequestId:
        """Log the request, and return once it is on its way; raises `Rejected`, `NotTaken`.

        A request that was not taken never will be, so it may be made anew; one that may have been sent is
        as good as taken: it is in the log, and will be sent until it is answered.
        """
        id_ = await self._core.ask(wish, lambda state, _: RequestId(state.requests_logged))
        with trio.move_on_after(SEND_SECONDS):
            await self._published(id_)
        while self._sending == id_:
            await self._sent.wait()  # as long as the post takes to say how it went
        state = self._core.state
        if id_ in state.unpublished and id_ not in self._maybe_sent:
            answer = write_answer(id_, Outcome(errors=True, msg=NOT_SENT)).decode()
            await self._core.submit(FinishRequest(request=id_, answer=answer, undelivered=True))
            raise NotTaken(NOT_SENT)
        return id_

    async def publish_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell of every request that is owed."""
        task_status.started()
        journal = self._core.journal
        while not journal.is_stopping:
            position = journal.durable
            try:
                await self._publish_owed()
                await self._publish_again()
            except (NotSent, Unconfirmed) as error:
                log.info("requests wait to be sent", reason=str(error))
                await trio.sleep(RETRY_SECONDS)
                continue
            except Rejected as error:  # the disk is full; what was sent twice is done once
                log.info("what was sent could not be recorded", reason=error.reason)
                await trio.sleep(RETRY_SECONDS)
                continue
            if not self._core.state.unpublished:
                with trio.move_on_after(LOOK_SECONDS if self._core.state.open_requests else math.inf):
                    await journal.grown(position)

    async def hear_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Record every answer."""
        task_status.started()
        while True:
            delivery = await self._post.receive()
            await self._record(delivery)
            await self._post.ack(delivery)

    async def _published(self, id_: RequestId) -> None:
        journal = self._core.journal
        while id_ in self._core.state.unpublished:
            await journal.grown(journal.durable)
            if journal.is_stopping:
                return

    async def _publish_owed(self) -> None:
        """What is owed as far as it is durable: nobody hears of what a crash could undo."""
        if not self._core.state.unpublished:
            return
        for id_ in await self._core.view(lambda state: list(state.unpublished)[:BATCH]):
            if id_ in self._core.state.unpublished:  # else it was given up meanwhile
                await self._send(id_)
                self._again[id_] = (trio.current_time() + AGAIN_SECONDS, AGAIN_SECONDS)
                await self._core.submit(PublishRequest(request=id_))
                self._maybe_sent.discard(id_)

    async def _publish_again(self) -> None:
        now = trio.current_time()
        requests = self._core.state.requests
        out = [
            id_ for id_ in self._core.state.open_requests if requests[id_].status is RequestStatus.PUBLISHED
        ]
        self._again = {id_: self._again.get(id_) or self._first_time(now) for id_ in out}
        due = [id_ for id_, (at, _) in self._again.items() if at <= now]
        if due and not await self._post.waiting():
            for id_ in due[:BATCH]:
                log.info("a request is sent again", request=id_)
                seconds = 2 * self._again[id_][1]
                self._again[id_] = (now + seconds, seconds)
                await self._send(id_)
                self._maybe_sent.discard(id_)

    def _first_time(self, now: float) -> tuple[float, float]:
        """Without a broker, what a former process had told of was lost with it."""
        return (now + AGAIN_SECONDS if self._post.keeps else now, AGAIN_SECONDS)

    async def _send(self, id_: RequestId) -> None:
        request, was_tried = self._core.state.requests[id_], id_ in self._maybe_sent
        message = write_wish(id_, request.action, request.who, request.what, request.logged_at)
        self._maybe_sent.add(id_)
        self._sending, self._sent = id_, trio.Event()
        try:
            await self._post.publish(REQUESTS, message)
        except NotSent:
            if not was_tried:
                self._maybe_sent.discard(id_)
            raise
        finally:
            self._sending = RequestId(0)
            self._sent.set()

    async def _record(self, delivery: Delivery) -> None:
        try:
            id_, answer = read_answer(delivery.body), delivery.body.decode()
        except (Malformed, UnicodeDecodeError) as error:
            log.warning("a message is no answer", error=str(error))
            return
        while True:
            try:
                await self._core.submit(FinishRequest(request=id_, answer=answer))
            except Rejected as error:
                log.warning("an answer was not recorded", request=id_, reason=error.reason)
                if error.code in (REQUEST_UNKNOWN, MALFORMED):
                    return
                await trio.sleep(RETRY_SECONDS)
            else:
                return
