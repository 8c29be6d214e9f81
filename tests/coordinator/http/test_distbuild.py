"""The distbuild dialect over real sockets, row by row as the protocol and its implementations have it."""

import base64
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from clients import wire
from tests.coordinator.go import (
    Ran,
    Worker,
    build,
    graph,
    hex_id,
    job,
    outcome,
    result,
    started,
    working,
)
from tests.coordinator.live import HEARTBEAT, Live, running

A, B, C = hex_id("a"), hex_id("b"), hex_id("c")


async def until_state(live: Live, build_: str, state: str) -> dict[str, Any]:
    """Wait until the build has come to this state; the build."""
    while True:
        found: dict[str, Any] = (await live.get(f"/api/builds/{build_}"))["build"]
        if found["state"] == state:
            return found
        await trio.sleep(0.02)


# --- POST /build


@pytest.mark.parametrize("base", ["", "/coordinator"])
async def test_each_value_of_the_stream_is_a_chunk_of_its_own(tmp_path: Path, base: str) -> None:
    """The first comes at once; each ends with a newline; the last is sent separately, then the body ends."""
    async with running(tmp_path, base_path=base) as live:
        raw = await live.connect()
        request = graph(job("a"), files={C: "c.txt"})
        await raw.send("POST", f"{base}/build", json.dumps(request).encode())
        head = await raw.head()
        assert head.startswith("http/1.1 200")
        assert "\r\ncontent-type: application/json\r\n" in head + "\r\n"
        assert "transfer-encoding: chunked" in head
        assert "content-length" not in head
        first = await raw.chunk()
        id_ = json.loads(first)["ID"]
        assert first == b'{"ID":"%s","MissingFiles":["%s"]}\n' % (id_.encode(), C.encode())
        assert (await live.call("PUT", f"/file?id={C}", b"text")).status == 200
        await live.post(f"/signal?build_id={id_}", {"UploadDone": {}})
        await live.heartbeat()
        await live.heartbeat(FinishedJob=[result(A, Ran(stdout=b"<OK>"))])
        assert await raw.chunk() == (
            b'{"JobFinished":{"ID":"%s","Stdout":"PE9LPg==","Stderr":"","ExitCode":0,"Error":null},'
            b'"BuildFailed":null,"BuildFinished":null}\n' % A.encode()
        )
        assert await raw.chunk() == b'{"JobFinished":null,"BuildFailed":null,"BuildFinished":{}}\n'
        assert await raw.chunk() == b""
        await raw.aclose()


async def test_results_are_streamed(tmp_path: Path) -> None:
    """Upstream's TestBuildResultsStreaming: each update is there before the next one happens, then EOF."""
    async with running(tmp_path) as live, started(live, graph(job("a"), job("b", "a"))) as stream:
        assert len(stream.id) == 40
        await stream.done()
        await live.heartbeat()
        await live.heartbeat(FinishedJob=[result(A, Ran())])
        assert (await stream.next())["JobFinished"]["ID"] == A
        await live.heartbeat(FinishedJob=[result(B, Ran(exit_code=2, error="exit status 2"))])
        failed = (await stream.next())["JobFinished"]
        assert (failed["ID"], failed["ExitCode"], failed["Error"]) == (B, 2, "exit status 2")
        updates = await stream.rest()
        assert [list(filter(None, update.values())) for update in updates] == [
            [{"Error": "job b failed: exit status 2"}]
        ]


NULLS = {"Name": "", "Inputs": None, "Deps": None, "Cmds": None}


