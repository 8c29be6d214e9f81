"""A network that loses answers and connections: whoever asked does not hear what has happened."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import trio
from attrs import define

PIECE_BYTES = 64 << 10

# Told each piece of an answer; True loses it together with its connection.
Loses = Callable[[bytes], bool]


@define(eq=False)
class Way:
    """To a server, through us: what goes through `url` can be cut off."""

    url: str
    _connections: set[trio.CancelScope]

    async def cut(self) -> None:
        """Break every connection there is; new ones are welcome."""
        for connection in self._connections:
            connection.cancel()


@asynccontextmanager
async def way_to(url: str) -> AsyncIterator[Way]:
    """A way to the server at `url` that loses nothing until it is cut."""
    connections: set[trio.CancelScope] = set()
    async with _listening(url, lambda _piece: False, connections) as mine:
        yield Way(mine, connections)


@asynccontextmanager
async def lossy(url: str, loses: Loses) -> AsyncIterator[str]:
    """A way to the server at `url`; yields the URL that goes this way."""
    async with _listening(url, loses, set()) as mine:
        yield mine


@asynccontextmanager
async def _listening(url: str, loses: Loses, connections: set[trio.CancelScope]) -> AsyncIterator[str]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        pass_on = partial(_pass_on, parts.hostname, parts.port, loses, connections)
        nursery.start_soon(trio.serve_listeners, pass_on, listeners)
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def _pass_on(
    host: str, port: int, loses: Loses, connections: set[trio.CancelScope], client: trio.SocketStream
) -> None:
    try:
        server = await trio.open_tcp_stream(host, port)
    except OSError:
        return  # and the client finds its connection closed, as if there were no server
    async with server, trio.open_nursery() as nursery:
        connections.add(nursery.cancel_scope)
        nursery.start_soon(_pump, client, server, lambda _piece: False, nursery.cancel_scope)
        nursery.start_soon(_pump, server, client, loses, nursery.cancel_scope)
    connections.discard(nursery.cancel_scope)


async def _pump(
    source: trio.SocketStream, sink: trio.SocketStream, loses: Loses, connection: trio.CancelScope
) -> None:
    """Pass on until either side ends or a piece is lost; then the connection is over in both directions."""
    try:
        while piece := await source.receive_some(PIECE_BYTES):
            if loses(bytes(piece)):
                break
            await sink.send_all(piece)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    connection.cancel()
