"""The job manager over HTTP: its own samples, each of its revisions, and each refusal in its own shape."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.coordinator.http.exchanges import replay
from tests.coordinator.live import Live, running

EXCHANGES = Path(__file__).with_name("job_manager.exchanges")
NOBODY = "00000000-0000-4000-8000-000000000000"
ADA, BOB = {"X-Remote-User": "ada"}, {"User-Id": "bob"}
DATA = b"one\ntwo\n"


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with running(tmp_path) as live:
        yield live


async def started(
    live: Live, body: object = None, target: str = "/run", headers: dict[str, str] | None = None
) -> str:
    reply = await live.call("POST", target, {"command": "true"} if body is None else body, headers)
    assert reply.status == 201, reply.body
    answer = json.loads(reply.body)
    assert list(answer) == ["job_id"]
    return str(answer["job_id"])


async def refused(
    live: Live,
    status: int,
    method: str,
    target: str,
    body: object = b"",
    headers: dict[str, str] | None = None,
) -> str:
    """The text of the refusal, which is all that there is."""
    reply = await live.call(method, target, body, headers)
    assert reply.status == status, (reply.status, reply.body)
    answer = json.loads(reply.body)
    assert list(answer) == ["error"]
    return str(answer["error"])


async def stored(live: Live, data: bytes = DATA, query: str = "") -> str:
    reply = await live.call("POST", f"/api/files{query}", data)
    return str(json.loads(reply.raise_for_status().body)["id"])


async def taken(live: Live) -> Any:
    """The task that a worker is given next."""
    [(_, spec)] = (await live.heartbeat())["JobsToRun"].items()
    return spec


async def ended(live: Live, spec: Any, *, stdout: bytes = b"", error: str | None = None) -> None:
    """The worker says how the task has ended."""
    result = {
        "ID": spec["ID"],
        "Stdout": base64.b64encode(stdout).decode(),
        "Stderr": None,
        "ExitCode": 0 if error is None else 1,
        "Error": error,
    }
    added = None if error else [spec["ID"]]
    await live.heartbeat(FinishedJob=[result], AddedArtifacts=added, FreeSlots=0)


async def in_state(live: Live, job: str, state: str) -> Any:
    with trio.fail_after(30):
        while (told := await live.get(f"/job_info/{job}"))["state"] != state:
            await trio.sleep(0.02)
    return told


@pytest.mark.parametrize("prefix", ["", "/api", "/api/job"])
async def test_the_samples_of_its_text_run(live: Live, prefix: str) -> None:
    """Trailing commas, the content type of a form, and a deletion at the address of a cancellation."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    job = await started(live, b'{\n    "command": "uname -a | wc -l",\n}', f"{prefix}/run", form)
    assert await live.get(f"{prefix}/job_info/{job}") == {"state": "SCHEDULED", "answer_id": None}
    assert await live.get(f"{prefix}/list_jobs") == {"job_ids": [job]}
    named = f'{{\n    "job_id": "{job}",\n}}'.encode()
    for _ in range(2):
        reply = await live.call("POST", f"{prefix}/cancel", named, form)
        assert (reply.status, json.loads(reply.body)) == (200, {"job_id": job})
    assert (await live.get(f"{prefix}/job_info/{job}"))["state"] == "CANCELLED"
    reply = await live.call("DELETE", f"{prefix}/cancel", named, form)
    assert (reply.status, json.loads(reply.body)) == (200, {"job_id": job})
    assert await refused(live, 410, "GET", f"{prefix}/job_info/{job}") == f"job {job} was deleted"
    assert await live.get(f"{prefix}/list_jobs") == {"job_ids": []}


@pytest.mark.parametrize("target", ["/run", "/jobs", "/api/jobs", "/api/job/jobs"])
async def test_an_answer_is_what_the_command_printed(live: Live, target: str) -> None:
    """Once it is in the store; a job that failed has its answer, too."""
    job = await started(live, {"command": "echo hello", "ttl": 7}, target)
    spec = await taken(live)
    assert spec["TimeoutSeconds"] == 7
    assert (await live.get(f"/job_info/{job}"))["state"] == "RUNNING"
    await ended(live, spec, stdout=b"hello\n")
    answer = (await in_state(live, job, "DONE"))["answer_id"]
    assert (await live.call("GET", f"/api/files/{answer}")).body == b"hello\n"
    told = await live.get(f"/jobs/{job}")
    assert told == {
        "state": "DONE",
        "results": [answer],
        "answer_id": [answer],
        "spec": {"command": "echo hello", "ttl": 7},
    }
    assert (await live.call("DELETE", f"/api/files/{answer}")).status == 409
    failing = await started(live, {"command": "false"}, target)
    await ended(live, await taken(live), stdout=b"oh", error="exit status 1")
    assert (await in_state(live, failing, "FAILED"))["answer_id"] is not None


