"""The HTTP client over TLS, with a certificate that is made for the occasion."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
import trio

from clients.wire import Client, Unreachable
from tests.clients.peers import Peer, converse

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")


async def echo(peer: Peer) -> None:
    while (request := await peer.request()) is not None:
        await peer.answer(request[1])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a self-signed certificate for 127.0.0.1."""
    path = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key", "-out", "certificate"]
    subprocess.run([*command.split(), *names], cwd=path, check=True, capture_output=True, timeout=60)
    return path


async def test_https(certificate: Path) -> None:
    """Exchanges work and share a connection; a certificate that nobody vouches for is refused."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate / "certificate", certificate / "key")
    trusting = ssl.create_default_context(cafile=certificate / "certificate")
    connections: list[int] = []

    async def counted(peer: Peer) -> None:
        connections.append(1)
        await echo(peer)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_ssl_over_tcp_listeners(0, server, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, lambda stream: converse(counted, stream), listeners)
            url = f"https://127.0.0.1:{listeners[0].transport_listener.socket.getsockname()[1]}"  # type: ignore[attr-defined]
            async with Client(url, tls=trusting) as client:
                for body in (b"a", b"x" * 3_000_000, b"b"):
                    assert (await client.call("PUT", "/", body=body, timeout_seconds=10)).body == body
            assert len(connections) == 1
            async with Client(url) as client:
                with pytest.raises(Unreachable, match=r"agrees on no TLS: .*CERTIFICATE_VERIFY_FAILED"):
                    await client.call("GET", "/", timeout_seconds=10)
            nursery.cancel_scope.cancel()