@pytest.mark.parametrize(
    "request_",
    [
        {"Graph": {"SourceFiles": None, "Jobs": [{"ID": A, **NULLS}]}},
        {
            "Graph": {
                "SourceFiles": {},
                "Jobs": [{"ID": A, "Name": "a", "Inputs": [], "Deps": [], "Cmds": []}],
            }
        },
        {"Graph": {"Jobs": [{"ID": A}]}},
        {"SourceFiles": None, "Jobs": [{"ID": A, **NULLS}]},
        {"graph": {"sourcefiles": None, "JOBS": [{"id": A, "name": None, "Unknown": 1}]}, "More": None},
        {"Graph": {"Jobs": [{"ID": A.upper()}]}},
        {
            "Graph": {
                "Jobs": [{"ID": A, "Cmds": [{"exec": ["true"], "Environ": None, "WorkingDirectory": None}]}]
            }
        },
    ],
    ids=["null", "empty", "absent", "bare", "any-case", "upper-case-id", "null-in-cmd"],
)
async def test_whatever_go_would_decode_is_taken(tmp_path: Path, request_: dict[str, Any]) -> None:
    """Null, empty and absent are the same; names in any case; what is unknown is passed over."""
    async with running(tmp_path) as live, started(live, request_) as stream:
        assert stream.started == {"ID": stream.id, "MissingFiles": []}
        await stream.done()
        assert list((await live.heartbeat())["JobsToRun"]) == [A]


@pytest.mark.parametrize("request_", [graph(), {}, {"Graph": {"SourceFiles": None, "Jobs": None}}])
async def test_an_empty_graph_is_done_at_once(tmp_path: Path, request_: dict[str, Any]) -> None:
    """A build with nothing to do."""
    async with running(tmp_path) as live:
        assert outcome(await build(live, request_)) == ""


async def test_no_content_type_is_needed(tmp_path: Path) -> None:
    """Four of the forks send none, and curl a wrong one."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        for content_type in ("", "text/plain", "application/x-www-form-urlencoded"):
            headers = {"content-type": content_type} if content_type else {}
            assert (await live.call("POST", "/heartbeat", HEARTBEAT, headers)).status == 200
            assert (await live.call("PUT", f"/file?id={A}", b"x", headers)).status == 200
            reply = await live.call("POST", f"/signal?build_id={stream.id}", {"UploadDone": {}}, headers)
            assert (reply.status, json.loads(reply.body)) == (200, {})


async def test_a_repeated_key_is_the_same_build(tmp_path: Path) -> None:
    """The second stream begins at the beginning, too, over a restart as well."""
    async with running(tmp_path) as live, started(live, graph(job("a")), "?key=k1") as first:
        await first.done()
        async with started(live, graph(job("a")), "?key=k1") as second:
            assert second.id == first.id
            await live.heartbeat()
            await live.heartbeat(FinishedJob=[result(A, Ran(stdout=b"x"))])
            assert await first.rest() == await second.rest()
    async with running(tmp_path) as live, started(live, graph(job("a")), "?key=k1") as third:
        assert third.id == first.id
        assert [update["JobFinished"] is not None for update in await third.rest()] == [True, False]
        assert (await live.get("/api/builds"))["next"] is None
        assert len((await live.get("/api/builds"))["builds"]) == 1


async def test_the_position_header_is_where_the_records_begin(tmp_path: Path) -> None:
    """Our own client follows the records from there."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        after = int(stream.headers["terzetto-position"])
        target = f"/api/builds/{stream.id}/events?after={after}"
        async with live.client.request("GET", target, timeout_seconds=5) as events:
            line = json.loads(await anext(events.lines()))
        assert (line["type"], line["position"]) == ("BuildStarted", after + 1)


async def test_a_client_that_goes_away_cancels_its_build(tmp_path: Path) -> None:
    """After the grace; the job is taken from its worker."""
    async with running(tmp_path, client_grace_seconds=0.2) as live:
        async with started(live, graph(job("a"))) as stream:
            await stream.done()
            assert list((await live.heartbeat())["JobsToRun"]) == [A]
        found = await until_state(live, stream.id, "cancelled")
        assert found["error"] == "its client went away"
        assert (await live.heartbeat())["JobsToRun"] == {}


