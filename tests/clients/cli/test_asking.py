"""The verbs that ask one thing, against a scripted coordinator: short names, lists, errors."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict

from events.hindsight.why import why as explain
from events.ids import BuildId, JobId, Position
from events.sqlite import SqliteReader
from tests.clients.cli.command import terzetto
from tests.clients.cli.log.logs import LOSE, history, made, said
from tests.clients.cli.log.logs import build as build_id
from tests.clients.coordinators import Answer, ScriptedCoordinator
from tests.clients.peers import Peer, serving

B7F3, B7A0 = "b7f3" + "0" * 36, "b7a0" + "0" * 36
COUNTS = {"blocked": 0, "queued": 1, "running": 0, "succeeded": 2, "failed": 1, "cancelled": 0}


def build(identifier: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "name": "nightly",
        "state": "failed",
        "jobs": 4,
        "counts": COUNTS,
        "reused": 1,
        "started_at": 1763770000.0,
        "ended_at": 1763770063.0,
        "error": "no",
        "position": 7,
        "new_in_a_later_version": True,
        **fields,
    }


def worker(**fields: Any) -> dict[str, Any]:
    return {
        "id": "http://w1:1",
        "state": "alive",
        "slots": 2,
        "slots_free": 0,
        "labels": {"gpu": "yes"},
        "native": True,
        "last_seen": 1763770000.0,
        "leases": [{"id": "1" * 32, "build": B7F3, "job": "a1" * 20, "name": "compile", "leased_at": 0.0}],
        "artifacts": 3,
        **fields,
    }


def pages(*builds: dict[str, Any]) -> ScriptedCoordinator:
    coordinator = ScriptedCoordinator()
    coordinator.blobs["/api/builds"] = json.dumps({"builds": builds, "next": None}).encode()
    return coordinator


def says(status: int, **body: Any) -> Answer:
    async def answer(peer: Peer) -> None:
        await peer.answer(json.dumps(body).encode(), status=status)

    return answer


async def test_builds_as_a_table() -> None:
    """One line per build; times are ISO 8601, and a name cannot leave its line."""
    coordinator = pages(build(B7F3), build(B7A0, name="a\nb", state="succeeded", started_at=None))
    async with serving(coordinator) as url:
        done = await terzetto("builds", "--state", "failed", url=url)
    assert done == (
        0,
        "BUILD     STATE      JOBS  STARTED               TOOK    NAME\n"
        "b7f30000  failed     3/4   2025-11-22T00:06:40Z  1m 03s  nightly\n"
        "b7a00000  succeeded  3/4                                 a�b\n",
        "",
    )
    assert coordinator.queries == [{"limit": "20", "state": "failed"}]


async def test_priorities_are_shown_where_there_are_any() -> None:
    """Most builds have none that matters."""
    async with serving(pages(build(B7F3, priority=-2), build(B7A0, priority=0))) as url:
        _, out, _ = await terzetto("builds", url=url)
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["BUILD", "STATE", "PRIORITY"],
        ["b7f30000", "failed", "-2"],
        ["b7a00000", "failed", "0"],
    ]


async def test_builds_page_by_page() -> None:
    """Pages are fetched until there are enough; programs get all that the coordinator said."""
    first, second = [build(f"{n:040x}") for n in (1, 2)], [build(f"{n:040x}") for n in (3, 4)]
    coordinator = ScriptedCoordinator()
    coordinator.instead["GET /api/builds"] = [
        says(200, builds=first, next=5),
        says(200, builds=second, next=3),
    ]
    async with serving(coordinator) as url:
        done = await terzetto("builds", "--limit", "3", "--json", url=url)
    assert (done.code, done.json) == (0, {"schema_version": 1, "builds": [*first, second[0]]})
    assert coordinator.queries == [{"limit": "3"}, {"limit": "1", "before": "5"}]


async def test_no_builds() -> None:
    """An empty list says so."""
    async with serving(pages()) as url:
        assert await terzetto("builds", url=url) == (0, "no builds\n", "")


async def test_workers() -> None:
    """What each has to do, and when it was last heard of."""
    coordinator = ScriptedCoordinator()
    lost = worker(id="http://w2:1", state="lost", last_seen=None, leases=[], labels={})
    eager = worker(id="http://w3:1", leases=worker()["leases"] * 3)
    answer = json.dumps({"position": 9, "workers": [worker(), lost, eager]}).encode()
    coordinator.blobs["/api/workers"] = answer
    async with serving(coordinator) as url:
        done = await terzetto("workers", url=url)
        as_json = await terzetto("workers", "--json", url=url)
    header, first, second, third = done.out.splitlines()
    assert header.split() == ["WORKER", "STATE", "BUSY", "SEEN", "ARTIFACTS", "RUNNING", "LABELS"]
    assert first.startswith("http://w1:1  alive  1/2 ")
    assert first.split()[-4:] == ["ago", "3", "compile", "gpu=yes"]
    assert second.split() == ["http://w2:1", "lost", "0/2", "never", "3"]
    assert "  2/2 +1 ahead  " in third
    assert as_json.json == {"schema_version": 1, "workers": [worker(), lost, eager]}


async def test_cancelling_by_the_beginning_of_an_id() -> None:
    """The reason goes along; the answer tells the state."""
    coordinator = pages(build(B7F3), build(B7A0))
    coordinator.instead[f"POST /api/builds/{B7F3}/cancel"] = [says(200, id=B7F3, state="cancelled")]
    async with serving(coordinator) as url:
        done = await terzetto("cancel", "b7f", "--reason", "wrong branch", url=url)
    assert done == (0, "build b7f30000 is cancelled\n", "")


async def test_cancelling_by_name() -> None:
    """Of several builds that are called so the latest is meant."""
    coordinator = pages(build(B7A0, name="other"), build(B7F3), build("c0" * 20))
    coordinator.instead[f"POST /api/builds/{B7F3}/cancel"] = [says(200, id=B7F3, state="cancelled")]
    async with serving(coordinator) as url:
        assert (await terzetto("cancel", "nightly", url=url)).code == 0


async def test_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Short names are found, and the words are those of `terzetto log why`, the chain first."""
    records, job_id = history(LOSE), "b" * 40
    log, id_ = made(tmp_path / "log.sqlite3", records), build_id(1)
    with contextlib.closing(SqliteReader(log)) as reader:
        found = explain(reader, BuildId(id_), JobId(job_id), Position(len(records)))
    coordinator = pages(build(id_))
    state = {"position": 9, "build": build(id_), "jobs": [{"id": job_id, "name": "b", "state": "failed"}]}
    coordinator.blobs[f"/api/builds/{id_}"] = json.dumps(state).encode()
    coordinator.blobs[f"/api/builds/{id_}/jobs/{job_id}/why"] = json.dumps(asdict(found)).encode()
    async with serving(coordinator) as url:
        done = await terzetto("why", "0000", "b", "--at", str(len(records)), url=url)
        as_json = await terzetto("why", id_, job_id, "--json", url=url)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == said(capsys, "why", id_, "b", "--log", log)[0]
    assert done.out.splitlines()[1] == found.line
    assert as_json.out.splitlines() == said(capsys, "why", id_, "b", "--log", log, "--json")[0]
    assert coordinator.queries[-2:] == [{"at": str(len(records))}, {}]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "b7",
            "error[TZ-2003]: the name is ambiguous\n"
            "cause: 'b7' may be\n"
            f"       {B7F3} nightly\n"
            f"       {B7A0} nightly\n"
            "fix: write more of it\n",
        ),
        (
            "c0",
            "error[TZ-2004]: there is no such thing\n"
            "cause: there is no build 'c0'\n"
            "fix: look with `terzetto builds`\n",
        ),
    ],
)
async def test_a_short_name_must_mean_one_thing(text: str, error: str) -> None:
    """Otherwise nothing is cancelled."""
    coordinator = pages(build(B7F3), build(B7A0))
    async with serving(coordinator) as url:
        assert await terzetto("cancel", text, url=url) == (2, "", error)
    assert coordinator.requests == ["GET /api/builds"]


