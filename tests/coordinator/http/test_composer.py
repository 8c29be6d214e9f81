"""The composer worker API, as its workers meet it."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from clients import composer as wire
from tests.coordinator.http.composer import BASE, JSON, NOBODY, Dialect, number, value
from tests.coordinator.live import Live, running

# Long enough for a machine that is busy, short enough to be waited for.
SOON = 0.2


async def test_status_and_document(tmp_path: Path) -> None:
    """Every object says what it is and where."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        status = {"href": f"{BASE}/status", "id": "status", "kind": "Status", "status": "OK"}
        assert await worker.get("/status") == status
        spec = await worker.get("/openapi")
        assert spec["servers"] == [{"url": BASE}]
        operations = {
            op["operationId"]
            for path in spec["paths"].values()
            for op in path.values()
            if "operationId" in op
        }
        assert operations == {
            "getOpenapi", "GetStatus", "RequestJob", "GetJob", "UpdateJob", "UploadJobArtifact", "getError",
            "postWorkers", "postWorkerStatus",
        }  # fmt: skip


async def test_the_catalog_is_served(tmp_path: Path) -> None:
    """Each error with its number, status and words; what is no number, and what is none of them."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        for problem in wire.PROBLEMS.values():
            error = await worker.get(f"/errors/{problem.id}")
            assert (error["reason"], error["message"]) == (problem.reason, problem.reason)
            assert error["href"] == f"{BASE}/errors/{problem.id}"
        assert number(await live.call("GET", f"{BASE}/errors/x")) == (400, "9")
        assert number(await live.call("GET", f"{BASE}/errors/4711")) == (404, "14")


@pytest.mark.parametrize("base", [BASE, "/api/image-builder-worker/v1"])
async def test_refusals_come_in_their_order(tmp_path: Path, base: str) -> None:
    """Ids in the path, content type, JSON, token; below any base path."""
    async with running(tmp_path, composer_base_path=base) as live:
        job, plain = f"{base}/jobs/{NOBODY}", {"content-type": "application/json; charset=utf-8"}
        status, stranger = b'{"status":"FINISHED"}', f'{{"worker_id":"{NOBODY}"}}'.encode()
        for (method, target, body, headers), expected in {
            ("GET", f"{base}/foo", b"", ()): (404, "11"),
            ("POST", f"{base}/jobs", b"", tuple(JSON.items())): (400, "10"),
            ("GET", f"{base}/jobs", b"", ()): (405, "12"),
            ("PATCH", f"{base}/jobs/foo", status, tuple(JSON.items())): (400, "7"),
            ("PATCH", f"{base}/jobs/foo", status, ()): (400, "7"),
            ("PATCH", job, status, tuple(plain.items())): (415, "3"),
            ("PATCH", job, b"", tuple(JSON.items())): (400, "10"),
            ("PATCH", job, b"[]", tuple(JSON.items())): (400, "10"),
            ("PATCH", job, b'{"result":1} 2', tuple(JSON.items())): (400, "10"),
            ("PATCH", job, b'{"result":"\xff"}', tuple(JSON.items())): (400, "10"),
            ("PATCH", job, status, tuple(JSON.items())): (404, "5"),
            ("GET", f"{base}/jobs/foo", b"", ()): (400, "8"),
            ("GET", job, b"", ()): (404, "5"),
            ("PUT", f"{base}/jobs/foo/artifacts/a", b"x", ()): (400, "7"),
            ("PUT", f"{job}/artifacts/a", b"x", ()): (404, "5"),
            ("PUT", f"{job}/artifacts/a%2Fb", b"x", ()): (404, "11"),
            ("PUT", f"{job}/artifacts/%2e%2e", b"x", ()): (404, "11"),
            ("POST", f"{base}/workers", b"{}", ()): (415, "3"),
            ("POST", f"{base}/workers", b"{", tuple(JSON.items())): (400, "10"),
            ("POST", f"{base}/workers/foo/status", b"", ()): (400, "17"),
            ("POST", f"{base}/workers/{NOBODY}/status", b"", ()): (400, "18"),
            ("POST", f"{base}/jobs", b'{"types":["manifest-id-only"]}', tuple(JSON.items())): (400, "15"),
            ("POST", f"{base}/jobs", b'{"types":["x"],"worker_id":"x"}', tuple(JSON.items())): (400, "17"),
            ("POST", f"{base}/jobs", stranger, tuple(JSON.items())): (400, "18"),
            ("POST", f"{base}/jobs", b'{"types":"x"}', tuple(JSON.items())): (400, "10"),
        }.items():  # fmt: skip
            assert number(await live.call(method, target, body, dict(headers))) == expected, (
                method,
                target,
                body,
            )
        head = await live.call("HEAD", f"{base}/errors/4711")
        assert (head.status, head.body) == (404, b"")


async def test_a_job_goes_its_way(tmp_path: Path) -> None:
    """Asked for, heard of, a file, a part, the result; then the token is void."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        added = await worker.add("osbuild", arch="s390x", args={"manifest": {}})
        registered = await worker.post("/workers", {"arch": "s390x"})
        assert registered == {
            "href": f"{BASE}/workers", "id": registered["worker_id"], "kind": "WorkerID",
            "worker_id": registered["worker_id"],
        }  # fmt: skip
        assert (await live.call("POST", f"{BASE}/workers/{registered['id']}/status")).body == b""
        asked = {"types": ["x", "osbuild"], "arch": "s390x", "worker_id": registered["worker_id"], "more": 1}
        job = await worker.post("/jobs", asked)
        token = job["location"].rpartition("/")[2]
        here = f"{BASE}/jobs/{token}"
        assert job == {
            "href": f"{BASE}/jobs", "id": added["id"], "kind": "RequestJob", "location": here,
            "artifact_location": f"{here}/artifacts/", "type": "osbuild", "compose_id": added["id"],
            "args": {"manifest": {}},
        }  # fmt: skip
        running_ = {"canceled": False, "href": here, "id": token, "kind": "JobStatus"}
        assert await worker.get(f"/jobs/{token}") == running_
        assert (await worker.put(token, "disk%20image.raw", b"bytes")).status == 200
        done = {"href": here, "id": token, "kind": "UpdateJobResponse"}
        assert await worker.patch(token, {"partial": {"percent": 50}}) == done
        output = f"/api/builds/{added['build']}/jobs/{added['job']}/output"
        assert (await live.call("GET", f"{output}?stream=stderr")).body == b'{"percent":50}\n'.replace(
            b":", b": "
        )
        assert await worker.patch(token, {"result": {"ok": True}}) == done
        for method, body in (("GET", b""), ("PATCH", b"{}")):
            assert number(await worker.send(method, f"/jobs/{token}", body)) == (404, "5")
        assert number(await worker.put(token, "late", b"x")) == (404, "5")
        assert (await worker.about(added))["state"] == "succeeded"
        assert json.loads((await live.call("GET", f"{output}?stream=stdout")).body) == {"ok": True}
        redirected = await live.call("GET", f"/api/builds/{added['build']}/artifacts/{added['job']}")
        tar = await live.call("GET", redirected.headers["location"].removeprefix(live.url))
        assert (b"disk image.raw" in tar.body, b"bytes" in tar.body, b"late" in tar.body) == (
            True,
            True,
            False,
        )
        assert [path.name for path in (tmp_path / "artifacts" / "kept").iterdir()] == [token.replace("-", "")]
        assert not list((tmp_path / "artifacts" / "staged").iterdir())


