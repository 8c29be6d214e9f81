"""What jobs print over HTTP: written piece by piece, read from anywhere, by line, and by attempt."""

import base64
import json
from pathlib import Path
from typing import Any

import trio

from tests.coordinator.go import Ran, Worker, build, graph, hex_id, job, result, started, working
from tests.coordinator.http.test_api import NATIVE, error, lease_of
from tests.coordinator.live import Live, running

A, B = hex_id("a"), hex_id("b")


async def test_output_is_read_from_any_byte(tmp_path: Path) -> None:
    """Both streams, of ended jobs, of reused ones too, after a restart as well."""

    async def run(_spec: dict[str, Any]) -> Ran:
        return Ran(b"0123456789", b"err")

    async with running(tmp_path) as live:
        worker = Worker(live, run=run)
        async with working(worker):
            await build(live, graph(job("a")))
            await build(live, graph(job("a")))
    async with running(tmp_path) as live:
        builds = (await live.get("/api/builds"))["builds"]
        assert [each["reused"] for each in builds] == [1, 0]
        for each in builds:
            target = f"/api/builds/{each['id']}/jobs/{A}/output"
            for query, text in (
                ("", b"0123456789"),
                ("?stream=stdout&from=4", b"456789"),
                ("?stream=stderr", b"err"),
                ("?from=99", b""),
                ("?from=-3", b"789"),
                ("?from=-99", b"0123456789"),
                ("?from=2&limit=3", b"234"),
                ("?from=-3&limit=2&follow=1", b"78"),
                ("?limit=0&follow=1", b""),
                ("?follow=1", b"0123456789"),
            ):
                reply = await live.call("GET", target + query)
                assert (reply.status, reply.body) == (200, text), query
                assert reply.headers["content-type"] == "application/octet-stream"
            assert (await error(live, "GET", target + "?stream=x"))[0] == 400
            for wrong in ("?from=--1", "?from=1.5", "?limit=-1", "?limit=x", "?from=-"):
                assert (await error(live, "GET", target + wrong))[0] == 400, wrong
        assert (await error(live, "GET", f"/api/builds/{builds[0]['id']}/jobs/{B}/output"))[0] == 404


async def test_output_is_followed_while_it_grows(tmp_path: Path) -> None:
    """From before the job is leased to the end of its lease, with the rest that comes with the result."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        await stream.done()
        target = f"/api/builds/{stream.id}/jobs/{A}/output?follow=1"
        async with live.client.request("GET", target, timeout_seconds=5) as output:
            lease = await lease_of(live)
            sizes = []
            for offset, piece in ((0, b"one "), (4, b"two ")):
                sizes.append(
                    await live.post(f"/api/leases/{lease}/output?stream=stdout&offset={offset}", piece)
                )
                assert await anext(output) == piece
            assert sizes == [{"size": 4}, {"size": 8}]
            done = {**result(A, Ran(b"three")), "Lease": lease, "StdoutOffset": 8}
            await live.post("/heartbeat", {**NATIVE, "FinishedJob": [done]})
            with trio.fail_after(5):
                assert await output.read() == b"three"
        finished = (await stream.next())["JobFinished"]
        assert base64.b64decode(finished["Stdout"]) == b"one two three"


async def test_a_result_says_how_long_fetching_took(tmp_path: Path) -> None:
    """A time that is none is refused, and then nothing was reported."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        await stream.done()
        done = {**result(A, Ran()), "Lease": await lease_of(live), "FetchSeconds": -1}
        refused = await live.call("POST", "/heartbeat", {**NATIVE, "FinishedJob": [done]})
        assert (refused.status, b"FetchSeconds" in refused.body) == (400, True)
        await live.post("/heartbeat", {**NATIVE, "FinishedJob": [{**done, "FetchSeconds": 1.5}]})
        lines = (await live.call("GET", f"/api/builds/{stream.id}/events")).body.splitlines()
        [told] = [record for record in map(json.loads, lines) if record.get("type") == "JobSucceeded"]
        assert told["fetch_seconds"] == 1.5


