"""A coordinator's log, copied into a file: then whatever can be asked of a log can be asked of it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import trio
from attrs import frozen

from clients import codec, wire
from clients.cli import printing
from clients.cli.api import ANSWER_SECONDS, Api, read
from clients.codec import Malformed
from clients.live import SILENCE_SECONDS
from events.catalog import Record
from events.codec import FromTheFuture, Unreadable, decode, encode
from events.log import PAGE, Entry, LogFromTheFuture
from events.sqlite import SqliteLog
from events.transfer import load

NOT_FOUND = 404


@frozen(kw_only=True)
class _Mark:
    """How far a coordinator has come, or a stream."""

    position: int
    type: str = ""


async def fetch(api: Api, path: Path) -> int:
    """Make a log at `path` of all records up to now.

    Raises `Unreachable`, `Refused`, `Malformed`; `CorruptLog` if what the coordinator has is not whole.
    """
    try:
        await _fetch_exported(api, path)
    except wire.Refused as refusal:
        if refusal.status != NOT_FOUND:
            raise
        printing.note("an older coordinator does not tell its chain hashes: only its file shows alterations")
        await _fetch_told(api, path)
    return 0


async def _fetch_exported(api: Api, path: Path) -> None:
    """As its coordinator has it, archived records included, each with its chain hash."""
    lines = path.with_suffix(".jsonl")
    async with api.client.request("GET", "/api/log", timeout_seconds=ANSWER_SECONDS) as response:
        await response.require(200)
        with lines.open("wb") as file:  # nothing else wants this thread
            source = response.lines()
            while (line := await _next(source, is_open=False)) is not None:
                file.write(line + b"\n")
    with lines.open("rb") as file, contextlib.closing(SqliteLog(path)) as log:  # likewise
        batch: list[Entry] = []
        for entry in load(line.removesuffix(b"\n") for line in file):
            batch.append(entry)
            if len(batch) == PAGE:
                log.copy(batch)
                batch = []
        log.copy(batch)


async def _fetch_told(api: Api, path: Path) -> None:
    """As it tells its records to whoever follows them; the chain is made anew."""
    reply = await api.client.call("GET", "/api/workers", timeout_seconds=ANSWER_SECONDS)
    head = read(codec.loads(reply.raise_for_status().body), _Mark).position
    with contextlib.closing(SqliteLog(path)) as log:
        batch: list[Record] = []
        async for record in _records(api.client, head):
            batch.append(record)
            if len(batch) == PAGE:
                log.append(batch)  # nothing else wants this thread
                batch = []
        log.append(batch)


async def _records(client: wire.Client, head: int) -> AsyncIterator[Record]:
    """The records up to `head`, without gap or repeat."""
    position = 0
    target = "/api/events?after=0"
    if not head:
        return
    async with client.request("GET", target, timeout_seconds=ANSWER_SECONDS) as response:
        await response.require(200)
        lines = response.lines()
        while position < head:
            line = await _next(lines) or b""
            mark = read(codec.loads(line), _Mark)
            if mark.type == "Progress":
                continue
            position += 1
            if mark.position != position:
                raise Malformed(f"record {position} is missing: {mark.position} stands in its place")
            yield _parsed(line)


async def _next(lines: wire.Lines, *, is_open: bool = True) -> bytes | None:
    """The next line; None after the last one, unless the stream must not end before we end it."""
    with trio.move_on_after(SILENCE_SECONDS):
        try:
            return await anext(lines)
        except StopAsyncIteration:
            if not is_open:
                return None
            raise wire.Unreachable("the stream of records broke off") from None
    raise wire.Unreachable(f"no sign of life for {SILENCE_SECONDS:g} s")


def _parsed(line: bytes) -> Record:
    try:
        record = decode(line)
    except FromTheFuture as error:
        raise LogFromTheFuture(str(error)) from error
    except Unreadable as error:
        raise Malformed(str(error)) from error
    # The chain is made anew; it is the coordinator's only if each text is.
    if encode(record) != line:
        raise Malformed(f"record {record.position} is not in the form that it was stored in")
    return record