async def test_values_pass_through_to_the_byte(tmp_path: Path) -> None:
    """Args as they were written, results as the worker wrote them, in the order of the dependencies."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        ids = []
        for text in ('{"a" : 1.50,\n"b":"\\u0000"}', "null", '[1e300, "ü"]'):
            reply = await live.call("POST", "/api/jobs", b'{"type":"x","args":%b}' % text.encode())
            ids.append(value(reply, 201)["id"])
            reply = await worker.send("POST", "/jobs", {"types": ["x"], "arch": ""})
            assert f'"args":{text}}}' in reply.body.decode()
            token = json.loads(reply.body)["location"]
            await live.call("PATCH", token, b'{"result": %b}' % text.encode(), JSON)
        added = await worker.add("y", dependencies=[ids[2], ids[0], ids[1], ids[0]])
        reply = await worker.send("POST", "/jobs", {"types": ["y"], "arch": ""})
        texts = '[1e300, "ü"],{"a" : 1.50,\n"b":"\\u0000"},null,{"a" : 1.50,\n"b":"\\u0000"}'
        assert f'"dynamic_args":[{texts}]}}' in reply.body.decode()
        assert b'"args"' not in reply.body
        assert added["kind"] == "Job"


async def test_failures_count_as_ended(tmp_path: Path) -> None:
    """Who depends on one gets its result; it does not run again for that."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        error = {"job_error": {"id": 26, "reason": "no such package", "details": ["a"]}}
        first = await worker.add("x")
        await worker.end("x", error)
        assert (await worker.about(first))["error"] == "job x failed: no such package"
        await worker.add("y", dependencies=[first["id"]])
        taken = await worker.take("y", "x")
        assert (taken.answer["type"], taken.answer["dynamic_args"]) == ("y", [error])


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (None, ""),
        ({"job_error": None}, ""),
        ([{"job_error": 1}], ""),
        ({"job_error": {"id": 5, "reason": "bad"}}, "bad"),
        ({"job_error": {"id": 5}}, '{"id":5}'),
        ({"job_error": "words"}, "words"),
        ({"job_error": False}, "false"),
    ],
)
async def test_a_result_says_how_it_ended(tmp_path: Path, result: object, error: str) -> None:
    """In `job_error`; what has none, or null there, succeeded."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        added = await worker.add()
        await worker.end("x", result)
        assert (await worker.about(added))["error"] == (f"job x failed: {error}" if error else "")


async def test_cancelled_jobs_are_told_so(tmp_path: Path) -> None:
    """As long as their worker asks; what it says is refused, what it uploaded is thrown away."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        added = await worker.add()
        taken = await worker.take()
        assert (await worker.put(taken.token, "file", b"x")).status == 200
        await live.post(f"/api/builds/{added['build']}/cancel", {"reason": "enough"})
        for _ in range(2):
            assert (await worker.get(f"/jobs/{taken.token}"))["canceled"] is True
        for body in ({"result": 1}, {"partial": 1}, {}):
            assert number(await worker.send("PATCH", f"/jobs/{taken.token}", body)) == (500, "1004")
        assert number(await worker.put(taken.token, "file", b"x")) == (500, "1002")
        with trio.fail_after(10):
            while list((tmp_path / "artifacts" / "staged").iterdir()):
                await trio.sleep(0.01)
        refused = await live.call("POST", "/api/jobs", {"type": "y", "dependencies": [added["id"]]})
        assert (refused.status, json.loads(refused.body)["code"]) == (409, "TZ-1050")