async def test_a_follower_sees_the_end_of_the_lease_that_it_follows(tmp_path: Path) -> None:
    """A cancelled job's output just ends, and so does that of a job that never ran."""
    async with running(tmp_path) as live, started(live, graph(job("a"), job("b", "a"))) as stream:
        await stream.done()
        lease = await lease_of(live)
        await live.post(f"/api/leases/{lease}/output?offset=0", b"partial")
        jobs = f"/api/builds/{stream.id}/jobs"
        async with (
            live.client.request("GET", f"{jobs}/{A}/output?follow=1", timeout_seconds=5) as running_,
            live.client.request("GET", f"{jobs}/{B}/output?follow=1", timeout_seconds=5) as blocked,
        ):
            assert await anext(running_) == b"partial"
            await live.post(f"/api/builds/{stream.id}/cancel")
            with trio.fail_after(5):
                assert await running_.read() == b""
                assert await blocked.read() == b""


async def test_output_pieces_find_their_place(tmp_path: Path) -> None:
    """Repeated ones change nothing, gaps are named with the size to go on from, other leases are refused."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        await stream.done()
        lease = await lease_of(live)
        target = f"/api/leases/{lease}/output?stream=stderr&offset="
        data = bytes(range(256)) * 1000
        assert await live.post(target + "0", data[:150_000]) == {"size": 150_000}
        # The first answer got lost, and more has come since: nothing is doubled, however it is cut.
        assert await live.post(target + "0", data) == {"size": 256_000}
        assert await live.post(target + "100", data[100:200]) == {"size": 256_000}
        status, value = await error(live, "POST", target + "300000", b"x")
        assert (status, value["size"]) == (409, 256_000)
        assert (await live.call("GET", f"/api/builds/{stream.id}/jobs/{A}/output?stream=stderr")).body == data
        for dead in ("f" * 32, "x", "..%2f..%2fetc"):
            assert (await error(live, "POST", f"/api/leases/{dead}/output?offset=0", b"x"))[0] == 404, dead
            assert (await error(live, "POST", f"/api/leases/{dead}/output?offset=0"))[0] == 404, dead
        assert (await error(live, "POST", target + "x", b"x"))[0] == 400
        assert (await error(live, "POST", f"/api/leases/{lease}/output?stream=x", b"x"))[0] == 400
        assert (await error(live, "POST", target + "0", bytes((1 << 20) + 1)))[0] == 413
        await live.post(f"/api/builds/{stream.id}/cancel")
        assert (await error(live, "POST", target + "256000", b"late"))[0] == 404


async def finish(live: Live, lease: str, ran: Ran) -> None:
    """Report the job's end as one of our own workers; and that there is room for another."""
    await live.post("/heartbeat", {**NATIVE, "FinishedJob": [{**result(A, ran), "Lease": lease}]})


async def test_an_answer_says_where_its_bytes_are_and_whether_more_will_come(tmp_path: Path) -> None:
    """For a reader who begins with the end; also without the bytes, and as a file to keep."""
    async with (
        running(tmp_path) as live,
        started(live, graph({**job("a"), "Name": '../x\r\n"compile"/\u00e4.c'})) as stream,
    ):
        await stream.done()
        target = f"/api/builds/{stream.id}/jobs/{A}/output"

        async def about(method: str, query: str) -> tuple[str, ...]:
            reply = await live.call(method, target + query)
            assert reply.status == 200
            names = ("terzetto-from", "terzetto-size", "terzetto-grows", "content-length", "terzetto-lease")
            return reply.body.decode(), *(reply.headers.get(name, "none") for name in names)

        assert await about("GET", "?from=-5") == ("", "0", "0", "1", "0", "")
        lease = await lease_of(live)
        await live.post(f"/api/leases/{lease}/output?offset=0", b"0123456789")
        assert await about("GET", "?from=-4") == ("6789", "6", "10", "1", "4", lease)
        assert await about("HEAD", "?from=-4&limit=3") == ("", "6", "10", "1", "3", lease)
        assert await about("HEAD", "?follow=1") == ("", "0", "10", "1", "none", lease)
        await finish(live, lease, Ran(b"0123456789"))
        assert await about("GET", "?follow=1&from=7") == ("789", "7", "10", "0", "none", lease)
        headers = (await live.call("HEAD", f"{target}?download=1")).headers
        assert headers["content-disposition"] == 'attachment; filename="_x_compile_c.stdout.txt"'
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


