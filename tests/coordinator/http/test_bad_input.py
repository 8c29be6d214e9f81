"""What is wrong is refused in the dialect's own shape, before the first record, and the server goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.coordinator.go import graph, hex_id, job, started
from tests.coordinator.live import SECONDS, Live, running

A, B, C = hex_id("a"), hex_id("b"), hex_id("c")


def command(**fields: Any) -> dict[str, Any]:
    return {**job("a"), "Cmds": [{"Exec": ["true"], **fields}]}


BAD_GRAPHS: dict[str, tuple[Any, str]] = {
    "no JSON": (b"{", "not valid JSON"),
    "two values": (b"{} {}", "not valid JSON"),
    "not UTF-8": (b'{"Graph":{"Jobs":[{"ID":"\xff"}]}}', "not valid JSON"),
    "deep nesting": (b"[" * 100_000, "not valid JSON"),
    "nothing": (b"", "not valid JSON"),
    "a list": ([], "must be an object"),
    "a number": (5, "must be an object"),
    "jobs an object": ({"Graph": {"Jobs": {}}}, "must be a list"),
    "a job a string": ({"Graph": {"Jobs": ["a"]}}, "must be an object"),
    "an id a number": ({"Graph": {"Jobs": [{"ID": 5}]}}, "must be a string"),
    "no id": ({"Graph": {"Jobs": [{"Name": "a"}]}}, "lacks the field ID"),
    "a short id": ({"Graph": {"Jobs": [{"ID": "61"}]}}, "'61' is not 40"),
    "no hex": ({"Graph": {"Jobs": [{"ID": "g" * 40}]}}, "is not 40"),
    "a cycle": (graph(job("a", "b"), job("b", "c"), job("c", "a")), "wait for one another"),
    "itself": (graph(job("a", "a")), "a -> a"),
    "a dangling dependency": (graph(job("a", "b")), "is no job of this graph"),
    "one id twice": (graph(job("a"), {**job("b"), "ID": A}), "has the same id"),
    "an unknown input": (graph(job("a", inputs=("x.c",))), "'x.c' is not among the source files"),
    "an absolute path": (graph(files={C: "/etc/passwd"}), "is absolute"),
    "a path upwards": (graph(files={C: "src/../../x"}), "'..'"),
    "an empty path": (graph(files={C: ""}), "is empty"),
    "a path with NUL": (graph(files={C: "a\0b"}), "NUL"),
    "a long path": (graph(files={C: "x/" * 1000 + "x"}), "longer"),
    "one path twice": (graph(files={C: "x", B: "x"}), "both at the path"),
    "a file as directory": (graph(files={C: "x", B: "x/y"}), "needs it to be a directory"),
    "a source id": (graph(files={"61": "x"}), "'61'"),
    "an unknown variable": (graph(command(Environ=["HOME={{.Home}}"])), "{{.Home}} is not known"),
    "an open action": (graph(command(WorkingDirectory="{{.OutputDir")), "never closed"),
    "a foreign dependency": (graph(command(Exec=["cat", f'{{{{index .Deps "{B}"}}}}'])), B),
    "a negative time": (graph({**job("a"), "TimeoutSeconds": -1}), "TimeoutSeconds"),
}


async def refused(live: Live, body: object) -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with live.client.request("POST", "/build", body=data, timeout_seconds=SECONDS) as response:
        assert response.status != 200, f"taken: {data[:1000]!r}"
        assert response.headers["content-type"] == "application/json"
        return response.status, json.loads(await response.read())


async def test_a_bad_graph_is_refused_as_a_failed_build(tmp_path: Path) -> None:
    """With a status that no client takes for success, and a body that two clients parse."""
    async with running(tmp_path) as live:
        before = await live.position()
        for name, (body, words) in BAD_GRAPHS.items():
            status, value = await refused(live, body)
            assert status == 400, name
            assert {key: value[key] for key in ("JobFinished", "BuildFinished")} == {
                "JobFinished": None,
                "BuildFinished": None,
            }
            assert words in value["BuildFailed"]["Error"], name
        assert await live.position() == before
        assert (await live.get("/api/builds"))["builds"] == []
        async with started(live, graph()) as stream:
            await stream.done()


async def test_a_cycle_is_named(tmp_path: Path) -> None:
    """By its jobs' names, in the order in which they wait, and not by those that merely hang on to it."""
    async with running(tmp_path) as live:
        jobs = (job("a", "b"), job("b", "c"), job("c", "b"), job("d"))
        _, value = await refused(live, graph(*jobs))
        error = value["BuildFailed"]["Error"]
        assert "b -> c -> b" in error or "c -> b -> c" in error
        assert "a ->" not in error