async def test_a_client_that_stays_keeps_its_build(tmp_path: Path) -> None:
    """However quiet it is; and one that said so beforehand may go."""
    async with running(tmp_path, client_grace_seconds=0.2) as live:
        async with started(live, graph(job("b")), "?on_disconnect=continue") as detached:
            await detached.done()
        async with started(live, graph(job("a"))) as attended:
            await attended.done()
            async with started(live, graph(job("c"))) as gone:
                pass
            await until_state(live, gone.id, "cancelled")
            assert (await live.get(f"/api/builds/{attended.id}"))["build"]["state"] == "running"
        await until_state(live, attended.id, "cancelled")
        assert (await live.get(f"/api/builds/{detached.id}"))["build"]["state"] == "running"


async def test_whoever_returns_to_the_stream_saves_the_build(tmp_path: Path) -> None:
    """Following the records counts as being there."""
    async with running(tmp_path, client_grace_seconds=0.5) as live:
        async with started(live, graph(job("a"))) as stream:
            await stream.done()
        target = f"/api/builds/{stream.id}/events"
        async with live.client.request("GET", target, timeout_seconds=5):
            async with started(live, graph(job("c"))) as gone:
                pass
            await until_state(live, gone.id, "cancelled")
            assert (await live.get(f"/api/builds/{stream.id}"))["build"]["state"] == "running"
        await until_state(live, stream.id, "cancelled")


# --- POST /signal


async def test_no_job_runs_before_the_upload_is_done(tmp_path: Path) -> None:
    """The gate opens with the signal, and not before every file is there."""
    request = graph(job("a", inputs=("c.txt",)), files={C: "c.txt"})
    async with running(tmp_path) as live, started(live, request) as stream:
        assert (await live.heartbeat())["JobsToRun"] == {}
        reply = await live.call("POST", f"/signal?build_id={stream.id}", {"UploadDone": {}})
        assert reply.status == 400
        assert C in reply.text()
        await live.call("PUT", f"/file?id={C}", b"text")
        assert (await live.heartbeat())["JobsToRun"] == {}
        await stream.done()
        assert list((await live.heartbeat())["JobsToRun"]) == [A]
        await stream.done()  # once more, as a client that lost the answer would


@pytest.mark.parametrize("signal", [{"UploadDone": None}, {}, {"uploadDone": {}}, {"UploadDone": {"X": 1}}])
async def test_any_signal_means_upload_done(tmp_path: Path, signal: dict[str, Any]) -> None:
    """Three of the forks' clients send null."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        reply = await live.call("POST", f"/signal?build_id={stream.id.upper()}", signal)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
        assert json.loads(reply.body) == {}
        assert list((await live.heartbeat())["JobsToRun"]) == [A]


async def test_a_cancelled_build_ends_its_stream(tmp_path: Path) -> None:
    """Our extension of the signal; to the peers that know only success and failure it has failed."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        await stream.done()
        await live.post(f"/signal?build_id={stream.id}", {"Cancel": {"Reason": "too slow"}})
        assert outcome(await stream.rest()) == "the build was cancelled: too slow"


LOST_SIGNALS = {
    "": (400, "build_id is missing"),
    "?build_id=": (400, "build_id is missing"),
    "?build_id=61": (400, "invalid id"),
    "?build_id=" + "g" * 40: (400, "invalid id"),
    "?build_id=" + "0" * 40: (404, "no such build"),
}


async def test_a_signal_that_reaches_no_build_says_so(tmp_path: Path) -> None:
    """Not 200, with the message as text."""
    async with running(tmp_path) as live:
        for query, (status, words) in LOST_SIGNALS.items():
            reply = await live.call("POST", f"/signal{query}", {"UploadDone": {}})
            assert (reply.status, words in reply.text()) == (status, True), query
            assert reply.headers["content-type"].startswith("text/plain")