async def test_each_attempt_keeps_its_output(tmp_path: Path) -> None:
    """By its lease; the latest if none is named; another job's lease is none of this one."""
    async with running(tmp_path) as live, started(live, graph(job("a"), job("b", "a"))) as stream:
        await stream.done()
        target = f"/api/builds/{stream.id}/jobs/{A}/output"
        first = await lease_of(live)
        await live.post(f"/api/leases/{first}/output?offset=0", b"error: first\n")
        second = await lease_of(live, Session="s2")  # a new process: the first one's lease is gone
        await live.post(f"/api/leases/{second}/output?offset=0", b"second\n")
        for lease, text, grows in ((first, b"error: first\n", "0"), (second, b"second\n", "1")):
            reply = await live.call("GET", f"{target}?lease={lease}")
            assert (reply.body, reply.headers["terzetto-grows"]) == (text, grows)
            numbers = await live.get(f"{target}/lines?lease={lease}")
            assert (numbers["size"], numbers["newlines"], numbers["grows"]) == (len(text), 1, grows == "1")
            found = await live.get(f"{target}/first-error?lease={lease}")
            assert found["found"]["text"] == text.decode().strip()
        assert (await live.call("GET", target)).body == b"second\n"
        for wrong in ("f" * 32, "x", "..%2f..%2fetc", ""):
            for route in ("", "/lines", "/search", "/first-error"):
                status, value = await error(live, "GET", f"{target}{route}?q=x&lease={wrong}")
                assert (status, value["code"]) == (404, "TZ-1021"), (route, wrong)
        status, _ = await error(live, "GET", f"/api/builds/{stream.id}/jobs/{B}/output?lease={first}")
        assert status == 404


async def test_lines_are_numbered_and_found(tmp_path: Path) -> None:
    """Of a running job: by number, by text, and the one to look at first."""
    text = "".join(f"line {number}\n" for number in range(1, 30_001)) + "\u00c4rger: unfinished"
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        await stream.done()
        target = f"/api/builds/{stream.id}/jobs/{A}/output"
        empty = {"stream": "stdout", "grows": True, "size": 0}
        assert await live.get(f"{target}/lines") == {
            **empty,
            "lease": "",
            "block_bytes": 65536,
            "newlines": 0,
            "before": [0],
        }
        assert (await live.get(f"{target}/first-error"))["found"] is None
        lease = await lease_of(live)
        await live.post(f"/api/leases/{lease}/output?stream=stderr&offset=0", text.encode())
        numbers = await live.get(f"{target}/lines?stream=stderr")
        assert (numbers["size"], numbers["newlines"], numbers["lease"]) == (len(text.encode()), 30_000, lease)
        assert numbers["before"] == [text.count("\n", 0, n << 16) for n in range(len(text) // 65536 + 1)]
        at = text.index("line 12345\n")
        assert await live.get(f"{target}/lines?stream=stderr&line=12345") == {"line": 12345, "offset": at}
        assert await live.get(f"{target}/lines?stream=stderr&line=99999") == {"line": 99999, "offset": None}
        found = await live.get(f"{target}/search?stream=stderr&q=INE+2345&limit=2")
        assert found == {
            **empty,
            "lease": lease,
            "stream": "stderr",
            "size": len(text.encode()),
            "next": text.index("\u00c4rger"),
            "count": 11,
            "lines": [
                {"line": 2345, "offset": text.index("line 2345")},
                {"line": 23450, "offset": text.index("line 23450")},
            ],
        }
        await live.post(f"/api/builds/{stream.id}/cancel")
        found = await live.get(f"{target}/search?stream=stderr&lease={lease}&q=%C3%A4RGER&from={at}")
        assert (found["count"], found["next"], found["grows"]) == (1, len(text.encode()), False)
        assert (await live.get(f"{target}/first-error?lease={lease}"))["found"] == {
            "kind": "last",
            "stream": "stderr",
            "line": 30_001,
            "offset": text.index("\u00c4rger"),
            "text": "\u00c4rger: unfinished",
        }
        for wrong in ("", "q=", "q=a%0Ab", "q=" + "x" * 201, "q=x&limit=z", "q=x&from=-1", "q=x&stream=y"):
            assert (await error(live, "GET", f"{target}/search?{wrong}"))[0] == 400, wrong
        assert (await error(live, "GET", f"{target}/lines?line=-1"))[0] == 400
