"""The HTTP server under the coordinator and the worker: Quart on hypercorn's protocol code, guarded.

hypercorn 0.18 lets one connection's exception end the whole server, waits for ever for a peer that stopped
reading, and Quart buffers an upload without bound. Here the connection loop, the sends and the request body
are our own; hypercorn keeps the HTTP/1.1 and WebSocket protocols, Quart the routing.
"""

from clients.server.app import App
from clients.server.body import receive_body, receive_chunks
from clients.server.direct import PING, Direct, as_chunk, as_text_message, direct
from clients.server.listen import Listen, open_listeners, serve

__all__ = [
    "PING",
    "App",
    "Direct",
    "Listen",
    "as_chunk",
    "as_text_message",
    "direct",
    "open_listeners",
    "receive_body",
    "receive_chunks",
    "serve",
]
