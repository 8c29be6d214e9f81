"""Our own interface: builds, jobs, output, artifacts, workers, the catalogs, and every error in one shape."""

import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trio

from events.errors import CATALOG
from events.transitions import as_json
from tests.coordinator.go import Ran, Worker, build, graph, hex_id, job, outcome, result, started, working
from tests.coordinator.live import HEARTBEAT, Live, running

A, B, C = hex_id("a"), hex_id("b"), hex_id("c")
WORKER = str(HEARTBEAT["WorkerID"])
NATIVE = {"WorkerID": WORKER, "Session": "s1", "Slots": 2, "FreeSlots": 2, "Labels": {"os": "linux"}}


async def lease_of(live: Live, **fields: object) -> str:
    """Report as one of our own workers; the lease of the first job it is given."""
    answer = await live.post("/heartbeat", {**NATIVE, **fields})
    lease = next(iter(answer["JobsToRun"].values()))["Lease"]
    assert isinstance(lease, str)
    return lease


async def error(live: Live, method: str, target: str, body: object = b"") -> tuple[int, dict[str, Any]]:
    """Status and body of a refusal, whose shape is checked."""
    reply = await live.call(method, target, body)
    value = json.loads(reply.body)
    assert reply.headers["content-type"] == "application/json"
    assert {"kind", "id", "href", "code", "operation_id", "message", "reason", "fix"} <= set(value)
    assert value["kind"] == "Error"
    assert value["code"] == f"TZ-{value['id']}"
    assert value["href"].endswith(f"/api/errors/{value['code']}")
    assert value["message"]
    assert value["fix"]
    assert (await live.call("GET", "/api/errors/" + value["code"])).status == 200
    return reply.status, value


# --- builds


async def test_builds_are_listed_newest_first_in_pages(tmp_path: Path) -> None:
    """`next` leads to the following page; the last one has none."""
    async with running(tmp_path) as live:
        names = [f"build {number}" for number in range(5)]
        for name in names:
            assert outcome(await build(live, {**graph(), "Name": name})) == ""
        seen, cursor = [], ""
        while True:
            page = await live.get(f"/api/builds?limit=2{cursor}")
            assert len(page["builds"]) <= 2
            seen += [each["name"] for each in page["builds"]]
            if page["next"] is None:
                break
            cursor = f"&before={page['next']}"
        assert seen == names[::-1]
        assert (await live.get("/api/builds?limit=5"))["next"] is None
        assert (await live.get("/api/builds?limit=1000000"))["next"] is None


async def test_builds_are_found_by_their_labels(tmp_path: Path) -> None:
    """All that are asked for must be there; what is no label, or too much of one, is refused."""
    async with running(tmp_path) as live:
        for labels in ({"branch": "main", "user": "ann"}, {"branch": "main"}, {}):
            assert outcome(await build(live, {**graph(), "Labels": labels})) == ""
        found = (await live.get("/api/builds?label=branch=main&label=user=ann"))["builds"]
        assert [each["labels"] for each in found] == [{"branch": "main", "user": "ann"}]
        assert len((await live.get("/api/builds?label=branch=main"))["builds"]) == 2
        assert (await live.get("/api/builds?label=branch="))["builds"] == []
        assert (await live.call("GET", "/api/builds?label=branch")).status == 400
        too_long = await live.call("POST", "/build", {**graph(), "Labels": {"branch": "m" * 257}})
        assert (too_long.status, b"256 characters" in too_long.body) == (400, True)


