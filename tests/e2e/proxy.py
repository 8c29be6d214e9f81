"""A network that loses answers: what was asked has happened, and whoever asked does not hear of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import trio

PIECE_BYTES = 64 << 10

# Told each piece of an answer; True loses it together with its connection.
Loses = Callable[[bytes], bool]


@asynccontextmanager
async def lossy(url: str, loses: Loses) -> AsyncIterator[str]:
    """A way to the server at `url`; yields the URL that goes this way."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        pass_on = partial(_pass_on, parts.hostname, parts.port, loses)
        nursery.start_soon(trio.serve_listeners, pass_on, listeners)
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def _pass_on(host: str, port: int, loses: Loses, client: trio.SocketStream) -> None:
    try:
        server = await trio.open_tcp_stream(host, port)
    except OSError:
        return  # and the client finds its connection closed, as if there were no server
    async with server, trio.open_nursery() as nursery:
        nursery.start_soon(_pump, client, server, lambda _piece: False, nursery.cancel_scope)
        nursery.start_soon(_pump, server, client, loses, nursery.cancel_scope)


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