async def test_requests_wait_and_are_answered(tmp_path: Path) -> None:
    """As long as the service is set to, with 204 and nothing else; other types hold nobody up."""
    async with running(tmp_path, composer_request_seconds=SOON) as live:
        worker = Dialect(live)
        await worker.add("other")
        reply = await worker.send("POST", "/jobs", {"types": ["x"], "arch": ""})
        assert (reply.status, reply.body) == (204, b"")
        assert (await worker.send("POST", "/jobs", {"types": [], "arch": ""})).status == 204
        assert (await worker.send("POST", "/jobs", {})).status == 204
        assert (await worker.take("other")).answer["type"] == "other"


async def test_without_a_limit_they_wait_for_ever(tmp_path: Path) -> None:
    """Until there is a job, or until we stop."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        async with trio.open_nursery() as nursery:
            got: list[Any] = []

            async def ask(kind: str) -> None:
                got.append(await worker.send("POST", "/jobs", {"types": [kind], "arch": ""}))

            nursery.start_soon(ask, "never")
            nursery.start_soon(ask, "x")
            await trio.sleep(SOON)
            await worker.add("x")
            with trio.fail_after(10):
                while not got:
                    await trio.sleep(0.01)
            live.stop.set()
        assert [reply.status for reply in got] == [201, 204]


async def test_channels_are_apart(tmp_path: Path) -> None:
    """The empty one is one of them."""
    async with running(tmp_path, composer_request_seconds=SOON) as live:
        worker = Dialect(live)
        await worker.add("x", channel="org-1")
        for target in ("/jobs", "/jobs?channel=org-2"):
            assert (await worker.send("POST", target, {"types": ["x"], "arch": ""})).status == 204
        taken = await worker.post("/jobs?channel=&channel=org-1", {"types": ["x"], "arch": ""})
        assert taken["type"] == "x"


async def test_a_hundred_ask_at_once(tmp_path: Path) -> None:
    """Each gets one job, nobody two, however they came."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        got: list[str] = []

        async def ask() -> None:
            got.append((await worker.take("x", "y")).id)

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(ask)
            jobs = [(await worker.add("xy"[number % 2]))["id"] for number in range(100)]
            for _ in range(50):
                nursery.start_soon(ask)
        assert sorted(got) == sorted(jobs)