async def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """So that nobody has to mend them one try after the other."""
    async with running(tmp_path) as live:
        _, value = await refused(live, graph(job("a", "b", inputs=("x.c",)), files={C: "/abs"}))
        for words in ("is absolute", "no job of this graph", "not among the source files"):
            assert words in value["BuildFailed"]["Error"]


@pytest.mark.parametrize(
    ("method", "target", "as_text"),
    [("POST", "/build", False), ("POST", "/heartbeat", True), ("POST", f"/signal?build_id={A}", True)],
)
async def test_a_body_over_the_limit_is_not_read(
    tmp_path: Path, method: str, target: str, as_text: bool
) -> None:
    """Its announcement is enough."""
    async with running(tmp_path) as live:
        before = await live.position()
        raw = await live.connect()
        await raw.stream.send_all(
            f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n".encode()
        )
        head = await raw.head()
        assert head.startswith("http/1.1 413")
        body = (await raw.body(head)).decode()
        assert "too large" in (body if as_text else json.loads(body)["BuildFailed"]["Error"])
        await raw.aclose()
        assert await live.position() == before


async def test_a_body_that_grows_over_the_limit_is_cut(tmp_path: Path) -> None:
    """In chunks, without an announcement."""

    async def chunks() -> Any:
        for _ in range(100):
            yield b" " * 10_000

    async with running(tmp_path) as live:
        target = f"/signal?build_id={A}"
        reply = await live.client.call("POST", target, body=chunks(), timeout_seconds=10)
        assert reply.status == 413


async def test_a_body_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """Neither half a file nor half a build."""
    async with running(tmp_path) as live:
        before = await live.position()
        for target in ("PUT /file?id=" + A, "POST /build", "POST /heartbeat"):
            raw = await live.connect()
            await raw.stream.send_all(
                f"{target} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode()
            )
            await raw.aclose()
        assert (await live.call("GET", f"/file?id={A}")).status == 404
        assert await live.position() == before


async def test_a_very_large_graph_is_taken(tmp_path: Path) -> None:
    """100 000 jobs, each depending on the one before: whatever were quadratic or recursive would not end."""
    ids = [f"{number:040x}" for number in range(100_000)]
    jobs = [
        {"ID": id_, "Name": f"job {id_}", "Inputs": None, "Deps": ids[n - 1 : n] or None, "Cmds": None}
        for n, id_ in enumerate(ids)
    ]
    async with running(tmp_path) as live, started(live, graph(*jobs)) as stream:
        await stream.done()
        assert list((await live.heartbeat())["JobsToRun"]) == [ids[0]]


async def test_a_very_large_cycle_is_found(tmp_path: Path) -> None:
    """And told in few words."""
    ids = [f"{number:040x}" for number in range(20_000)]
    jobs = [{"ID": id_, "Deps": [ids[n - 1]]} for n, id_ in enumerate(ids)]
    async with running(tmp_path) as live:
        before = await live.position()
        status, value = await refused(live, {"Graph": {"Jobs": jobs}})
        assert status == 400
        assert len(value["BuildFailed"]["Error"]) < 2000
        assert await live.position() == before


async def test_unknown_routes_and_methods(tmp_path: Path) -> None:
    """The error body of our own interface; 405 where only the method is wrong."""
    async with running(tmp_path) as live:
        for method, target, status in (
            ("GET", "/nothing", 404),
            ("GET", "/heartbeat", 405),
            ("DELETE", "/file", 405),
            ("PUT", "/build", 405),
        ):
            reply = await live.call(method, target)
            assert (reply.status, json.loads(reply.body)["kind"]) == (status, "Error"), target


async def test_rubbish_on_the_wire_harms_nobody(tmp_path: Path) -> None:
    """Whatever a port scanner sends."""
    async with running(tmp_path) as live:
        for rubbish in (
            b"\x16\x03\x01\x02\x00",
            b"GET\r\n\r\n",
            b"\r\n" * 100,
            b"POST /build HTTP/9\r\n\r\n",
        ):
            raw = await live.connect()
            await raw.stream.send_all(rubbish)
            await raw.stream.send_eof()
            with trio.move_on_after(5):
                while await raw.stream.receive_some(65536):
                    pass
            await raw.aclose()
        assert await live.position() == 1
