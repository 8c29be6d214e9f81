"""Live streams of records: three carriers, one set of lines, without gap or repeat."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from clients import wire
from clients.compact import decode
from coordinator.http.watchers import SSE
from tests.coordinator.go import Build, Worker, build, graph, hex_id, job, started, working
from tests.coordinator.live import Live, running

A = hex_id("a")
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


async def lines_of(live: Live, target: str, **headers: str) -> list[bytes]:
    """A chunked stream to its end."""
    reply = await live.call("GET", target, headers=headers)
    assert reply.status == 200, reply.text()
    return reply.body.splitlines()


async def events_of(live: Live, target: str, **headers: str) -> list[bytes]:
    """Server-sent events to their end, as the lines they carry."""
    reply = await live.call("GET", target, headers={"Accept": "text/event-stream", **headers})
    assert reply.headers["content-type"] == "text/event-stream"
    lines = []
    for event in reply.body.decode().split("\n\n")[:-1]:
        id_, data = event.split("\n")
        lines.append(data.removeprefix("data: ").encode())
        assert id_ == f"id: {json.loads(lines[-1])['position']}"
    return lines


@asynccontextmanager
async def socket(live: Live, target: str, **headers: str) -> AsyncIterator[WebSocketConnection]:
    """A connection whose stream is closed, which the library leaves to others when the server ends it."""
    extra = [(name.encode(), value.encode()) for name, value in headers.items()]
    raw = await live.connect()
    host = live.url.removeprefix("http://")
    async with raw.stream, trio.open_nursery() as nursery:
        try:
            yield await wrap_client_stream(nursery, raw.stream, host, target, extra_headers=extra)
        finally:
            nursery.cancel_scope.cancel()


async def message_of(connection: WebSocketConnection) -> bytes:
    message = await connection.get_message()
    assert isinstance(message, str)
    return message.encode()


async def refusal(live: Live, target: str, **headers: str) -> ConnectionRejected:
    """What a socket is told that must not open."""
    with pytest.RaisesGroup(ConnectionRejected, flatten_subgroups=True) as caught:
        async with socket(live, target, **headers):
            raise AssertionError("it must not open")
    rejected = caught.value.exceptions[0]
    assert isinstance(rejected, ConnectionRejected)
    return rejected


async def closing(connection: WebSocketConnection) -> tuple[list[bytes], int]:
    """All messages to the end, and the code with which the server closes."""
    messages = []
    while True:
        try:
            messages.append(await message_of(connection))
        except ConnectionClosed as closed:
            assert closed.reason is not None
            return messages, closed.reason.code


async def messages_of(live: Live, target: str) -> list[bytes]:
    """A WebSocket's text messages to its end, which has to be a normal one."""
    async with socket(live, target) as connection:
        messages, code = await closing(connection)
    assert code == 1000
    return messages