@pytest.mark.parametrize(
    ("status", "body", "code", "error"),
    [
        (
            409,
            {
                "kind": "Error",
                "code": "TZ-1004",
                "message": "the build has ended",
                "reason": "build b7 has failed",
                "fix": "start a new build",
            },
            2,
            "error[TZ-1004]: the build has ended\ncause: build b7 has failed\nfix: start a new build\n",
        ),
        (
            403,
            {"error": "no"},
            6,
            "error[TZ-2104]: not allowed\ncause: no\nfix: ask who runs the coordinator for access\n",
        ),
        (
            503,
            {},
            3,
            "error[TZ-2103]: the coordinator refused\ncause: {}\nfix: see its own log for the reason\n",
        ),
        (
            200,
            {"state": "cancelled"},
            7,
            "error[TZ-2102]: the coordinator's answer makes no sense\n"
            "cause: Cancelled: Object missing required field `id`\n"
            "fix: is it a Terzetto coordinator, and of this version? see `terzetto doctor`\n",
        ),
    ],
)
async def test_refusals(status: int, body: dict[str, Any], code: int, error: str) -> None:
    """The coordinator's own words are passed on; every kind has its exit code."""
    coordinator = ScriptedCoordinator()
    coordinator.instead[f"POST /api/builds/{B7F3}/cancel"] = [says(status, **body)]
    async with serving(coordinator) as url:
        assert await terzetto("cancel", B7F3, url=url) == (code, "", error)


async def test_nobody_there() -> None:
    """Exit code 7, and what to do about it."""
    done = await terzetto("workers", "--coordinator", "http://127.0.0.1:1")
    assert (done.code, done.out) == (7, "")
    assert done.err.startswith("error[TZ-2101]: the coordinator is unreachable\ncause: http://127.0.0.1:1 ")
    assert "fix: start one with `terzetto up`" in done.err


async def test_an_address_that_is_none() -> None:
    """A wrong URL is the user's mistake, not an outage."""
    done = await terzetto("workers", "--coordinator", "localhost:8470")
    assert (done.code, "fix: write it like http://127.0.0.1:8470" in done.err) == (2, True)