async def test_a_build_has_a_priority(tmp_path: Path) -> None:
    """Given with its graph or later; a build that has ended keeps what it had."""
    async with running(tmp_path) as live, started(live, {**graph(job("a")), "Priority": 3}) as going:
        (found,) = (await live.get("/api/builds"))["builds"]
        assert found["priority"] == 3
        assert (await live.post(f"/api/builds/{going.id}/priority", {"priority": -1}))["priority"] == -1
        nonsensical: tuple[object, ...] = (
            {"priority": "2"},
            {"priority": True},
            {},
            [],
            {"priority": 1, "request": 0.5},
        )
        for nonsense in nonsensical:
            status, _ = await error(live, "POST", f"/api/builds/{going.id}/priority", nonsense)
            assert status == 400, nonsense
        await live.post(f"/api/builds/{going.id}/cancel")
        status, value = await error(live, "POST", f"/api/builds/{going.id}/priority", {"priority": 5})
        assert (status, value["code"]) == (409, "TZ-1004")


async def test_builds_are_filtered_by_state(tmp_path: Path) -> None:
    """Each state has its own; one that does not exist is refused."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as uploading:
        await build(live, graph())
        async with started(live, graph(job("b"))) as cancelled:
            await live.post(f"/api/builds/{cancelled.id}/cancel")
        for state, count in {
            "uploading": 1,
            "running": 0,
            "succeeded": 1,
            "failed": 0,
            "cancelled": 1,
        }.items():
            found = (await live.get(f"/api/builds?state={state}"))["builds"]
            assert [each["state"] for each in found] == [state] * count
        assert (await live.get("/api/builds?state=uploading"))["builds"][0]["id"] == uploading.id
        status, value = await error(live, "GET", "/api/builds?state=done")
        assert status == 400
        assert "uploading, running, succeeded, failed, cancelled" in value["reason"]


async def test_a_build_is_shown_with_its_jobs(tmp_path: Path) -> None:
    """Every field, at every stage."""
    async with running(tmp_path) as live:
        async with started(live, {**graph(job("a"), job("b", "a")), "Name": "two"}) as stream:
            await stream.done()
            lease = await lease_of(live)
            value = await live.get(f"/api/builds/{stream.id}")
            assert value["position"] == await live.position()
            about = value["build"]
            assert about.pop("started_at") > 1_700_000_000
            assert about == {
                "id": stream.id,
                "name": "two",
                "labels": {},
                "priority": 0,
                "number": None,
                "state": "running",
                "jobs": 2,
                "counts": {
                    "blocked": 1,
                    "queued": 0,
                    "running": 1,
                    "succeeded": 0,
                    "failed": 0,
                    "cancelled": 0,
                },
                "reused": 0,
                "ended_at": None,
                "error": "",
                "position": 2,
            }
            first, second = value["jobs"]
            assert first.pop("queued_at") <= first.pop("started_at")
            assert first == {
                "id": A,
                "name": "a",
                "state": "running",
                "attempt": 1,
                "worker": WORKER,
                "lease": lease,
                "deps": [],
                "ended_at": None,
                "exit_code": None,
                "error": None,
                "stdout_bytes": 0,
                "stderr_bytes": 0,
                "reason": "first-come",
                "reused": False,
            }
            assert (second["state"], second["worker"], second["lease"], second["deps"]) == (
                "blocked",
                None,
                None,
                [A],
            )
            done = {**result(A, Ran(b"four", b"12")), "Lease": lease}
            second_lease = await lease_of(live, FinishedJob=[done], AddedArtifacts=[A])
            failed = {**result(B, Ran(b"", b"oh", 3, "exit status 3")), "Lease": second_lease}
            await live.post("/heartbeat", {**NATIVE, "FinishedJob": [failed]})
            await stream.rest()
        value = await live.get(f"/api/builds/{stream.id}")
        first, second = value["jobs"]
        assert (first["state"], first["exit_code"], first["error"]) == ("succeeded", 0, None)
        assert (first["stdout_bytes"], first["stderr_bytes"]) == (4, 2)
        assert (second["state"], second["exit_code"], second["error"]) == ("failed", 3, "exit status 3")
        assert (second["stdout_bytes"], second["stderr_bytes"]) == (0, 2)
        assert value["build"]["error"] == "job b failed: exit status 3"
        assert value["build"]["ended_at"] >= value["build"]["started_at"]
        assert value["build"]["counts"]["failed"] == 1


async def test_a_large_build_is_packed_for_whoever_takes_it(tmp_path: Path) -> None:
    """It is the same build; a small one is not worth it."""
    async with (
        running(tmp_path) as live,
        started(live, graph(*[job(f"{number:04}") for number in range(1200)])) as large,
        started(live, graph(job("a"))) as small,
    ):
        plain = await live.call("GET", f"/api/builds/{large.id}")
        assert len(json.loads(plain.body)["jobs"]) == 1200
        for id_, accepted, is_packed in (
            (large.id, "br, gzip", True),
            (large.id, "*", True),
            (large.id, "gzip;q=0, br", False),
            (small.id, "gzip", False),
        ):
            reply = await live.call("GET", f"/api/builds/{id_}", headers={"Accept-Encoding": accepted})
            assert reply.headers["vary"] == "Accept-Encoding"
            assert (reply.headers.get("content-encoding") == "gzip") is is_packed, accepted
            body = gzip.decompress(reply.body) if is_packed else reply.body
            assert id_ == small.id or body == plain.body


async def test_a_build_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    """If that is unambiguous."""
    async with running(tmp_path) as live:
        async with started(live, graph(job("a"))) as stream:
            found = await live.get(f"/api/builds/{stream.id[:12]}")
        assert found["build"]["id"] == stream.id
        for name in ("nothing", "0" * 40):
            status, value = await error(live, "GET", f"/api/builds/{name}")
            assert (status, value["code"]) == (404, "TZ-1003")


async def test_the_state_at_each_position(tmp_path: Path) -> None:
    """Time travel: what was true after that record; the future and what is no number are refused."""
    async with running(tmp_path) as live:
        async with working(Worker(live)):
            await build(live, graph(job("a")))
        about = (await live.get("/api/builds"))["builds"][0]
        id_, began, head = about["id"], about["position"], await live.position()
        states = []
        for position in range(began, head + 1):
            value = await live.get(f"/api/builds/{id_}?at={position}")
            assert value["position"] == position
            states.append((value["build"]["state"], *(each["state"] for each in value["jobs"])))
        assert list(dict.fromkeys(states)) == [
            ("uploading",),
            ("uploading", "blocked"),
            ("running", "blocked"),
            ("running", "queued"),
            ("running", "running"),
            ("running", "succeeded"),
            ("succeeded", "succeeded"),
        ]
        for at, status in ((head + 1000, 400), ("x", 400), (-1, 400), (0, 404), (began - 1, 404)):
            assert (await error(live, "GET", f"/api/builds/{id_}?at={at}"))[0] == status, at


async def test_a_job_is_explained_at_each_position(tmp_path: Path) -> None:
    """As it was then; a build by the beginning of its id, too."""
    async with running(tmp_path) as live:
        async with working(Worker(live)):
            await build(live, graph(job("a")))
        about = (await live.get("/api/builds"))["builds"][0]
        id_, began, head = about["id"], about["position"], await live.position()
        [job_id] = [each["id"] for each in (await live.get(f"/api/builds/{id_}"))["jobs"]]
        route, found = f"/jobs/{job_id}/why", await live.get(f"/api/builds/{id_}/jobs/{job_id}/why")
        assert (found["build"], found["job"], found["status"]) == (id_, job_id, "succeeded")
        questions = [answer["question"] for answer in found["answers"]]
        assert questions == ["status", "place", "not-reused"]
        assert found["answers"][1]["text"].endswith("so whoever had room first got it")
        states = []
        for position in range(began + 1, head + 1):
            value = await live.get(f"/api/builds/{id_[:12]}{route}?at={position}")
            assert value["position"] == position
            states.append(value["status"])
        assert list(dict.fromkeys(states)) == ["blocked", "queued", "running", "succeeded"]
        for at, status in ((head + 1000, 400), ("x", 400), (0, 404), (began, 404)):
            assert (await error(live, "GET", f"/api/builds/{id_}{route}?at={at}"))[0] == status, at
        assert (await error(live, "GET", f"/api/builds/{'f' * 40}{route}"))[0] == 404
        assert (await error(live, "GET", f"/api/builds/{id_}/jobs/{'f' * 40}/why"))[0] == 404


async def test_a_cancelled_build(tmp_path: Path) -> None:
    """With a reason or without; again it changes nothing; what has ended cannot be cancelled."""
    async with running(tmp_path) as live:
        async with started(live, graph(job("a"))) as stream:
            value = await live.post(f"/api/builds/{stream.id}/cancel", {"reason": "wrong branch"})
            assert (value["id"], value["state"], value["error"]) == (stream.id, "cancelled", "wrong branch")
            before = await live.position()
            again = await live.post(f"/api/builds/{stream.id}/cancel", {"reason": "other"})
            assert (again["error"], await live.position()) == ("wrong branch", before)
        async with started(live, graph()) as ended:
            await ended.done()
            await ended.rest()
        assert (await error(live, "POST", f"/api/builds/{ended.id}/cancel"))[0] == 409
        assert (await error(live, "POST", "/api/builds/unknown/cancel"))[0] == 404
        bodies: tuple[object, ...] = (b"{", [], {"reason": 5})
        for body in bodies:
            assert (await error(live, "POST", f"/api/builds/{ended.id}/cancel", body))[0] == 400


# --- artifacts and workers


async def test_an_artifact_is_where_its_worker_is(tmp_path: Path) -> None:
    """A redirect to a live holder; 404 where there is none."""
    async with running(tmp_path) as live, started(live, graph(job("a"), job("b", "a"))) as stream:
        await stream.done()
        target = f"/api/builds/{stream.id}/artifacts"
        assert (await error(live, "GET", f"{target}/{A}"))[1]["code"] == "TZ-1010"
        lease = await lease_of(live)
        done = {**result(A, Ran()), "Lease": lease}
        answer = await live.post("/heartbeat", {**NATIVE, "FinishedJob": [done], "AddedArtifacts": [A]})
        digest = answer["JobsToRun"][B]["ArtifactDigests"][A]
        reply = await live.call("GET", f"{target}/{A}")
        assert reply.status == 307
        assert reply.headers["location"] == f"{WORKER}/artifact?id={A}&digest={digest}"
        assert (await error(live, "GET", f"{target}/{C}"))[1]["code"] == "TZ-1007"
        assert (await error(live, "GET", f"/api/builds/unknown/artifacts/{A}"))[1]["code"] == "TZ-1003"


async def test_workers_are_listed_with_what_they_do(tmp_path: Path) -> None:
    """Ours and others; one of them by its quoted id."""
    plain = "http://127.0.0.1:9/worker/1"
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        await stream.done()
        lease = await lease_of(live, AddedArtifacts=[C])
        await live.heartbeat(WorkerID=plain)
        value = await live.get("/api/workers")
        assert value["position"] == await live.position()
        ours, other = value["workers"]
        assert ours.pop("last_seen") <= other.pop("last_seen")
        assert ours["leases"][0].pop("leased_at") > 1_700_000_000
        assert ours == {
            "id": WORKER,
            "state": "alive",
            "slots": 2,
            "slots_free": 2,
            "labels": {"os": "linux"},
            "native": True,
            "leases": [{"id": lease, "build": stream.id, "job": A, "name": "a"}],
            "artifacts": 1,
        }
        assert (other["id"], other["native"], other["leases"], other["slots"]) == (plain, False, [], 1)
        for id_ in (WORKER, plain):
            assert (await live.get(f"/api/workers/{quote(id_, safe='')}"))["id"] == id_
        assert (await error(live, "GET", "/api/workers/unknown"))[1]["code"] == "TZ-1009"


async def test_lost_and_leaving_workers_say_so(tmp_path: Path) -> None:
    """Silent for too long, or draining."""
    async with running(tmp_path, lease_seconds=0.2, worker_silence_seconds=0.2) as live:
        await live.post("/heartbeat", {**NATIVE, "Draining": True})
        assert (await live.get("/api/workers"))["workers"][0]["state"] == "draining"
        with trio.fail_after(5):
            while (await live.get("/api/workers"))["workers"][0]["state"] != "lost":
                await trio.sleep(0.05)


# --- catalogs, health, errors


async def test_the_tables_are_served(tmp_path: Path) -> None:
    """For those who compute statuses themselves, from the very tables that we use."""
    async with running(tmp_path) as live:
        assert await live.get("/api/transitions") == as_json()


@pytest.mark.parametrize("base", ["", "/coordinator"])
async def test_every_error_is_in_the_catalog(tmp_path: Path, base: str) -> None:
    """Links carry the base path."""
    async with running(tmp_path, base_path=base) as live:
        errors = (await live.get("/api/errors"))["errors"]
        assert [each["code"] for each in errors] == list(CATALOG)
        for each in errors:
            assert each["href"] == f"{base}/api/errors/{each['code']}"
            assert await live.get(f"/api/errors/{each['code']}") == each
        _, value = await error(live, "GET", "/api/errors/TZ-0")
        assert value["href"] == f"{base}/api/errors/{value['code']}"


async def test_wrong_addresses_and_numbers(tmp_path: Path) -> None:
    """404, 405, 400, each in the one shape."""
    async with running(tmp_path) as live:
        for method, target, status in (
            ("GET", "/api/nothing", 404),
            ("DELETE", "/api/builds", 405),
            ("PUT", "/api/workers", 405),
            ("GET", "/api/builds?limit=0", 400),
            ("GET", "/api/builds?limit=x", 400),
            ("GET", "/api/builds?before=-1", 400),
            ("GET", "/api/builds?limit=99999999999999999999", 400),
            ("GET", "/api/builds?limit=%D9%A3", 400),
        ):
            assert (await error(live, method, target))[0] == status, target


async def test_health_readiness_and_metrics(tmp_path: Path) -> None:
    """For whoever watches over us."""
    async with running(tmp_path) as live, started(live, graph(job("a"))) as stream:
        await stream.done()
        await live.heartbeat()
        assert await live.get("/healthz") == {"status": "ok"}
        assert await live.get("/readyz") == {"status": "ok", "position": await live.position()}
        reply = await live.call("GET", "/metrics")
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        text = reply.body.decode()
        for line in (
            'terzetto_jobs{state="running"} 1.0',
            'terzetto_workers{state="alive"} 1.0',
            "terzetto_leases 1.0",
            "terzetto_builds_active 1.0",
            f"terzetto_records_total {float(await live.position())}",
            "terzetto_disk_full 0.0",
            "terzetto_unsound 0.0",
        ):
            assert f"\n{line}\n" in text, line


async def test_while_it_stops_it_is_not_ready(tmp_path: Path) -> None:
    """But alive, and answering what it can."""
    async with running(tmp_path, drain_seconds=1.0) as live:
        live.stop.set()
        with trio.fail_after(5):
            while (await live.call("GET", "/readyz")).status == 200:
                await trio.sleep(0.01)
            status, value = await error(live, "GET", "/readyz")
        assert (status, value["code"]) == (503, "TZ-1015")
        assert await live.get("/healthz") == {"status": "ok"}


async def test_a_second_coordinator_on_the_same_log_is_refused(tmp_path: Path) -> None:
    """The first goes on."""
    async with running(tmp_path) as live:
        with pytest.RaisesGroup(pytest.RaisesExc(Exception, match="is held by")):
            async with running(tmp_path):
                raise AssertionError("it must not start")
        assert await live.get("/healthz") == {"status": "ok"}
