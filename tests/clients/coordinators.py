"""A small scripted coordinator, ours or a foreign one, whose every answer a test may replace."""

import io
import json
import tarfile
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import trio

from tests.clients.peers import Peer

BUILD = "bb" * 20
Answer = Callable[[Peer], Awaitable[None]]


def record(position: int, kind: str, **fields: object) -> dict[str, object]:
    return {"position": position, "at": float(position), "type": kind, "build": BUILD, **fields}


def tar(**files: bytes) -> bytes:
    """An artifact with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class ScriptedCoordinator:
    """Keeps what it is sent; `records` are streamed after UploadDone or Cancel, the latter's at the end.

    `instead` maps "METHOD /path" to answers that are given instead, one request each.
    """

    def __init__(self, *, missing: tuple[str, ...] = (), is_native: bool = True) -> None:
        self.missing = missing
        self.is_native = is_native
        self.records: list[dict[str, object]] = []
        self.updates: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.queries: list[dict[str, str]] = []
        self.signals: list[dict[str, Any]] = []
        self.instead: dict[str, list[Answer]] = {}
        self.may_run = trio.Event()
        self.cancelled = trio.Event()

    async def __call__(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            line, body = request
            method, _, target = line.partition(" ")
            parts = urlsplit(target)
            self.requests.append(f"{method} {parts.path}")
            self.queries.append(dict(parse_qsl(parts.query)))
            if self.instead.get(self.requests[-1]):
                await self.instead[self.requests[-1]].pop(0)(peer)
            else:
                await self._answer(peer, self.requests[-1], self.queries[-1], body)

    async def _answer(self, peer: Peer, line: str, query: dict[str, str], body: bytes) -> None:
        match line:
            case "POST /build":
                await self._build(peer)
            case "PUT /file":
                self.files[query["id"]] = body
                await peer.answer()
            case "POST /signal":
                self.signals.append(json.loads(body))
                (self.cancelled if "Cancel" in self.signals[-1] else self.may_run).set()
                await peer.answer(b"{}")
            case _ if line.endswith("/events"):
                await self._events(peer, int(query["after"]))
            case _ if line.partition(" ")[2] in self.blobs:
                await peer.answer(self.blobs[line.partition(" ")[2]][int(query.get("from", 0)) :])
            case _:
                await peer.answer(b"nothing here", status=404)

    async def _build(self, peer: Peer) -> None:
        await peer.start(headers=(("terzetto-position", "4"),) if self.is_native else ())
        missing = [id_ for id_ in self.missing if id_ not in self.files]
        await peer.say(json.dumps({"ID": BUILD, "MissingFiles": missing or None}).encode())
        await self.may_run.wait()
        for update in self.updates:
            await peer.say(json.dumps(update).encode())
        if self.updates:
            await peer.end()
        else:
            await trio.sleep_forever()  # until the client goes away, or the test ends

    async def _events(self, peer: Peer, after: int) -> None:
        await peer.start()
        async with trio.open_nursery() as nursery:
            for event in (self.may_run, self.cancelled):
                nursery.start_soon(_cancel_after, event, nursery.cancel_scope)
        records = self.records
        if self.cancelled.is_set():
            records = [*records, record(99, "BuildCancelled", reason=self.signals[-1]["Cancel"]["Reason"])]
        for entry in records:
            if int(str(entry["position"])) > after:
                await peer.say(json.dumps(entry).encode() + b"\n")
        if any(entry["type"] in ("BuildSucceeded", "BuildFailed", "BuildCancelled") for entry in records):
            await peer.end()
            return
        await self.cancelled.wait()
        await peer.stream.aclose()  # the client comes again, and is told of the cancellation


async def _cancel_after(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
