"""The Docker Engine API on a unix socket, as far as running jobs needs it; Docker and Podman both speak it.

Nothing is retried here, and nothing remembered: what was left behind is found again by its labels.
"""

import json
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import trio

from clients import codec, wire
from clients.codec import Malformed
from clients.wire.client import OpenStream

# Making a container may take an engine under load this long; looking at one does not.
MAKE_SECONDS = 60.0
LOOK_SECONDS = 10.0
# Each piece of a log is preceded by its stream, three zeroes and its size.
FRAME = struct.Struct(">BxxxL")
STDOUT, STDERR = 1, 2
SCHEME = "unix://"


class EngineLost(Exception):
    """The engine does not answer, or broke off in the middle of it."""


class EngineRefused(Exception):
    """The engine's own words on why not; `status` is 404 for what is not there."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def socket_path(url: str) -> str:
    """The path in `unix:///path`. Raises ValueError."""
    parts = urlsplit(url)
    if not url.startswith(SCHEME) or parts.netloc or len(parts.path) < 2:
        raise ValueError(f"an engine is named as unix:///path/to/its.sock, not {url!r}")
    return parts.path


async def _open_unix(path: str) -> trio.abc.Stream:
    return await trio.open_unix_socket(path)


class Engine:
    """One engine. Every method raises `EngineLost`, `EngineRefused`."""

    def __init__(self, url: str, open_stream: OpenStream | None = None) -> None:
        """`open_stream` stands for the socket where there is none; raises ValueError."""
        self.path = path = socket_path(url)
        # The host is for the protocol's sake alone.
        self._client = wire.Client(
            "http://engine", open_stream=open_stream or (lambda _host, _port: _open_unix(path))
        )
        self._prefix = ""

    async def aclose(self) -> None:
        await self._client.aclose()

    async def version(self) -> dict[str, Any]:
        """Who it is; from then on we speak the version of the API that it speaks itself."""
        said = await self._json("GET", "/version", seconds=LOOK_SECONDS)
        version = said.get("ApiVersion") if isinstance(said, dict) else None
        if not isinstance(version, str):
            raise EngineLost("what answers there is no engine: it names no version of its API")
        self._prefix = f"/v{version}"
        return dict(said)

    async def create(self, name: str, spec: Mapping[str, Any]) -> str:
        """Make a container; returns its id."""
        made = await self._json("POST", f"/containers/create?name={quote(name)}", spec, seconds=MAKE_SECONDS)
        return str(made["Id"])

    async def start(self, id_: str) -> None:
        await self._call("POST", f"/containers/{id_}/start", seconds=MAKE_SECONDS)

    async def wait(self, id_: str) -> int:
        """The exit code, when the container has ended, however long that takes."""
        ended = await self._json("POST", f"/containers/{id_}/wait", seconds=float("inf"))
        return int(ended["StatusCode"])

    async def stop(self, id_: str, seconds: int) -> None:
        """Ask it to end, and kill it after so long."""
        await self._call("POST", f"/containers/{id_}/stop?t={seconds}", seconds=seconds + LOOK_SECONDS)

    async def remove(self, id_: str) -> None:
        """Kill it if it runs, and leave nothing of it; one that is gone already is no error."""
        try:
            await self._call("DELETE", f"/containers/{id_}?force=1&v=1", seconds=MAKE_SECONDS)
        except EngineRefused as refusal:
            if refusal.status != 404:
                raise

    async def inspect(self, id_: str) -> dict[str, Any]:
        return dict(await self._json("GET", f"/containers/{id_}/json", seconds=LOOK_SECONDS))

    async def labelled(self, name: str, value: str) -> list[dict[str, Any]]:
        """All containers with this label, running or not."""
        filters = quote(json.dumps({"label": [f"{name}={value}"]}))
        return list(
            await self._json("GET", f"/containers/json?all=true&filters={filters}", seconds=LOOK_SECONDS)
        )

    async def logs(self, id_: str) -> AsyncIterator[tuple[int, bytes]]:
        """What it printed and prints, up to its end: STDOUT or STDERR, and bytes."""
        target = f"{self._prefix}/containers/{id_}/logs?follow=1&stdout=1&stderr=1"
        try:
            async with self._client.request("GET", target, timeout_seconds=MAKE_SECONDS) as response:
                await response.require(200)
                received = bytearray()
                async for chunk in response:
                    received += chunk
                    for piece in _frames(received):
                        yield piece
        except wire.Unreachable as error:
            raise EngineLost(str(error)) from error
        except wire.Refused as error:
            raise EngineRefused(error.status, _message(error.text)) from error

    async def _json(
        self, method: str, target: str, body: Mapping[str, Any] | None = None, *, seconds: float
    ) -> Any:
        answer = await self._call(method, target, body, seconds=seconds)
        try:
            return codec.loads(answer)
        except Malformed as error:
            raise EngineLost(f"what answers there is no engine: {error}") from error

    async def _call(
        self, method: str, target: str, body: Mapping[str, Any] | None = None, *, seconds: float
    ) -> bytes:
        sent = b"" if body is None else codec.dumps(dict(body))
        headers = () if body is None else (("content-type", "application/json"),)
        try:
            reply = await self._client.call(
                method, self._prefix + target, body=sent, headers=headers, timeout_seconds=seconds
            )
        except (wire.Unreachable, wire.TooLarge) as error:
            raise EngineLost(str(error)) from error
        if reply.status >= 400:
            raise EngineRefused(reply.status, _message(reply.text()))
        return reply.body


def _frames(received: bytearray) -> list[tuple[int, bytes]]:
    """The whole pieces at the beginning of what was received, which are taken away."""
    pieces, at = [], 0
    while len(received) >= at + FRAME.size:
        stream, size = FRAME.unpack_from(received, at)
        end = at + FRAME.size + size
        if len(received) < end:
            break
        pieces.append((stream, bytes(received[at + FRAME.size : end])))
        at = end
    del received[:at]
    return pieces


def _message(text: str) -> str:
    try:
        said = codec.loads(text.encode())
    except Malformed:
        return text
    return str(said.get("message", text)) if isinstance(said, dict) else text