async def test_who_hangs_up_is_given_nothing(tmp_path: Path) -> None:
    """The next one who asks gets the job, at its first attempt."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        raw = await live.connect()
        await raw.send("POST", f"{BASE}/jobs", b'{"types":["x"],"arch":""}', "Content-Type: application/json")
        await trio.sleep(SOON)
        await raw.aclose()
        await trio.sleep(SOON)
        added = await worker.add()
        assert (await worker.take()).id == added["id"]
        [job] = (await live.get(f"/api/builds/{added['build']}"))["jobs"]
        assert job["attempt"] == 1


async def test_silent_workers_lose_their_jobs(tmp_path: Path) -> None:
    """Three times, and the job has failed with 27; an old token is unknown, and so is a late file."""
    async with running(tmp_path, composer_job_seconds=0.3) as live:
        worker = Dialect(live)
        added = await worker.add()
        tokens = [(await worker.take()).token for _ in range(3)]
        assert len(set(tokens)) == 3
        for token in tokens[:2]:
            assert number(await worker.send("PATCH", f"/jobs/{token}", {"result": 1})) == (404, "5")
            assert number(await worker.put(token, "late", b"x")) == (404, "5")
        await worker.add("y", dependencies=[added["id"]])
        taken = await worker.take("y")
        reason = "Workers running this job stopped responding more than 2 times."
        assert taken.answer["dynamic_args"] == [{"job_error": {"id": 27, "reason": reason}}]


async def test_tokens_and_files_survive_a_restart(tmp_path: Path) -> None:
    """So do those of cancelled jobs."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        added, gone = await worker.add("x"), await worker.add("y")
        token, cancelled = (await worker.take("x")).token, (await worker.take("y")).token
        await worker.put(token, "file", b"x")
        await live.post(f"/api/builds/{gone['build']}/cancel")
    async with running(tmp_path) as live:
        worker = Dialect(live)
        assert (await worker.get(f"/jobs/{token}"))["canceled"] is False
        assert (await worker.get(f"/jobs/{cancelled}"))["canceled"] is True
        await worker.patch(token, {"result": 1})
        tar = await live.call("GET", f"/artifact?id={added['job']}")
        assert b"file" in tar.body
        assert (await worker.about(added))["state"] == "succeeded"


