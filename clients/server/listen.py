"""Listening: the server accepts until it is told to stop, then gives what runs a bounded time to end."""

from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version

import attrs
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config

from clients.server.app import App
from clients.server.guard import Connection
from clients.server.logs import StructuredLogger

# guard.py overrides methods of exactly this version; read it again before allowing another.
if not version("hypercorn").startswith("0.18."):
    raise ImportError(f"clients.server is written for hypercorn 0.18, not {version('hypercorn')}")

# Opens what is to be listened on at "host:port".
Listen = Callable[[str], Awaitable[list[trio.SocketListener]]]

BACKLOG = 4096
KEEP_ALIVE_SECONDS = 75.0
HEAD_BYTES_MAX = 64 << 10
WEBSOCKET_MESSAGE_BYTES_MAX = 1 << 20


async def serve(
    app: App,
    *,
    bind: str,
    shutdown: Callable[[], Awaitable[None]],
    grace_seconds: float = 5.0,
    send_seconds: float = 30.0,
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    listen: Listen | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` on `bind` ("host:port", port 0 for any) until `shutdown()` returns.

    Starts with the list of URLs. Then listening ends at once, idle connections close, running exchanges have
    `grace_seconds` to end and are cancelled after that. A peer that takes nothing of an answer for
    `send_seconds` is dropped. Raises OSError when it cannot bind.
    """
    _require_no_lifespan(app)
    listeners = await (listen or open_listeners)(bind)
    server = Server(app=app, config=_config(keep_alive_seconds), send_seconds=send_seconds)
    async with trio.open_nursery() as connections:
        stop_at = trio.current_time()  # if we are cancelled, or `shutdown` fails: now
        try:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(
                    partial(trio.serve_listeners, server.handle, listeners, handler_nursery=connections)
                )
                task_status.started([_url(listener) for listener in listeners])
                await shutdown()
                stop_at = trio.current_time() + grace_seconds
                accepting.cancel_scope.cancel()
        finally:
            server.drain(stop_at)
            connections.cancel_scope.deadline = stop_at


@attrs.define(kw_only=True, eq=False)
class Server:
    """The open connections of one listening application."""

    app: App
    config: Config
    send_seconds: float
    _connections: dict[Connection, None] = attrs.field(factory=dict)
    _is_draining: bool = False

    async def handle(self, stream: trio.SocketStream) -> None:
        """Serve one accepted connection to its end; the caller closes the stream."""
        if self._is_draining:
            return
        try:
            connection = Connection(
                stream,
                ASGIWrapper(self.app),
                self.config,
                send_seconds=self.send_seconds,
            )
        except OSError:
            return  # gone before we looked
        self._connections[connection] = None
        try:
            await connection.run()
        finally:
            del self._connections[connection]

    def drain(self, hard_stop_at: float) -> None:
        """Let every connection end with the exchange it is in; no send outlasts `hard_stop_at`."""
        self._is_draining = True
        self.config.keep_alive_max_requests = 0  # from now on answers say `connection: close`
        for connection in self._connections:
            connection.drain(hard_stop_at)


def _config(keep_alive_seconds: float) -> Config:
    config = Config()
    config.logger_class = StructuredLogger
    config.include_server_header = False
    config.keep_alive_timeout = keep_alive_seconds
    config.keep_alive_max_requests = 1 << 62
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    config.websocket_max_message_size = WEBSOCKET_MESSAGE_BYTES_MAX
    config.websocket_ping_interval = None  # hypercorn never looks at the answers
    return config


def _require_no_lifespan(app: App) -> None:
    if app.before_serving_funcs or app.after_serving_funcs or app.while_serving_gens:
        raise ValueError("start services beside `serve`, not with before_serving and its like")


async def open_listeners(bind: str) -> list[trio.SocketListener]:
    """The real `Listen`. Raises ValueError, OSError."""
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"bind to HOST:PORT, not to {bind!r}")
    return await trio.open_tcp_listeners(int(port), host=host.strip("[]"), backlog=BACKLOG)


def _url(listener: trio.SocketListener) -> str:
    host, port = listener.socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