async def test_a_signal_after_the_end_says_so(tmp_path: Path) -> None:
    """It cannot be carried out."""
    async with running(tmp_path) as live:
        async with started(live, graph()) as stream:
            await stream.done()
            await stream.rest()
        reply = await live.call("POST", f"/signal?build_id={stream.id}", {"UploadDone": {}})
        assert reply.status == 400
        assert "the build has ended" in reply.text()


# --- /file


async def test_a_file_comes_back_as_it_went(tmp_path: Path) -> None:
    """PUT is repeatable, answers exactly 200 with nothing, and POST is taken for it."""
    data = bytes(range(256)) * 10_000
    async with running(tmp_path) as live:
        for method in ("PUT", "PUT", "POST"):
            reply = await live.call(method, f"/file?id={A}", data)
            assert (reply.status, reply.body) == (200, b"")
        reply = await live.call("GET", f"/file?id={A.upper()}")
        assert (reply.status, reply.body) == (200, data)
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.headers["content-length"] == str(len(data))


async def test_a_file_may_come_in_chunks_and_be_empty(tmp_path: Path) -> None:
    """Of unknown length, as some of the forks send it."""

    async def chunks() -> Any:
        for _ in range(3):
            yield b"x" * 1000

    async with running(tmp_path) as live:
        reply = await live.client.call("PUT", f"/file?id={A}", body=chunks(), timeout_seconds=5)
        assert reply.status == 200
        assert (await live.call("GET", f"/file?id={A}")).body == b"x" * 3000
        assert (await live.call("PUT", f"/file?id={B}", b"")).status == 200
        assert (await live.call("GET", f"/file?id={B}")).body == b""


