"""The composer worker API's verbs, as a worker speaks them to any implementation of it.

All raise `Unreachable` and `Refused`, and `Malformed` where they parse.
"""

import math
from urllib.parse import quote

import trio

from clients import composer as protocol
from clients import wire
from clients.codec import Malformed

ANSWER_SECONDS = 30.0
# A service may hold a request for as long as it likes; we look for a better connection now and then.
ASK_SECONDS = 120.0
UPLOAD_SECONDS = 3600.0


class ComposerClient:
    """The API below `base_path` of the client's server, which is without a path of its own."""

    def __init__(self, client: wire.Client, base_path: str = protocol.BASE_PATH) -> None:
        self._client = client
        self._base = base_path

    async def register(self, arch: str) -> str:
        """A new id for this worker."""
        body = await self._send("POST", f"{self._base}/workers", {"arch": arch})
        return protocol.read(body, protocol.PostWorkersResponse).worker_id

    async def refresh(self, worker_id: str) -> None:
        """Say that the worker lives. `Refused` with 400 says that it has to register again."""
        reply = await self._client.call(
            "POST", f"{self._base}/workers/{worker_id}/status", timeout_seconds=ANSWER_SECONDS
        )
        reply.raise_for_status()

    async def request_job(
        self, types: tuple[str, ...], arch: str, worker_id: str | None = None
    ) -> protocol.RequestJobResponse | None:
        """A job of one of these types; None if there was none, and one may ask again."""
        value: dict[str, object] = {"types": types, "arch": arch}
        if worker_id is not None:
            value["worker_id"] = worker_id
        body = b""
        with trio.move_on_after(ASK_SECONDS):
            body = await self._send("POST", f"{self._base}/jobs", value, timeout_seconds=math.inf)
        return protocol.read(body, protocol.RequestJobResponse) if body else None

    async def is_canceled(self, location: str) -> bool:
        """Is the job not wanted any more? Asking is also its sign of life."""
        reply = await self._client.call("GET", self._path(location), timeout_seconds=ANSWER_SECONDS)
        return protocol.read(reply.raise_for_status().body, protocol.GetJobResponse).canceled

    async def finish(self, location: str, result: str) -> None:
        """Hand the result in, which is JSON text; the location is void from then on."""
        await self._send("PATCH", self._path(location), {"result": protocol.raw(result)})

    async def report(self, location: str, partial: str) -> None:
        """Hand a part of the result in; the job goes on."""
        await self._send("PATCH", self._path(location), {"partial": protocol.raw(partial)})

    async def upload(self, artifact_location: str, name: str, body: wire.Body, size: int) -> None:
        """A file that the job made; of a body that is streamed, `size` is its length in bytes."""
        headers = [("content-type", "application/octet-stream")]
        if not isinstance(body, bytes):
            headers.append(("content-length", str(size)))
        target = f"{self._path(artifact_location).rstrip('/')}/{quote(name, safe='')}"
        reply = await self._client.call(
            "PUT", target, body=body, headers=headers, timeout_seconds=UPLOAD_SECONDS
        )
        reply.raise_for_status()

    async def _send(
        self, method: str, target: str, value: object, timeout_seconds: float = ANSWER_SECONDS
    ) -> bytes:
        reply = await self._client.call(
            method,
            target,
            body=protocol.encode(value),
            headers=[("content-type", protocol.JSON)],
            timeout_seconds=timeout_seconds,
            bytes_max=protocol.VALUE_BYTES_MAX,
        )
        return reply.raise_for_status().body

    def _path(self, location: str) -> str:
        """A location has to lie below our own base: nobody may send us elsewhere with what we know."""
        if not location.startswith(f"{self._base}/jobs/") or ".." in location:
            raise Malformed(f"the location {location[:80]!r} is not below {self._base}")
        return location
