"""Clients for servers that are met on the way: a pool per base URL, and a redirect followed once.

A coordinator may send whoever wants an artifact to the worker that holds it.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from urllib.parse import urljoin, urlsplit

from clients.wire.client import Client
from clients.wire.response import Refused, Response

ORIGINS_MAX = 32
REDIRECTS = (302, 307)


class Origins:
    """The clients of servers, each made when first needed; the one unused for longest goes first."""

    def __init__(self, make: Callable[[str], Client] = Client, *, origins_max: int = ORIGINS_MAX) -> None:
        self._make = make
        self._origins_max = origins_max
        self._clients: dict[str, Client] = {}

    async def client(self, base_url: str) -> Client:
        """The client of this server. Raises ValueError if that is no base URL."""
        client = self._clients.pop(base_url, None) or self._make(base_url)
        self._clients[base_url] = client
        if len(self._clients) > self._origins_max:
            oldest = next(iter(self._clients))
            await self._clients.pop(oldest).aclose()  # exchanges at work on it end undisturbed
        return client

    async def aclose(self) -> None:
        """Close what is idle."""
        while self._clients:
            await self._clients.popitem()[1].aclose()


@contextlib.asynccontextmanager
async def get_following(
    client: Client,
    target: str,
    *,
    origins: Origins,
    headers: Iterable[tuple[str, str]] = (),
    timeout_seconds: float,
) -> AsyncIterator[Response]:
    """GET; a redirect (302, 307) is followed once, and a second one is the caller's answer.

    The client's own headers, credentials among them, stay with its own server: a redirect to another one
    is followed without them. Raises as `Client.request`, and `Refused` if there is no way to follow.
    """
    async with contextlib.AsyncExitStack() as stack:
        response = await stack.enter_async_context(
            client.request("GET", target, headers=headers, timeout_seconds=timeout_seconds)
        )
        if response.status in REDIRECTS:
            other, target = await _destination(response, client, target, origins)
            await stack.aclose()
            response = await stack.enter_async_context(
                other.request("GET", target, headers=headers, timeout_seconds=timeout_seconds)
            )
        yield response


async def _destination(
    response: Response, client: Client, target: str, origins: Origins
) -> tuple[Client, str]:
    try:
        location = urljoin(client.base_url + target, response.headers.get("location", ""))
        if location.startswith(client.base_url + "/"):
            return client, location.removeprefix(client.base_url).partition("#")[0]
        parts = urlsplit(location)
        other = await origins.client(f"{parts.scheme}://{parts.netloc}")
    except ValueError as error:
        raise Refused(response.status, f"redirects to a place that is none: {error}") from error
    return other, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
