"""The same bytes for very many peers: framed once, and handed to each one's socket as they are.

An answer that streams, or an accepted WebSocket, may mix this with the usual way. It costs a tenth of that,
and never waits.
"""

from typing import Protocol

from quart.wrappers import Request, Websocket

# What asks a WebSocket's peer for a sign of life; browsers answer by themselves (RFC 6455 §5.5.2).
PING = b"\x89\x00"
CONNECTION = "connection"


class Direct(Protocol):
    """A peer's socket, past the protocol code. `heard_at`: when anything came from it, by trio's clock."""

    heard_at: float

    def write_now(self, framed: bytes) -> bool:
        """Have the kernel take the bytes. False if it takes none now: then nothing has happened.

        What it does not take at once goes out with `flush`, or before whatever is sent next.
        """
        ...

    async def flush(self) -> None:
        """Wait until the kernel has taken all; a peer that reads nothing for long is dropped."""
        ...

    def drop(self) -> None:
        """End the connection, whatever the peer has still to be told."""
        ...


def direct(asked: Request | Websocket) -> Direct | None:
    """Of whoever asks; None where this is not HTTP/1.1 on a real socket."""
    scope = asked.scope
    found: Direct | None = scope.get("state", {}).get(CONNECTION)
    return found if scope["http_version"] == "1.1" else None


def as_chunk(data: bytes) -> bytes:
    """A chunk of a chunked answer."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def as_text_message(text: bytes) -> bytes:
    """A WebSocket's message, not masked, as servers send them."""
    size = len(text)
    if size < 126:
        return bytes((0x81, size)) + text
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + text
    return b"\x81\x7f" + size.to_bytes(8, "big") + text