async def test_tasks_run_one_after_the_other(live: Live) -> None:
    """Each task hands over what it declares, in the order of the tasks; the spec starts it again."""
    file = await stored(live)
    tasks = [
        {
            "command": "wc lines.txt",
            "input_files": [[file, "lines.txt"]],
            "output_files": ["stderr", "stdout"],
            "time_limit": 500,
        },
        {"command": "echo second"},
    ]
    job = await started(live, {"tasks": tasks}, "/jobs")
    first = await taken(live)
    assert (await live.get(f"/jobs/{job}"))["state"] == "RUNNING"
    assert (await live.heartbeat(RunningJobs=[first["ID"]], FreeSlots=1))["JobsToRun"] in ({}, None)
    await ended(live, first, stdout=b"first")
    await ended(live, await taken(live), stdout=b"second")
    await in_state(live, job, "DONE")
    told = await live.get(f"/jobs/{job}")
    texts = [(await live.call("GET", f"/api/files/{id_}")).body for id_ in told["results"]]
    assert texts == [b"", b"first", b"second"]
    assert told["spec"] == {"type": "simple", "tasks": tasks}
    again = await started(live, told["spec"], "/jobs")
    assert again != job
    assert (await live.get(f"/jobs/{again}"))["spec"] == told["spec"]


async def test_what_a_job_is_made_from_comes_with_it(live: Live) -> None:
    """Equal contents once; the file cannot go before the job has ended."""
    tool, data = await stored(live, b"#!/bin/sh\n", "?executable=1"), await stored(live)
    body = {"command": "./binary {{x}} {{{", "binary": tool.upper(), "input_files": [data, [data, "a/b"]]}
    job = await started(live, body)
    spec = await taken(live)
    assert len(spec["SourceFiles"]) == 2
    put, chmod, run = [cmd["Exec"][3:] for cmd in spec["Cmds"]]
    assert [word for word in put if word.startswith("./")] == ["./binary", f"./{tool}", f"./{data}", "./a/b"]
    assert chmod == ["chmod", "binary", tool]
    assert "".join(run[1:]) == "./binary {{x}} {{{"
    assert all("{{" not in word for word in run)
    assert (await live.call("DELETE", f"/api/files/{data}")).status == 409
    assert (await live.call("POST", "/cancel", {"job_id": job.upper()})).status == 200
    assert (await live.call("DELETE", f"/api/files/{data}")).status == 204


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "JSON"),
        (b"[]", "object"),
        (b'{"command": simple}', "JSON"),
        ({}, "command is missing"),
        ({"command": None}, "command is missing"),
        ({"command": " "}, "command must have"),
        ({"command": 5}, "command must be a string"),
        ({"command": "x" * 100_001}, "command must have"),
        ({"command": "a\0b"}, "NUL"),
        ({"command": "x", "ttl": "5"}, "ttl"),
        ({"command": "x", "ttl": True}, "ttl"),
        ({"command": "x", "ttl": -1}, "ttl"),
        ({"command": "x", "ttl": 1.5}, "ttl"),
        ({"command": "x", "binary": "tool"}, "UUID"),
        ({"command": "x", "input_files": "x"}, "input_files"),
        ({"command": "x", "input_files": [NOBODY]}, f"no file {NOBODY}"),
        ({"command": "x", "input_files": [[NOBODY, "../x"]]}, "'..'"),
        ({"command": "x", "input_files": [[NOBODY]]}, "pairs"),
        ({"command": "x", "input_files": [[NOBODY, ".terzetto/x"]]}, "is ours"),
        ({"command": "x", "input_files": [[NOBODY, "a"], [NOBODY.replace("8", "9"), "a"]]}, "two files"),
        ({"command": "x", "input_files": [[NOBODY, "a"], [NOBODY, "a/b"]]}, "directory"),
        ({"command": "x", "output_files": ["/etc/passwd"]}, "absolute"),
        ({"command": "x", "output_files": ["{{.x}}"]}, "{{"),
        ({"tasks": []}, "tasks"),
        ({"tasks": [5]}, "tasks[0]"),
        ({"tasks": [{"command": "x"}, {}]}, "tasks[1].command"),
        ({"type": 5, "tasks": [{"command": "x"}]}, "type"),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused(live: Live, body: object, words: str) -> None:
    """And nothing is started."""
    for target in ("/run", "/api/job/jobs"):
        assert words in await refused(live, 400, "POST", target, body)
    assert await live.get("/list_jobs") == {"job_ids": []}