async def test_a_hundred_uploads_of_one_file_at_once(tmp_path: Path) -> None:
    """All are answered with 200; one record says that the file is there."""
    async with running(tmp_path) as live:
        before = await live.position()
        statuses: list[int] = []

        async def put() -> None:
            statuses.append((await live.call("PUT", f"/file?id={A}", b"y" * 100_000)).status)

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(put)
        assert statuses == [200] * 100
        assert await live.position() == before + 1
        assert (await live.call("GET", f"/file?id={A}")).body == b"y" * 100_000


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Not 200, with the reason as text."""
    async with running(tmp_path) as live:
        for query, status in ((f"?id={A}", 404), ("", 400), ("?id=61", 400), ("?id=" + "z" * 40, 400)):
            reply = await live.call("GET", f"/file{query}")
            assert reply.status == status
            assert reply.headers["content-type"].startswith("text/plain")
            assert reply.text()
            if status == 400:
                assert (await live.call("PUT", f"/file{query}", b"x")).status == 400


async def test_what_is_uploaded_is_not_missing(tmp_path: Path) -> None:
    """Neither to this build nor to the next, over a restart; a lost file is asked for again."""
    request = graph(job("a"), files={B: "b.txt", C: "c.txt"})
    async with running(tmp_path) as live:
        await live.call("PUT", f"/file?id={B}", b"b")
        async with started(live, request) as stream:
            assert stream.started["MissingFiles"] == [C]
        await live.call("PUT", f"/file?id={C}", b"c")
    lost = trio.Path(tmp_path) / "blobs" / B[:2] / B
    await lost.unlink()
    async with running(tmp_path) as live, started(live, request) as stream:
        assert stream.started["MissingFiles"] == [B]


# --- POST /heartbeat


async def test_a_job_spec_is_flat_and_complete(tmp_path: Path) -> None:
    """Sources of its inputs only, all dependencies with the worker that holds each, strings untouched."""
    text = "{{.OutputDir}}/é <&>"
    command = {
        "Exec": ["sh", "-c", text],
        "Environ": ["K=V"],
        "WorkingDirectory": "{{.SourceDir}}",
        "CatTemplate": "",
        "CatOutput": "",
    }
    last = {**job("c", "a", "b", inputs=("src/x.c",)), "Cmds": [command]}
    files = {hex_id("x"): "src/x.c", hex_id("y"): "src/y.c"}
    first, second = "http://127.0.0.1:1/worker/0", "http://127.0.0.1:2/worker/1"
    async with running(tmp_path) as live:
        for id_ in files:
            await live.call("PUT", f"/file?id={id_}", b"text")
        async with started(live, graph(job("a"), job("b"), last, files=files)) as stream:
            await stream.done()
            for worker, id_ in ((first, A), (second, B)):
                assert list((await live.heartbeat(WorkerID=worker))["JobsToRun"]) == [id_]
            await live.heartbeat(
                WorkerID=first, FinishedJob=[result(A, Ran())], AddedArtifacts=[A], FreeSlots=0
            )
            answer = await live.heartbeat(WorkerID=second, FinishedJob=[result(B, Ran())], AddedArtifacts=[B])
        spec = answer["JobsToRun"][C]
        extensions = {"Lease", "Digest", "ArtifactDigests"}
        assert {key: value for key, value in spec.items() if key not in extensions} == {
            "SourceFiles": {hex_id("x"): "src/x.c"},
            "Artifacts": {A: first, B: second},
            "ID": C,
            "Name": "c",
            "Inputs": ["src/x.c"],
            "Deps": [A, B],
            "Cmds": [command],
        }


async def test_what_go_leaves_unset_stays_null(tmp_path: Path) -> None:
    """Some workers run whatever `Exec` is not null, and panic if it is empty."""
    command = {
        "Exec": None,
        "Environ": None,
        "WorkingDirectory": "",
        "CatTemplate": "OK",
        "CatOutput": "{{.OutputDir}}/out.txt",
    }
    request = graph({**job("a"), "Cmds": [command, {**command, "Exec": []}]})
    async with running(tmp_path) as live, started(live, request) as stream:
        await stream.done()
        assert (await live.heartbeat())["JobsToRun"][A]["Cmds"] == [command, command]


async def test_reused_dependencies_have_a_place_too(tmp_path: Path) -> None:
    """A worker that lacks one of them would panic."""
    async with running(tmp_path) as live:
        worker = Worker(live)
        async with working(worker):
            assert outcome(await build(live, graph(job("a")))) == ""
        async with started(live, graph(job("a"), job("b", "a"))) as stream:
            await stream.done()
            assert (await stream.next())["JobFinished"]["ID"] == A
            answer = await live.heartbeat(WorkerID=worker.url)
            assert answer["JobsToRun"][B]["Artifacts"] == {A: worker.url}


EMPTY_REPORTS: list[dict[str, Any]] = [
    {**HEARTBEAT, "FreeSlots": 0},
    {"WorkerID": "http://w", "RunningJobs": [], "FreeSlots": 0, "FinishedJob": [], "AddedArtifacts": []},
    {"WorkerID": "http://w"},
    {"workerid": "http://w", "FREESLOTS": 0, "Unknown": {}},
]


async def test_an_empty_report_is_answered_with_no_jobs(tmp_path: Path) -> None:
    """Null, empty, absent, in any case: exactly this answer, and nothing that a Go worker does not know."""
    async with running(tmp_path) as live:
        for report in EMPTY_REPORTS:
            reply = await live.call("POST", "/heartbeat", report)
            assert (reply.status, reply.body) == (200, b'{"JobsToRun":{}}\n')
            assert reply.headers["content-type"] == "application/json"


WRONG_REPORTS = {
    b"{": "not valid JSON",
    b"[]": "must be an object",
    b"{}": "lacks the field WorkerID",
    b'{"WorkerID":""}': "WorkerID",
    b'{"WorkerID":"w","FreeSlots":-1}': "FreeSlots",
    b'{"WorkerID":"w","FreeSlots":"1"}': "must be an integer",
    b'{"WorkerID":"w","FinishedJob":[{"ID":"61","Stdout":"%"}]}': "base64",
    b'{"WorkerID":"' + b"w" * 600 + b'"}': "WorkerID",
}


async def test_a_wrong_report_is_refused_as_text(tmp_path: Path) -> None:
    """Not 200, the message names the fault, nothing is recorded, and the server goes on."""
    async with running(tmp_path) as live:
        before = await live.position()
        for body, words in WRONG_REPORTS.items():
            reply = await live.call("POST", "/heartbeat", body)
            assert reply.status == 400
            assert reply.headers["content-type"].startswith("text/plain")
            assert words in reply.text()
        assert await live.position() == before


async def test_a_lost_answer_is_given_again(tmp_path: Path) -> None:
    """The worker does not say that it runs the job, so it has not heard of it."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        await stream.done()
        first = await live.heartbeat()
        assert await live.heartbeat(RunningJobs=[]) == first
        assert (await live.heartbeat(RunningJobs=[A], FreeSlots=0))["JobsToRun"] == {}


