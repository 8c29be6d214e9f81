"""Scripted HTTP peers: each connection is answered by a function that reads and writes plain bytes."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import h11
import trio
import trio.testing

Talk = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's end of one connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._h11 = h11.Connection(h11.SERVER)

    async def head(self) -> h11.Request | None:
        """The next request's head; None when the client has closed."""
        if self._h11.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            self._h11.start_next_cycle()
        event = await self._next()
        return event if isinstance(event, h11.Request) else None

    async def body(self) -> bytes:
        """The rest of the request's body."""
        data = bytearray()
        while isinstance(event := await self._next(), h11.Data):
            data += event.data
        assert isinstance(event, h11.EndOfMessage), event
        return bytes(data)

    async def request(self) -> tuple[str, bytes] | None:
        """A whole request as ("METHOD target", body); None when the client has closed."""
        head = await self.head()
        if head is None:
            return None
        return f"{head.method.decode()} {head.target.decode()}", await self.body()

    async def _next(self) -> object:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            self._h11.receive_data(bytes(await self.stream.receive_some(65536)))
        return event

    async def answer(
        self, body: bytes = b"", *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """A complete answer with a content-length."""
        await self.start(status=status, headers=(("content-length", str(len(body))), *headers))
        await self.say(body)
        await self.end()

    async def start(self, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """The head of an answer; chunked unless `headers` says otherwise."""
        await self._send(h11.Response(status_code=status, headers=list(headers)))

    async def say(self, data: bytes) -> None:
        """A piece of the body."""
        if data:
            await self._send(h11.Data(data=data))

    async def end(self) -> None:
        """The end of the answer."""
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        await self.stream.send_all(self._h11.send(event) or b"")


async def converse(talk: Talk, stream: trio.abc.Stream) -> None:
    """Let `talk` answer on this stream, until either side has had enough."""
    # A client may vanish at any point of a test: that is its right, not the peer's failure.
    async with stream:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
            await talk(Peer(stream))


class Network:
    """Streams in memory, for virtual time: what connects is answered by `talk` in `nursery`."""

    def __init__(self, nursery: trio.Nursery, talk: Talk) -> None:
        self._nursery = nursery
        self._talk = talk

    async def open_stream(self, host: str, port: int) -> trio.abc.Stream:
        """As trio.open_tcp_stream."""
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(converse, self._talk, theirs)
        return ours


@contextlib.asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[str]:
    """A real server on a free port, each connection answered by `talk`; yields its base URL."""

    failure: Exception | None = None
    with trio.fail_after(60):  # a bound: the machine may be busy with other things
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, partial(converse, talk), listeners)
            try:
                yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            except Exception as error:
                failure = error  # raised below, as it is rather than in a group
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
