"""Redirects, followed once and without credentials."""

import contextlib

import pytest

from clients.wire import Client, Refused
from clients.wire.origins import Origins, get_following
from tests.clients.peers import Peer, Talk, serving


async def echo_head(peer: Peer) -> None:
    while (head := await peer.head()) is not None:
        await peer.body()
        names = b",".join(sorted(name for name, _ in head.headers))
        await peer.answer(head.target + b" " + names)


def to(location: str, status: int = 307) -> Talk:
    async def talk(peer: Peer) -> None:
        while (head := await peer.head()) is not None:
            await peer.body()
            if head.target == b"/p/here":
                await peer.answer(b"stayed " + str(b"authorization" in dict(head.headers)).encode())
            else:
                await peer.answer(status=status, headers=(("location", location),) if location else ())

    return talk


@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_to_another_server(status: int) -> None:
    """It is followed with its query, and without what the client tells only its own server."""
    async with contextlib.AsyncExitStack() as stack:
        worker = await stack.enter_async_context(serving(echo_head))
        url = await stack.enter_async_context(serving(to(f"{worker}/worker/0/artifact?id=1", status)))
        client, origins = Client(url, headers=[("authorization", "Bearer x")]), Origins()
        async with get_following(
            client, "/a", origins=origins, headers=[("x", "y")], timeout_seconds=5
        ) as response:
            assert await response.read() == b"/worker/0/artifact?id=1 content-length,host,x"
        await client.aclose()
        await origins.aclose()


async def test_a_redirect_within_the_server() -> None:
    """A relative one stays with the client, credentials and all."""
    async with serving(to("here")) as url:
        client = Client(url + "/p", headers=[("authorization", "Bearer x")])
        async with get_following(client, "/a", origins=Origins(), timeout_seconds=5) as response:
            assert await response.read() == b"stayed True"
        await client.aclose()


async def test_a_redirect_is_followed_once() -> None:
    """A circle ends with the second redirect as the answer."""
    async with serving(to("/p/elsewhere")) as url:
        client = Client(url + "/p")
        async with get_following(client, "/a", origins=Origins(), timeout_seconds=5) as response:
            assert response.status == 307
            with pytest.raises(Refused):
                await response.require(200)
        await client.aclose()


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://u:p@h/x", "http://[", "http://h:x/"])
async def test_a_redirect_to_nowhere(location: str) -> None:
    """Only plain http and https places are gone to."""
    async with serving(to(location)) as url:
        client = Client(url)
        with pytest.raises(Refused, match="redirects to a place that is none"):
            async with get_following(client, "/a", origins=Origins(), timeout_seconds=5):
                pass
        await client.aclose()


async def test_the_number_of_clients_is_bounded() -> None:
    """The one unused for longest makes room."""
    origins = Origins(origins_max=2)
    one, two = await origins.client("http://1"), await origins.client("http://2")
    assert await origins.client("http://1") is one
    await origins.client("http://3")
    assert await origins.client("http://1") is one
    assert await origins.client("http://2") is not two