async def test_a_mute_worker_works(tmp_path: Path) -> None:
    """Null says nothing about what it runs: it is neither told twice nor accused of having lost it."""
    release = trio.Event()

    async def run(_spec: dict[str, Any]) -> Ran:
        await release.wait()
        return Ran(stdout=b"done")

    async with running(tmp_path, lease_seconds=0.5, worker_silence_seconds=0.5) as live:
        worker = Worker(live, slots=2, run=run, is_mute=True)
        async with working(worker), started(live, graph(job("a"), job("b", "a"))) as stream:
            await stream.done()
            while not worker.executed:
                await trio.sleep(0.01)
            await trio.sleep(1.0)  # lets more than a lease's time go by
            release.set()
            assert outcome(await stream.rest()) == ""
        assert worker.executed == ["a", "b"]


async def test_a_worker_may_be_silent_while_it_runs_a_job(tmp_path: Path) -> None:
    """Four of the forks are; one that was never heard while it worked has the job's own time limit."""
    farm = running(tmp_path, lease_seconds=0.2, worker_silence_seconds=0.2)
    async with farm as live, started(live, graph(job("a"))) as stream:
        await stream.done()
        assert list((await live.heartbeat())["JobsToRun"]) == [A]
        await trio.sleep(1.0)  # lets several leases' time go by
        await live.heartbeat(FinishedJob=[result(A, Ran())])
        assert outcome(await stream.rest()) == ""


async def test_a_lost_worker_s_job_goes_to_another(tmp_path: Path) -> None:
    """One that reported while it worked, and then no more."""
    farm = running(tmp_path, lease_seconds=0.3, worker_silence_seconds=0.3)
    async with farm as live, started(live, graph(job("a"))) as stream:
        await stream.done()
        assert list((await live.heartbeat())["JobsToRun"]) == [A]
        await live.heartbeat(RunningJobs=[A], FreeSlots=0)
        async with working(Worker(live, url="http://127.0.0.1:2/worker/1")):
            assert outcome(await stream.rest()) == ""