async def test_every_other_refusal_has_its_shape(live: Live) -> None:
    """400, 404, 410 and what HTTP itself has to say; also after a restart."""
    for method, target in (
        ("GET", "/job_info/%s"),
        ("GET", "/jobs/%s"),
        ("POST", "/jobs/%s/cancel"),
        ("DELETE", "/jobs/%s"),
        ("DELETE", "/jobs/%s/delete"),
    ):
        assert "UUID" in await refused(live, 400, method, target % "job")
        assert "no job" in await refused(live, 404, method, target % NOBODY)
    for method, target in (("POST", "/cancel"), ("DELETE", "/delete")):
        assert "job_id is missing" in await refused(live, 400, method, target, {})
        assert "job_id" in await refused(live, 400, method, target, {"job_id": 5})
        assert "UUID" in await refused(live, 400, method, target, {"job_id": "x"})
        assert "no job" in await refused(live, 404, method, target, {"job_id": NOBODY})
    await refused(live, 405, "GET", "/run")
    await refused(live, 404, "GET", "/api/job/nothing")
    await refused(live, 413, "POST", "/run", {"command": "x", "more": "y" * (2 << 20)})
    for query in (
        "from=x",
        "to=2026-13-01",
        "state=GONE",
        "limit=0",
        "limit=x",
        "after=x",
        f"after={NOBODY}",
    ):
        await refused(live, 400, "GET", f"/list_jobs?{query}")


async def test_what_has_ended_cannot_be_cancelled(live: Live) -> None:
    """But deleted."""
    job = await started(live)
    await ended(live, await taken(live))
    await in_state(live, job, "DONE")
    assert "has ended" in await refused(live, 400, "POST", f"/jobs/{job}/cancel")
    assert (await live.call("DELETE", f"/jobs/{job}")).status == 200


async def test_what_goes_on_is_cancelled_before_it_is_deleted(live: Live, tmp_path: Path) -> None:
    """The worker is told to stop; the log knows of it, the next coordinator too."""
    job = await started(live)
    spec = await taken(live)
    assert (await live.call("DELETE", "/delete", {"job_id": job})).status == 200
    assert await live.heartbeat(RunningJobs=[spec["ID"]], FreeSlots=0)
    live.stop.set()
    await live.stopped.wait()
    async with running(tmp_path) as again:
        assert "deleted" in await refused(again, 410, "GET", f"/job_info/{job}")
        assert "no job" in await refused(again, 404, "GET", f"/job_info/{NOBODY}")


async def test_jobs_outlive_a_restart(live: Live, tmp_path: Path) -> None:
    """Under their ids, with their answers."""
    done, waiting = await started(live, {"command": "echo"}), await started(live)
    await ended(live, await taken(live), stdout=b"answer")
    answer = (await in_state(live, done, "DONE"))["answer_id"]
    live.stop.set()
    await live.stopped.wait()
    async with running(tmp_path) as again:
        assert await again.get("/list_jobs") == {"job_ids": [waiting, done]}
        assert (await again.get(f"/job_info/{done}"))["answer_id"] == answer
        assert (await again.call("GET", f"/api/files/{answer}")).body == b"answer"