async def test_what_is_handed_in_must_make_sense(tmp_path: Path) -> None:
    """Nothing is stored of what is refused."""
    async with running(tmp_path) as live:
        for body, status, words in (
            ({}, 400, "type"),
            ({"type": ""}, 400, "type"),
            ({"type": "x" * 257}, 400, "256"),
            ({"type": "osbuild"}, 400, "arch"),
            ({"type": "x", "dependency": []}, 400, "dependency"),
            ({"type": "x", "dependencies": [NOBODY]}, 404, NOBODY),
            ({"type": "x", "dependencies": ["6" * 40]}, 404, "6666"),
            ({"type": "x", "dependencies": ["nonsense"]}, 404, "nonsense"),
            ({"type": "x", "args": "y" * (5 << 20)}, 413, "bytes"),
            ([], 400, "object"),
        ):
            reply = await live.call("POST", "/api/jobs", body)
            assert (reply.status, words in reply.body.decode()) == (status, True), (body, reply.body)
        assert (await live.get("/api/builds"))["builds"] == []


async def test_an_empty_artifact_is_none_the_less_one(tmp_path: Path) -> None:
    """What is not ours is not found."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        added = await worker.add()
        assert (await live.call("GET", f"/artifact?id={added['job']}")).status == 404
        await worker.end()
        tar = await live.call("GET", f"/artifact?id={added['job']}")
        assert (tar.status, tar.body.strip(b"\0")) == (200, b"")
        assert (await live.call("GET", f"/artifact?id={added['job']}&digest={'0' * 64}")).status == 404


async def test_two_results_at_once_are_one(tmp_path: Path) -> None:
    """The first counts, as a whole: its words and its verdict."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        added = await worker.add()
        token = (await worker.take()).token
        results: list[dict[str, object]] = [
            {"result": {"job_error": None}},
            {"result": {"job_error": {"id": 1, "reason": "no"}}},
        ]
        got: list[int] = []

        async def hand_in(body: dict[str, object]) -> None:
            got.append((await worker.send("PATCH", f"/jobs/{token}", body)).status)

        async with trio.open_nursery() as nursery:
            for body in results:
                nursery.start_soon(hand_in, body)
        assert sorted(got) == [200, 404]
        state = (await worker.about(added))["state"]
        output = await live.call(
            "GET", f"/api/builds/{added['build']}/jobs/{added['job']}/output?stream=stdout"
        )
        assert (state == "succeeded") is (json.loads(output.body) == results[0]["result"])


async def test_workers_are_seen(tmp_path: Path) -> None:
    """Those that registered, and who did not say who they are; with what they hold."""
    async with running(tmp_path) as live:
        dialect = Dialect(live)
        id_ = (await dialect.post("/workers", {"arch": "s390x"}))["worker_id"]
        await dialect.add()
        await dialect.take()
        seen = {each["id"]: each for each in (await live.get("/api/workers"))["workers"]}
        registered, anonymous = seen[f"composer/{id_}"], seen["composer/anonymous"]
        assert (registered["labels"], registered["slots"]) == ({"arch": "s390x"}, 0)
        assert (len(anonymous["leases"]), anonymous["slots"]) == (1, 1)


async def test_everything_is_in_the_log(tmp_path: Path) -> None:
    """So that its story can be told."""
    async with running(tmp_path) as live:
        worker = Dialect(live)
        added = await worker.add()
        await worker.end()
        types = await _types(live, added["build"])
        assert types == [
            "BuildStarted", "JobAdded", "SignalReceived", "SourcesReady", "JobQueued", "JobLeased",
            "JobSucceeded", "BuildSucceeded",
        ]  # fmt: skip


async def _types(live: Live, build: str) -> list[str]:
    reply = await live.call("GET", f"/api/builds/{build}/events?after=0")
    return [json.loads(line)["type"] for line in reply.body.splitlines()]