async def test_strays_are_taken_and_forgotten(tmp_path: Path) -> None:
    """The all-zero id of a worker that could not download; results of nobody's jobs; unknown artifacts."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        await stream.done()
        assert list((await live.heartbeat())["JobsToRun"]) == [A]
        failed = result("0" * 40, Ran(exit_code=1, error="download failed"))
        answer = await live.heartbeat(FinishedJob=[failed, result(C, Ran())], AddedArtifacts=[C, "x"])
        assert list(answer["JobsToRun"]) == [A], "it does not run it any more, so it gets it again"
        await live.heartbeat(FinishedJob=[result(A, Ran())])
        updates = await stream.rest()
        assert [update["JobFinished"]["ID"] for update in updates[:-1]] == [A]


async def test_an_idle_worker_is_held_for_a_moment(tmp_path: Path) -> None:
    """Four of the forks ask in a tight loop; with jobs running nobody is held."""
    async with running(tmp_path) as live:
        await live.heartbeat()
        began = trio.current_time()
        for _ in range(5):
            await live.heartbeat()
        assert trio.current_time() - began >= 5 * 0.19
        with trio.fail_after(10 * 0.19):
            for _ in range(10):
                await live.heartbeat(RunningJobs=[C], FreeSlots=1)


async def test_a_held_worker_hears_of_a_job_at_once(tmp_path: Path) -> None:
    """Long before it would have been answered without one."""
    async with running(tmp_path) as live, trio.open_nursery() as nursery:
        answers: list[Any] = []

        async def ask() -> None:
            answers.append(await live.heartbeat("?wait=15", RunningJobs=[]))

        nursery.start_soon(ask)
        while not (await live.get("/api/workers"))["workers"]:
            await trio.sleep(0.01)
        with trio.fail_after(10):
            async with started(live, graph(job("a"))) as stream:
                await stream.done()
                while not answers:
                    await trio.sleep(0.01)
        assert list(answers[0]["JobsToRun"]) == [A]


async def test_a_wrong_wait_is_refused(tmp_path: Path) -> None:
    """A number of seconds from 0 on."""
    async with running(tmp_path) as live:
        for wait in ("x", "-1", "nan", "inf", ""):
            reply = await live.call("POST", f"/heartbeat?wait={wait}", HEARTBEAT)
            assert reply.status == 400
            assert "wait" in reply.text()


# --- whole builds


async def test_a_result_is_reused(tmp_path: Path) -> None:
    """Upstream's TestJobCaching: the same id does not run again, and tells the same, after a restart too."""
    ran = Ran(stdout=b"OK\n", stderr=b"warning\n")

    async def run(_spec: dict[str, Any]) -> Ran:
        return ran

    async with running(tmp_path) as live:
        worker = Worker(live, run=run)
        async with working(worker):
            first = await build(live, graph(job("a", exec_=("echo", "OK"))))
            second = await build(live, graph(job("a", exec_=("echo", "OK"))))
            assert worker.executed == ["a"]
    finished = first[0]["JobFinished"]
    assert base64.b64decode(finished["Stdout"]) == ran.stdout
    assert base64.b64decode(finished["Stderr"]) == ran.stderr
    assert first == second
    assert outcome(first) == ""
    async with running(tmp_path) as live, working(worker := Worker(live, run=run)):
        assert await build(live, graph(job("a", exec_=("echo", "OK")))) == first
        assert worker.executed == []


async def test_a_failure_is_not_reused(tmp_path: Path) -> None:
    """The next build tries again."""
    codes = iter((7, 0))

    async def run(_spec: dict[str, Any]) -> Ran:
        code = next(codes)
        return Ran(exit_code=code, error=f"exit status {code}" if code else None)

    async with running(tmp_path) as live:
        worker = Worker(live, run=run)
        async with working(worker):
            assert "exit status 7" in outcome(await build(live, graph(job("a"))))
            assert outcome(await build(live, graph(job("a")))) == ""
        assert worker.executed == ["a", "a"]


async def test_a_failure_ends_the_build(tmp_path: Path) -> None:
    """JobFinished with code, error and output, then BuildFailed; what depends on it never runs."""

    async def run(spec: dict[str, Any]) -> Ran:
        return Ran(b"out", b"err", 7, "exit status 7") if spec["Name"] == "a" else Ran()

    async with running(tmp_path) as live:
        worker = Worker(live, run=run)
        async with working(worker):
            updates = await build(live, graph(job("a"), job("b", "a"), job("c", "b")))
        assert worker.executed == ["a"]
        assert updates[0]["JobFinished"] == {
            "ID": A,
            "Stdout": base64.b64encode(b"out").decode(),
            "Stderr": base64.b64encode(b"err").decode(),
            "ExitCode": 7,
            "Error": "exit status 7",
        }
        assert updates[1:] == [
            {
                "JobFinished": None,
                "BuildFailed": {"Error": "job a failed: exit status 7"},
                "BuildFinished": None,
            }
        ]


