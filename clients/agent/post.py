"""How requests and answers travel: over a broker (`amqp.py`), or within one process."""

from typing import Protocol

import trio
from attrs import frozen

CAPACITY = 100


class NotSent(Exception):
    """The message certainly did not get there; the text says why."""


class Unconfirmed(Exception):
    """Nobody knows whether the message got there."""


@frozen(eq=False)
class Delivery:
    """A message that was received; `tag` says to its carrier which one, and in which connection."""

    body: bytes
    tag: tuple[int, int] = (0, 0)


class Post(Protocol):
    """One end: it publishes under a routing key and receives what its queue is bound to.

    `keeps`: what was published outlives this process.
    """

    keeps: bool

    async def publish(self, key: str, body: bytes) -> None:
        """On return the message is kept; raises `NotSent`, `Unconfirmed`."""
        ...

    async def receive(self) -> Delivery: ...

    async def ack(self, delivery: Delivery) -> None:
        """It was dealt with; one that never is, or too late, comes again."""
        ...

    async def allow(self, ignored: int) -> None:
        """So many deliveries will never be acknowledged; others must not wait for that."""
        ...

    async def waiting(self) -> int:
        """How many requests wait to be heard by an agent; raises `NotSent`, `Unconfirmed`."""
        ...


class LocalPost:
    """Two ends within one process, which remember nothing when it ends."""

    keeps = False

    def __init__(
        self, send: trio.MemorySendChannel[Delivery], receive: trio.MemoryReceiveChannel[Delivery]
    ) -> None:
        self._send = send
        self._receive = receive

    @classmethod
    def pair(cls) -> tuple["LocalPost", "LocalPost"]:
        one, other = (trio.open_memory_channel[Delivery](CAPACITY) for _ in range(2))
        return cls(one[0], other[1]), cls(other[0], one[1])

    async def publish(self, key: str, body: bytes) -> None:  # noqa: ARG002  there is one queue each way
        await self._send.send(Delivery(body))

    async def receive(self) -> Delivery:
        return await self._receive.receive()

    async def ack(self, delivery: Delivery) -> None:
        pass

    async def allow(self, ignored: int) -> None:
        pass

    async def waiting(self) -> int:
        return self._send.statistics().current_buffer_used
