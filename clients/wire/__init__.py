"""HTTP/1.1 from the asking side: a client over any trio stream, its connections, answers and redirects."""

from clients.wire.client import Client, OpenStream, Origin
from clients.wire.connection import Body, BodyLengthChanged
from clients.wire.response import Lines, Refused, Reply, Response, TooLarge, Unreachable

__all__ = [
    "Body",
    "BodyLengthChanged",
    "Client",
    "Lines",
    "OpenStream",
    "Origin",
    "Refused",
    "Reply",
    "Response",
    "TooLarge",
    "Unreachable",
]
