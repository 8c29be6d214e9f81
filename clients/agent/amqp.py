"""RabbitMQ, as one end of the post: a connection that a thread of its own keeps up.

pika's connection is for one thread. That thread owns it, runs what it is asked to between looking for
messages, and connects again when it is lost. Everything is durable: the exchange, the queues, the messages;
a publish returns when the broker has confirmed that it has the message. Both ends declare both queues, so
that no message is dropped because the other end never came.
"""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pika
import structlog
import trio
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, NackError, UnroutableError

from clients.agent.post import Delivery, NotSent, Unconfirmed
from clients.requests import FINISHED, REQUESTS

EXCHANGE = "buildapi.control"
# By the routing key that leads there.
QUEUES = {REQUESTS: "buildapi-agent", FINISHED: "buildapi-web"}
PREFETCH = 50
LOOK_SECONDS = 1.0
CONFIRM_SECONDS = 10.0
RETRY_FIRST_SECONDS, RETRY_LAST_SECONDS = 0.2, 5.0

log = structlog.get_logger()


class Broker:
    """One end of the post over a broker at `url`; `hears` is the routing key of what it receives."""

    keeps = True

    def __init__(self, url: str, *, hears: str) -> None:
        """Raises ValueError for a URL that is none."""
        self._parameters = pika.URLParameters(url)
        self._parameters.socket_timeout = 5.0
        self._parameters.blocked_connection_timeout = CONFIRM_SECONDS
        self._hears = hears
        self._stop = threading.Event()
        self._link: _Link | None = None
        self._links = 0
        self._asked: set[_Asked] = set()
        self._inbox: deque[Delivery] = deque()
        self._arrived = trio.Event()
        # pika tells of every failed attempt at length; what there is to say is said here.
        logging.getLogger("pika").setLevel(logging.CRITICAL)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the connection up until cancelled; started at once, whether or not there is a broker."""
        self._token = trio.lowlevel.current_trio_token()
        task_status.started()
        try:
            # Left behind when we are cancelled, it ends by itself: it looks at `_stop` every second.
            await trio.to_thread.run_sync(
                self._keep_up, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
            )
        finally:
            self._stop.set()

    async def publish(self, key: str, body: bytes) -> None:
        properties = pika.BasicProperties(delivery_mode=2, content_type="application/json")

        def publish(channel: BlockingChannel) -> None:
            channel.basic_publish(EXCHANGE, key, body, properties, mandatory=True)

        await self._ask(publish)

    async def receive(self) -> Delivery:
        while not self._inbox:
            self._arrived = trio.Event()
            await self._arrived.wait()  # unbounded: there may be nothing to hear for days
        return self._inbox.popleft()

    async def ack(self, delivery: Delivery) -> None:
        link, tag = delivery.tag
        if link == self._links:  # else its connection is gone, and the broker delivers it again
            with contextlib.suppress(NotSent, Unconfirmed):
                await self._ask(lambda channel: channel.basic_ack(tag))

    async def allow(self, ignored: int) -> None:
        with contextlib.suppress(NotSent, Unconfirmed):
            await self._ask(lambda channel: channel.basic_qos(0, PREFETCH + ignored, global_qos=True))

    async def waiting(self) -> int:
        found = await self._ask(lambda channel: channel.queue_declare(QUEUES[REQUESTS], passive=True))
        count: int = found.method.message_count
        return count

    async def _ask(self, act: Callable[[BlockingChannel], Any]) -> Any:
        """Have the thread do something with the channel; raises `NotSent`, `Unconfirmed`."""
        link = self._link
        if link is None:
            raise NotSent("there is no connection to the broker")
        asked = _Asked()

        def do() -> None:
            try:
                asked.value, asked.error = act(link.channel), None
            except AMQPError as error:
                asked.error = error
            self._tell(asked.answered.set)

        try:
            link.connection.add_callback_threadsafe(do)
        except AMQPError as error:
            raise NotSent(f"the connection to the broker is gone: {error!r}") from error
        self._asked.add(asked)
        try:
            with trio.move_on_after(CONFIRM_SECONDS):
                await asked.answered.wait()
        finally:
            self._asked.discard(asked)
        if isinstance(asked.error, UnroutableError | NackError):
            raise NotSent(f"the broker did not take the message: {asked.error!r}") from asked.error
        if asked.error is not None:
            raise Unconfirmed(f"the connection to the broker was lost: {asked.error!r}") from asked.error
        return asked.value

    # --- in the thread

    def _keep_up(self) -> None:
        seconds = RETRY_FIRST_SECONDS
        while not self._stop.is_set():
            try:
                with contextlib.closing(pika.BlockingConnection(self._parameters)) as connection:
                    self._serve(connection)
                seconds = RETRY_FIRST_SECONDS
            except (AMQPError, OSError) as error:
                was_up = self._link is not None
                seconds = RETRY_FIRST_SECONDS if was_up else min(2 * seconds, RETRY_LAST_SECONDS)
                log.warning("no connection to the broker", error=repr(error), seconds=seconds)
            finally:
                self._link = None
                self._tell(self._lose)
            self._stop.wait(seconds)

    def _serve(self, connection: pika.BlockingConnection) -> None:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.exchange_declare(EXCHANGE, "topic", durable=True)
        for key, queue in QUEUES.items():
            channel.queue_declare(queue, durable=True)
            channel.queue_bind(queue, EXCHANGE, key)
        channel.basic_qos(0, PREFETCH, global_qos=True)
        self._links += 1
        number = self._links

        def take(_channel: Any, method: Any, _properties: Any, body: bytes) -> None:
            delivery = Delivery(body, (number, method.delivery_tag))
            self._tell(lambda: self._take(delivery))

        channel.basic_consume(QUEUES[self._hears], take)
        self._link = _Link(connection, channel)
        log.info("connected to the broker", hears=self._hears)
        while not self._stop.is_set():
            connection.process_data_events(time_limit=LOOK_SECONDS)

    def _tell(self, act: Callable[[], object]) -> None:
        with contextlib.suppress(trio.RunFinishedError):  # nobody is left to be told
            self._token.run_sync_soon(act)

    # --- in trio

    def _take(self, delivery: Delivery) -> None:
        if delivery.tag[0] == self._links:
            self._inbox.append(delivery)
            self._arrived.set()

    def _lose(self) -> None:
        """What was received and not acknowledged comes again; what was asked is answered by nobody."""
        self._inbox.clear()
        for asked in list(self._asked):
            asked.answered.set()


class _Link:
    def __init__(self, connection: pika.BlockingConnection, channel: BlockingChannel) -> None:
        self.connection = connection
        self.channel = channel


class _Asked:
    """Something that the thread is to do."""

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.value: Any = None
        self.error: AMQPError | None = AMQPError("no answer")