def values(lines: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


async def one_build(live: Live) -> str:
    """A build that has ended, among other records; its id."""
    async with working(Worker(live)):
        await build(live, graph(job("x")))
        await build(live, graph(job("a"), job("b", "a")))
        await build(live, graph(job("y")))
    id_ = (await live.get("/api/builds"))["builds"][1]["id"]
    assert isinstance(id_, str)
    return id_


async def test_every_carrier_gives_the_same_lines(tmp_path: Path) -> None:
    """A build's records, from any position on, with their end."""
    async with running(tmp_path) as live:
        id_ = await one_build(live)
        target = f"/api/builds/{id_}/events"
        lines = await lines_of(live, target)
        records = values(lines)
        assert {record["build"] for record in records} == {id_}
        assert records[0]["type"] == "BuildStarted"
        assert records[-1] == {
            "position": records[-1]["position"],
            "at": records[-1]["at"],
            "type": "BuildSucceeded",
            "build": id_,
        }
        positions = [record["position"] for record in records]
        assert positions == sorted(set(positions))
        for index in (0, 1, 3, len(lines) - 1, len(lines)):
            after = f"?after={positions[index - 1] if index else 0}"
            assert await lines_of(live, target + after) == lines[index:]
            assert await events_of(live, target + after) == lines[index:]
            assert await messages_of(live, target + after) == lines[index:]
            batched = await messages_of(live, f"{target}{after}&batch=1")
            assert b"\n".join(batched).splitlines() == lines[index:]
        assert await events_of(live, target, **{"Last-Event-ID": str(positions[1])}) == lines[2:]
        reply = await live.call("GET", f"{target}?form=compact", headers={"Accept": SSE})
        assert reply.status == 400
        reply = await live.call("GET", target)
        assert reply.headers["content-type"] == "application/x-ndjson"
        assert reply.headers["cache-control"] == "no-store"


async def test_the_compact_form_says_the_same(tmp_path: Path) -> None:
    """From any position, on both kinds of connection, packed or not; each frame holds whole commands."""
    async with running(tmp_path) as live:
        id_ = await one_build(live)
        target = f"/api/builds/{id_}/events"
        records = values(await lines_of(live, target))
        for start in (0, 1, len(records) - 2, len(records)):
            query = f"?form=compact&after={records[start - 1]['position'] if start else 0}"
            for frames in (await lines_of(live, target + query), await messages_of(live, target + query)):
                assert [record for frame in frames for record in decode(frame)] == records[start:]
                assert all("more" not in json.loads(frame) for frame in frames)
                assert [json.loads(frame)["position"] for frame in frames][-1:] == [
                    record["position"] for record in records[start:][-1:]
                ]


async def test_what_is_recorded_up_to_a_position(tmp_path: Path) -> None:
    """Just that, at once, though the build goes on; in lines and in frames, packed or not."""
    async with running(tmp_path) as live, started(live, graph(job("c"))) as stream:
        target = f"/api/builds/{stream.id}/events"
        position = await live.position()
        for query in (f"?upto={position}", f"?upto={position}&form=compact", f"?upto={position - 1}"):
            plain, small = [
                (await live.call("GET", target + query, headers=headers)).raise_for_status().body
                for headers in ({}, {"Accept-Encoding": "gzip"})
            ]
            assert gzip.decompress(small) == plain
            told = plain.splitlines()
            records = (
                [record for frame in told for record in decode(frame)] if "form" in query else values(told)
            )
            assert [record["type"] for record in records] == ["BuildStarted", "JobAdded"][: len(records)]
            assert records[-1]["position"] == int(query.split("=")[1].partition("&")[0])
        for wrong in (f"?upto={position + 1}", "?upto=x", "?upto=-1"):
            assert (await live.call("GET", target + wrong)).status == 400


async def test_a_body_is_packed_for_whoever_takes_it(tmp_path: Path) -> None:
    """Lines and frames, of the past and as they happen; sockets and server-sent events never are."""
    packed = {"Accept-Encoding": "gzip"}
    async with running(tmp_path) as live:
        id_ = await one_build(live)
        for query in ("", "?form=compact", "?after=5"):
            plain, small = [
                await live.call("GET", f"/api/builds/{id_}/events{query}", headers=headers)
                for headers in ({}, packed)
            ]
            assert small.headers["content-encoding"] == "gzip"
            assert gzip.decompress(small.body) == plain.body
            assert len(small.body) < len(plain.body)
        reply = await live.call("GET", f"/api/builds/{id_}/events", headers={**packed, "Accept": SSE})
        assert "content-encoding" not in reply.headers
        async with started(live, graph(job("c"))) as stream:
            target = f"/api/builds/{stream.id}/events?form=compact"
            async with live.client.request("GET", target, headers=packed.items(), timeout_seconds=5) as open_:
                unpacked = Unpacked(open_)
                assert [each["type"] for each in decode(await unpacked.line())] == [
                    "BuildStarted",
                    "JobAdded",
                ]
                await stream.done()
                types = ["SignalReceived", "SourcesReady", "JobQueued"]
                assert [each["type"] for each in decode(await unpacked.line())] == types
                await live.post(f"/api/builds/{stream.id}/cancel")
                assert decode(await unpacked.line())[-1]["type"] == "BuildCancelled"
                assert await unpacked.has_ended_well()


class Unpacked:
    """A gzipped body, line by line as they arrive."""

    def __init__(self, response: wire.Response) -> None:
        self._response = response
        self._unpacker = zlib.decompressobj(31)
        self._text = b""

    async def line(self) -> bytes:
        while b"\n" not in self._text:
            self._text += self._unpacker.decompress(await anext(self._response))
        line, _, self._text = self._text.partition(b"\n")
        return line

    async def has_ended_well(self) -> bool:
        """Nothing more, and the checksum is right."""
        async for data in self._response:
            self._text += self._unpacker.decompress(data)
        return self._unpacker.eof and not self._text


async def test_records_come_as_they_happen(tmp_path: Path) -> None:
    """On both kinds of connection, and on that of the whole log."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        target = f"/api/builds/{stream.id}/events?after={stream.headers['terzetto-position']}"
        async with (
            live.client.request("GET", target, timeout_seconds=5) as response,
            socket(live, target) as connection,
            live.client.request("GET", "/api/events", timeout_seconds=5) as whole,
        ):
            lines, all_lines = response.lines(), whole.lines()
            assert json.loads(await anext(all_lines))["type"] == "CoordinatorStarted"
            for type_ in ("BuildStarted", "JobAdded"):
                line = await anext(lines)
                assert json.loads(line)["type"] == type_
                assert await message_of(connection) == line
                assert await anext(all_lines) == line
            await stream.done()
            for type_ in ("SignalReceived", "SourcesReady", "JobQueued"):
                line = await anext(lines)
                assert json.loads(line)["type"] == type_
                assert await message_of(connection) == line
                assert await anext(all_lines) == line


async def test_a_stream_can_be_taken_up_over_a_restart(tmp_path: Path) -> None:
    """The position of the last record is all there is to remember."""
    query = "?on_disconnect=continue"
    async with running(tmp_path) as live, started(live, graph(job("a")), query) as stream:
        target = f"/api/builds/{stream.id}/events"
        async with live.client.request("GET", target, timeout_seconds=5) as response:
            got = [json.loads(await anext(response.lines()))]
        await stream.done()
    async with running(tmp_path) as live:
        await live.post(f"/api/builds/{stream.id}/cancel")
        got += values(await lines_of(live, f"{target}?after={got[-1]['position']}"))
        assert got == values(await lines_of(live, target))
        assert got[-1]["type"] == "BuildCancelled"


async def test_an_idle_stream_tells_how_far_it_has_come(tmp_path: Path) -> None:
    """Everything up to there was sent, though it may have been nothing."""
    async with running(tmp_path, progress_seconds=0.2) as live, started(live, graph(job("a"))) as stream:
        target = f"/api/builds/{stream.id}/events?after={stream.headers['terzetto-position']}"
        head = await live.position()

        def check(progress: bytes | str) -> None:
            assert json.loads(progress) == {"type": "Progress", "position": head}

        async with live.client.request("GET", target, timeout_seconds=5) as response:
            lines = response.lines()
            await anext(lines)
            await anext(lines)
            for _ in range(3):
                check(await anext(lines))
        for batch in ("", "&batch=1"):
            async with socket(live, f"/api/builds/{stream.id}/events?after={head}{batch}") as connection:
                check(await message_of(connection))
                check(await message_of(connection))
        headers = {"Accept": "text/event-stream"}.items()
        async with live.client.request(
            "GET", f"/api/events?after={head}", headers=headers, timeout_seconds=5
        ) as response:
            lines = response.lines()
            check((await anext(lines)).removeprefix(b"data: "))
            assert await anext(lines) == b""


async def test_a_socket_whose_peer_is_dead_is_given_up(tmp_path: Path) -> None:
    """One that answers no pings, though its kernel takes all; one that does stays as long as it likes."""
    async with running(tmp_path, progress_seconds=0.5) as live, socket(live, "/api/events") as alive:
        raw = await live.connect()
        await raw.send("GET", "/api/events", b"", *UPGRADE)
        assert "101" in await raw.head()

        async def listen() -> None:
            while True:
                await message_of(alive)

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen)
                while not await raw.has_ended():
                    pass
                await message_of(alive)
                nursery.cancel_scope.cancel()
        await raw.aclose()


async def test_filters(tmp_path: Path) -> None:
    """By type, several at once, and by worker; a stream of a build ends as ever."""
    async with running(tmp_path) as live:
        id_ = await one_build(live)
        target = f"/api/builds/{id_}/events"
        some = values(await lines_of(live, f"{target}?type=JobLeased&type=JobSucceeded"))
        assert [each["type"] for each in some] == ["JobLeased", "JobSucceeded"] * 2
        assert await lines_of(live, f"{target}?type=WorkerLost") == []
        assert await lines_of(live, f"{target}?worker=nobody") == []
        everything = values(await lines_of(live, target))
        own = values(await lines_of(live, f"{target}?worker=http://127.0.0.1:9101/worker/0"))
        assert own == [each for each in everything if "worker" in each]
        async with live.client.request("GET", "/api/events?type=WorkerJoined", timeout_seconds=5) as response:
            assert json.loads(await anext(response.lines()))["type"] == "WorkerJoined"


async def test_what_cannot_be_streamed_is_refused(tmp_path: Path) -> None:
    """In the shape of all errors, on sockets as well."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        own = f"/api/builds/{stream.id}/events"
        for target, status in (
            (f"{own}?after=x", 400),
            (f"{own}?after=-1", 400),
            (f"{own}?after=99999", 400),
            ("/api/events?after=99999", 400),
            (f"{own}?type=Nothing", 400),
            (f"{own}?form=round", 400),
            ("/api/builds/unknown/events", 404),
        ):
            reply = await live.call("GET", target)
            assert (reply.status, json.loads(reply.body)["kind"]) == (status, "Error"), target
            refused = await refusal(live, target)
            assert refused.status_code == status
            assert json.loads(refused.body or b"{}")["kind"] == "Error"


async def test_pages_of_other_sites_may_not_look_in(tmp_path: Path) -> None:
    """A browser names the page that opens a socket, or fetches; other programs name none."""
    async with running(tmp_path) as live:
        for origin in ("http://evil.example", "null", live.url + ".evil.example"):
            assert (await refusal(live, "/api/events", Origin=origin)).status_code == 403
            for accepted in ("*/*", SSE):
                headers = {"Origin": origin, "Accept": accepted}
                assert (await live.call("GET", "/api/events", headers=headers)).status == 403
        async with socket(live, "/api/events", Origin=live.url) as connection:
            assert json.loads(await message_of(connection))["position"] == 1


async def test_a_stop_ends_every_stream(tmp_path: Path) -> None:
    """At once: chunked ones whole, sockets with "service restart"."""
    async with running(tmp_path, drain_seconds=1.0) as live, started(live, graph(job("a"))) as stream:
        own = f"/api/builds/{stream.id}/events"
        head = await live.position()
        async with (
            live.client.request("GET", own, timeout_seconds=5) as response,
            live.client.request("GET", "/api/events", timeout_seconds=5) as whole,
            socket(live, own) as connection,
        ):
            await message_of(connection)
            live.stop.set()
            with trio.fail_after(5):
                types = [json.loads(line)["type"] async for line in response.lines()]
                assert types == ["BuildStarted", "JobAdded"]
                assert len((await whole.read()).splitlines()) == head
                messages, code = await closing(connection)
            assert len(messages) == 1
            assert code == 1012


async def test_a_viewer_that_leaves_is_noticed(tmp_path: Path) -> None:
    """However it leaves; nothing follows for it, and its build is left alone."""
    async with running(tmp_path, client_grace_seconds=0.2) as live:
        async with started(live, graph(job("a"))) as stream:
            own = f"/api/builds/{stream.id}/events"
            raw = await live.connect()
            await raw.send("GET", own)
            await raw.head()
        async with socket(live, own):
            await raw.aclose()
            with trio.fail_after(10):
                await until_cancelled(live, stream)  # a page that is left open keeps no build alive


async def until_cancelled(live: Live, stream: Build) -> None:
    while (await live.get(f"/api/builds/{stream.id}"))["build"]["state"] != "cancelled":
        await trio.sleep(0.02)


async def test_a_viewer_that_does_not_read_harms_nobody(tmp_path: Path) -> None:
    """It lags behind; builds and other viewers go on."""
    jobs = [{"ID": f"{number:040x}", "Name": "x" * 200} for number in range(8_000)]
    async with running(tmp_path) as live:
        async with started(live, {"Graph": {"Jobs": jobs}}) as stream:
            raw = await live.connect()
            await raw.send("GET", "/api/events")
            await raw.head()
            async with socket(live, "/api/events?batch=1"):
                with trio.fail_after(20):
                    await live.heartbeat()
                    await live.post(f"/api/builds/{stream.id}/cancel")
                    assert len(await lines_of(live, f"/api/builds/{stream.id}/events")) == 16_003
        await raw.aclose()


async def test_batches_are_of_bearable_size(tmp_path: Path) -> None:
    """Many readers refuse messages of more than a megabyte."""
    jobs = [{"ID": f"{number:040x}", "Name": "x" * 1000} for number in range(3000)]
    async with running(tmp_path) as live:
        async with started(live, {"Graph": {"Jobs": jobs}}) as stream:
            await live.post(f"/api/builds/{stream.id}/cancel")
        messages = await messages_of(live, f"/api/builds/{stream.id}/events?batch=1")
        assert max(map(len, messages)) < 300_000
        assert len(b"\n".join(messages).splitlines()) == 6003


async def test_a_socket_to_nowhere_is_refused(tmp_path: Path) -> None:
    """Not every address can be one."""
    async with running(tmp_path) as live:
        for target in ("/api/builds", "/nothing"):
            assert 400 <= (await refusal(live, target)).status_code < 500