async def test_concurrent_builds_share_a_job(tmp_path: Path) -> None:
    """One execution, and both streams tell of it."""
    release = trio.Event()

    async def run(_spec: dict[str, Any]) -> Ran:
        await release.wait()
        return Ran(stdout=b"once")

    async with running(tmp_path) as live:
        worker = Worker(live, slots=4, run=run)
        async with working(worker), started(live, graph(job("a"))) as one:
            await one.done()
            while not worker.executed:
                await trio.sleep(0.01)
            async with started(live, graph(job("a"), job("b", "a"))) as two:
                await two.done()
                release.set()
                first, second = await one.rest(), await two.rest()
        assert worker.executed == ["a", "b"]
        assert first[0] == second[0]
        assert base64.b64decode(first[0]["JobFinished"]["Stdout"]) == b"once"
        assert [outcome(first), outcome(second)] == ["", ""]


async def test_artifacts_travel_between_workers(tmp_path: Path) -> None:
    """Upstream's TestArtifactTransferBetweenWorkers: three builds share a base, all three workers get it."""
    everybody_works = trio.Event()
    at_work: set[str] = set()

    async def run(url: str, spec: dict[str, Any]) -> Ran:
        if spec["Name"] != "a":
            at_work.add(url)
            if len(at_work) == 3:
                everybody_works.set()
            await everybody_works.wait()
        return Ran()

    async with running(tmp_path) as live:
        urls = [f"http://127.0.0.1:{n}/worker/{n}" for n in range(1, 4)]
        workers = [Worker(live, url=url, run=partial(run, url)) for url in urls]
        outcomes: list[str] = []

        async def build_one(name: str) -> None:
            outcomes.append(outcome(await build(live, graph(job("a"), job(name, "a")))))

        async with working(*workers), trio.open_nursery() as nursery:
            for name in ("b0", "b1", "b2"):
                nursery.start_soon(build_one, name)
        assert outcomes == ["", "", ""]
        assert all(A in worker.artifacts for worker in workers)
        assert sum(worker.executed.count("a") for worker in workers) == 1


async def test_order_follows_the_graph(tmp_path: Path) -> None:
    """A diamond: nothing before what it depends on, whoever runs it."""
    ended: list[str] = []

    async def run(spec: dict[str, Any]) -> Ran:
        ended.append(spec["Name"])
        return Ran()

    async with running(tmp_path) as live:
        workers = [Worker(live, url=f"http://127.0.0.1:{n}/worker", slots=2, run=run) for n in range(2)]
        async with working(*workers):
            jobs = (job("d", "b", "c"), job("b", "a"), job("c", "a"), job("a"))
            assert outcome(await build(live, graph(*jobs))) == ""
        assert ended[0] == "a"
        assert set(ended[1:3]) == {"b", "c"}
        assert ended[3:] == ["d"]


async def test_a_stop_ends_streams_and_held_reports(tmp_path: Path) -> None:
    """Within the grace: the stream without a verdict, the report with an empty answer."""
    async with running(tmp_path) as live, trio.open_nursery() as nursery:
        answers: list[Any] = []

        async def ask() -> None:
            answers.append(await live.heartbeat("?wait=15", RunningJobs=[]))

        nursery.start_soon(ask)
        async with started(live, graph(job("b"), job("a", "b"))) as stream:
            while not (await live.get("/api/workers"))["workers"]:
                await trio.sleep(0.01)
            live.stop.set()
            with pytest.raises((StopAsyncIteration, wire.Unreachable)):
                await stream.next()
            await live.stopped.wait()
        while not answers:
            await trio.sleep(0.01)
        assert answers == [{"JobsToRun": {}}]