async def test_somebody_elses_job_is_forbidden(live: Live) -> None:
    """To whoever gives another name; what nobody owns is everybody's, and no name may do everything."""
    job, shared = await started(live, headers=ADA), await started(live)
    for method, target, body in (
        ("GET", f"/job_info/{job}", b""),
        ("POST", f"/jobs/{job}/cancel", b""),
        ("POST", "/cancel", {"job_id": job}),
        ("DELETE", "/delete", {"job_id": job}),
        ("DELETE", f"/jobs/{job}", b""),
        ("GET", "/list_jobs?user=ada", b""),
    ):
        await refused(live, 403, method, target, body, BOB)
    listed = json.loads((await live.call("GET", "/list_jobs", headers=BOB)).body)
    assert listed == {"job_ids": [shared]}
    assert await live.get("/list_jobs?user=ada") == {"job_ids": [job]}
    assert (await live.call("POST", f"/jobs/{shared}/cancel", headers=BOB)).status == 200
    assert (await live.call("POST", f"/jobs/{job}/cancel", headers=ADA)).status == 200
    assert [build["labels"] for build in (await live.get("/api/builds"))["builds"]] == [{}, {"user": "ada"}]


async def test_jobs_are_listed_by_state_and_date_in_pages(live: Live) -> None:
    """Newest first, each once, also when the last one of a page was deleted meanwhile."""
    jobs = [await started(live) for _ in range(5)]
    await live.call("POST", f"/jobs/{jobs[0]}/cancel")
    assert await live.get("/list_jobs?state=cancelled") == {"job_ids": [jobs[0]]}
    assert len((await live.get("/list_jobs?state=SCHEDULED,RUNNING"))["job_ids"]) == 4
    [build, *_] = (await live.get("/api/builds"))["builds"]
    assert await live.get(f"/list_jobs?from={build['started_at']}") == {"job_ids": [jobs[4]]}
    assert len((await live.get(f"/list_jobs?to={build['started_at']}"))["job_ids"]) == 4
    assert await live.get("/list_jobs?to=2020-01-31") == {"job_ids": []}
    assert len(await live.get("/jobs?from=2020-01-31T12:00:00%2B01:00")) == 5
    seen, target = [], "/jobs?limit=2"
    while target:
        reply = await live.call("GET", target)
        seen += [job["job_id"] for job in json.loads(reply.body)]
        await live.call("DELETE", f"/jobs/{seen[-1]}")
        target = dict(reply.headers).get("link", "").partition(">")[0].removeprefix("<")
    assert seen == jobs[::-1]


async def test_other_builds_are_no_jobs(live: Live) -> None:
    """Whatever key a client of another dialect has chosen."""
    graph = {"Graph": {"SourceFiles": None, "Jobs": None}}
    raw = await live.connect()
    await raw.send("POST", f"/build?key=job-manager/{NOBODY}", json.dumps(graph).encode())
    await raw.head()
    assert await live.get("/list_jobs") == {"job_ids": []}
    assert await live.get("/jobs") == []
    await refused(live, 410, "GET", f"/jobs/{NOBODY}")
    await raw.aclose()


async def test_outputs_that_are_lost_with_their_worker_fail_the_job(tmp_path: Path) -> None:
    """It says that it has failed, and which build lacks what."""
    seconds = {"worker_silence_seconds": 0.3, "lease_seconds": 0.3}
    async with running(tmp_path, **seconds) as live:
        job = await started(live, {"command": "x > made", "output_files": ["made", "stdout"]})
        await ended(live, await taken(live), stdout=b"printed")
        answer = (await in_state(live, job, "FAILED"))["answer_id"]
        assert (await live.call("GET", f"/api/files/{answer}")).body == b"printed"
        log = (await live.call("GET", "/api/log?after=0")).body.splitlines()
        [kept] = [line for line in log if b'"OutputsKept"' in line]
        assert json.loads(kept)["error"] == "job x > made: no worker holds its artifact any more"


async def test_recorded_exchanges_are_answered_as_ever(live: Live, request: pytest.FixtureRequest) -> None:
    """Rewrite the answers with --update-golden, and read the diff: somebody's client expects them."""

    async def work(text: str) -> None:
        await ended(live, await taken(live), stdout=text.encode())
        with trio.fail_after(30):
            while "RUNNING" in json.dumps([job["state"] for job in await live.get("/jobs")]):
                if (await live.heartbeat(FreeSlots=0)) and await _has_queued(live):
                    return
                await trio.sleep(0.02)

    recorded = await trio.Path(EXCHANGES).read_text()
    said = await replay(live, recorded, work)
    if request.config.getoption("--update-golden"):
        await trio.Path(EXCHANGES).write_text(said)
    else:
        assert said == recorded


async def _has_queued(live: Live) -> bool:
    """Is there more for a worker to do before the job has ended?"""
    return any(build["counts"]["queued"] for build in (await live.get("/api/builds"))["builds"])
