"""Peers as a server meets them: they hold on, send half of what they promised, or never read."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio

# The smallest that the kernel grants, so that little of an answer fits on the way.
RECEIVE_BUFFER = 4096


async def connect(url: str, *, receive_buffer: int = 0) -> trio.SocketStream:
    """A plain connection to the server."""
    parts = urlsplit(url)
    connection = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await connection.connect((parts.hostname, parts.port))
    return trio.SocketStream(connection)


def request(method: str, target: str, *headers: str) -> bytes:
    """The head of a request."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: terzetto", *headers, "", ""]).encode()


SOCKET = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
FILE = f"/file?id={'ab' * 20}"

# What each of them says before it falls silent. None of them ever reads.
SILENT = {
    "does not read the stream": request("GET", "/api/events?after=0"),
    "does not read the events": request("GET", "/api/events?after=0", "Accept: text/event-stream"),
    "does not read the socket": request("GET", "/api/events?after=0", *SOCKET, KEY),
    "has uploaded half of a file": request("PUT", FILE, "Content-Length: 1000") + b"half",
    "has uploaded half of a chunk": request("PUT", FILE[:-1] + "c", "Transfer-Encoding: chunked")
    + b"ff\r\nhalf",
    "has sent half of a head": b"POST /build HTTP/1.1\r\nHost: terz",
    "has sent half of a graph": request("POST", "/build", "Content-Length: 1000") + b'{"Graph":',
    "has said nothing": b"",
}


@asynccontextmanager
async def besieged(url: str, number: int) -> AsyncIterator[None]:
    """So many of each kind are connected."""
    streams = []
    for said in list(SILENT.values()) * number:
        stream = await connect(url, receive_buffer=RECEIVE_BUFFER)
        await stream.send_all(said)
        streams.append(stream)
    try:
        yield
    finally:
        for stream in streams:
            await trio.aclose_forcefully(stream)
