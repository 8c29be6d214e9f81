"""buildapi's self-serve, case by case: what is accepted, what it becomes, and what is said of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from markupsafe import Markup

from coordinator.http import buildapi_pages as pages
from tests.coordinator.http.buildapi_farm import ANN, ask, completed, empty, farm, hand_in, see
from tests.coordinator.http.exchanges import replay

P = "/self-serve"
OTHERS = "/builds"
EXCHANGES = Path(__file__).with_name("buildapi.exchanges")

REFUSED: list[tuple[str, str, dict[str, object], int, str]] = [
    ("PUT", "/b1/request/3", {}, 400, "Bad priority"),
    ("PUT", "/b1/request/3", {"priority": "high"}, 400, "Bad priority"),
    ("PUT", "/b1/request/3", {"priority": 10**9}, 400, "Bad priority"),
    ("PUT", "/b1/request/three", {"priority": 1}, 400, "Non-integer request id"),
    ("PUT", "/b1/request/7", {"priority": 1}, 404, "Request 7 not found on branch b1"),
    ("PUT", "/b1/request/2", {"priority": 1}, 404, "Request 2 not found on branch b1"),
    ("PUT", "/nowhere/request/3", {"priority": 1}, 404, "Branch nowhere not found"),
    ("PUT", "/b1/request/1", {"priority": 1}, 400, "Request already complete"),
    ("PUT", "/branch2/request/2", {"priority": 1}, 400, "Request is already running"),
    ("DELETE", "/b1/request/x", {}, 400, "Non-integer request id"),
    ("DELETE", "/b1/request/7", {}, 404, "Request 7 not found on branch b1"),
    ("DELETE", "/b1/request/1", {}, 400, "Request already complete"),
    ("DELETE", "/b1/build/x", {}, 400, "Non-integer build id"),
    ("DELETE", "/b1/build/2", {}, 404, "Build 2 not found on branch b1"),
    ("DELETE", "/nowhere/build/2", {}, 404, "Branch nowhere not found"),
    ("POST", "/b1/build", {}, 400, "Bad build_id"),
    ("POST", "/b1/build", {"build_id": "one"}, 400, "Bad build_id"),
    ("POST", "/b1/build", {"build_id": 1, "priority": "x"}, 400, "Bad priority"),
    ("POST", "/b1/build", {"build_id": 1, "count": "x"}, 400, "Bad count"),
    ("POST", "/b1/build", {"build_id": 1, "count": 0}, 400, "Bad count"),
    ("POST", "/b1/build", {"build_id": 2}, 404, "Build 2 not found on branch b1"),
    ("POST", "/b1/request", {}, 400, "Bad request_id"),
    ("POST", "/b1/request", {"request_id": 7}, 404, "Request 7 not found on branch b1"),
    ("DELETE", "/nowhere/rev/123456789", {}, 404, "Branch nowhere not found"),
    ("POST", "/nowhere/rev/123456789", {}, 404, "Branch nowhere not found"),
    ("POST", "/b1/rev/1/pgo", {"priority": "x"}, 400, "Bad priority"),
    ("POST", "/b1/rev/1/nightly", {"priority": "x"}, 400, "Bad priority"),
    ("POST", "/b1/builders/Linux%20build/1", {"priority": "x"}, 400, "Bad priority"),
    ("POST", "/nowhere/builders/Linux%20build/1", {}, 404, "Branch nowhere not found"),
    ("DELETE", "/b1", {}, 404, "Not Found"),
]

# What is asked for, and the action, its parameters and the answer that it leads to, in this order.
ACCEPTED: list[tuple[str, str, dict[str, Any], str, dict[str, Any], str]] = [
    (*("PUT", "/b1/request/3", {"priority": 5}), *("reprioritize", {"brid": 3, "priority": 5}, "Ok")),
    (*("DELETE", "/b1/request/4", {}), *("cancel_request", {"brid": 4}, "Ok")),
    (*("DELETE", "/b1/build/1", {}), *("cancel_build", {"bid": 1}, "Request is complete, nothing to do")),
    (*("DELETE", "/branch2/build/2", {}), *("cancel_build", {"bid": 2}, "Ok")),
    (
        *("POST", "/b1/build", {"build_id": 1, "count": 2, "priority": -1}),
        *("rebuild_build", {"bid": 1, "priority": -1, "count": 2}, "Ok"),
    ),
    (
        *("POST", "/b1/request", {"request_id": 3}),
        *("rebuild_request", {"brid": 3, "priority": 0, "count": 1}, "Ok"),
    ),
    (
        *("DELETE", "/b1/rev/987654321aaaaaaaaaa", {}),
        *("cancel_revision", {"branch": "b1", "revision": "987654321aaa"}, ""),
    ),
    (
        *("DELETE", "/b1/rev/987654321", {}),
        *("cancel_revision", {"branch": "b1", "revision": "987654321"}, "7: Ok\n3: Ok"),
    ),
    (
        *("POST", "/b1/rev/0123456789abcdef", {}),
        *("new_build_at_revision", {"branch": "b1", "revision": "0123456789abcdef"}, "Ok"),
    ),
    (
        *("POST", "/b1/rev/aa/pgo", {"priority": 3}),
        *("new_pgobuild_at_revision", {"branch": "b1", "revision": "aa", "priority": 3}, "Ok"),
    ),
    (
        *("POST", "/b1/rev/aa/nightly", {}),
        *(
            "new_nightly_at_revision",
            {"branch": "b1", "revision": "aa", "priority": 0},
            "No builds to create",
        ),
    ),
    (
        *("POST", "/b1/builders/Linux%20build/aa", {"properties": '{"flavour":"opt"}', "files": '["u"]'}),
        "new_build_for_builder",
        {
            "branch": "b1-selfserve",
            "revision": "aa",
            "priority": 0,
            "builder_name": "Linux build",
            "properties": {"flavour": "opt"},
            "files": ["u"],
        },
        "Ok",
    ),
    (
        *("POST", "/b1/builders/None/aa", {"properties": "[1]", "files": "nonsense"}),
        "new_build_for_builder",
        {
            "branch": "b1-selfserve",
            "revision": "aa",
            "priority": 0,
            "builder_name": "None",
            "properties": {},
            "files": [],
        },
        "No builds to create",
    ),
]


def body_of(reply: Any) -> Any:
    return json.loads(reply.body)


async def test_what_makes_no_sense_is_refused_in_its_words(tmp_path: Path) -> None:
    """By either prefix; and nothing is logged of it."""
    async with farm(tmp_path) as live:
        for number, (method, path, form, status, msg) in enumerate(REFUSED):
            prefix = (P, OTHERS)[number % 2]
            reply = await ask(live, method, f"{prefix}{path}?format=json", form)
            assert (reply.status, body_of(reply)) == (status, {"status": "FAILED", "msg": msg}), path
        nobody = await ask(live, "DELETE", f"{P}/b1/request/3?format=json", headers={})
        assert (nobody.status, body_of(nobody)["msg"]) == (403, "ACCESS DENIED!")
        for lure in ({"Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
            lured = await ask(live, "DELETE", f"{P}/b1/request/3?format=json", headers={**ANN, **lure})
            assert lured.status == 403
        assert await see(live, f"{P}/jobs") == []


async def test_what_is_accepted_is_logged_and_carried_out(tmp_path: Path) -> None:
    """Each action with its parameters, as agents expect them, and the answer of the one within."""
    async with farm(tmp_path) as live:
        for number, (method, path, form, action, what, answer) in enumerate(ACCEPTED, start=1):
            reply = await ask(live, method, f"{P}{path}", form, headers={**ANN, "Accept": "application/json"})
            assert (reply.status, body_of(reply)) == (202, {"status": "OK", "request_id": number}), path
            job = await completed(live, number)
            assert (job["action"], job["who"], job["what"]) == (action, "ann", what)
            expected = {"body": {"errors": False, "msg": answer}, "request_id": number}
            assert job["complete_data"] == expected
        stopped = await see(live, f"{P}/branch2/build/2")
        assert (stopped["status"], stopped["starttime"] > 0, stopped["endtime"] > 0) == (4, True, True)
        never = await see(live, f"{P}/b1/request/4")
        assert (never["complete"], never["build_ids"], never["claimed_at"]) == (1, [], 0)
        jobs = await see(live, f"{OTHERS}/jobs?num=2&offset=1")
        assert [job["request_id"] for job in jobs] == [len(ACCEPTED) - 1, len(ACCEPTED) - 2]
        assert len(await see(live, f"{P}/jobs?num=x&offset=-1")) == len(ACCEPTED)
        built = await see(live, f"{P}/b1/rev/0123456789abcdef")
        assert sorted(each["buildername"] for each in built) == ["Linux build", "Linux test"]
        assert {each["reason"] for each in built} == {"Self-serve: Requested by ann"}
        (opt,) = [each for each in await see(live, f"{P}/b1/rev/aa") if each["buildername"] == "Linux build"]
        assert opt["properties"] == {"flavour": "opt"}
        (pgo,) = [each for each in await see(live, f"{P}/b1/rev/aa") if each["buildername"] == "Linux pgo"]
        assert (pgo["priority"], pgo["complete"]) == (3, 0)
        again = [each for each in await see(live, f"{P}/b1/rev/123456789") if each["build_id"] != 1]
        assert [each["requests"][0]["priority"] for each in again] == [-1, -1]
        assert {each["requests"][0]["reason"] for each in again} == {"Self-serve: Requested by ann"}


async def test_what_is_shown(tmp_path: Path) -> None:
    """Builds and requests in buildapi's shapes; a request that has not begun is no build yet."""
    async with farm(tmp_path) as live:
        assert (await see(live, P))["b1"] == {
            "repo": "https://hg.example/b1",
            "repo_type": "hg",
            "graph_branches": ["b1"],
        }
        assert await see(live, f"{P}/branches") == await see(live, OTHERS)
        assert await see(live, f"{P}/b1/builders") == ["Linux build", "Linux test", "Linux pgo"]
        request = await see(live, f"{P}/b1/request/3")
        assert request.pop("submittime") > 1_700_000_000
        assert request == {
            "request_id": 3,
            "buildername": "builder3",
            "branch": "b1",
            "revision": "987654321",
            "complete": 0,
            "complete_at": None,
            "priority": 0,
            "claimed_at": 0,
            "reason": "Self-serve: Requested by bob",
            "properties": {},
            "build_ids": [],
        }
        build = await see(live, f"{P}/branch2/build/2")
        (of_it,) = build.pop("requests")
        assert (of_it["request_id"], of_it["build_ids"], of_it["claimed_at"] > 0) == (2, [2], True)
        assert build.pop("starttime") > 1_700_000_000
        assert build == {
            "build_id": 2,
            "buildnumber": 2,
            "buildername": "builder2",
            "branch": "branch2",
            "revision": "abcdefghi",
            "endtime": None,
            "status": None,
            "claimed_by_name": "http://127.0.0.1:9101/worker/0",
        }
        assert [each.get("build_id") for each in await see(live, f"{P}/b1")] == [None, None, 1]
        assert len(await see(live, f"{P}/b1/user/bob")) == 3
        assert await see(live, f"{P}/b1?date=2001-02-03") == []
        for path, msg in {
            "/b1/build/2": "Build 2 not found on branch b1",
            "/b1/build/3": "Build 3 not found on branch b1",
            "/b1/request/2": "Request 2 not found on branch b1",
            "/branch1": "Branch branch1 not found",
            "/b1/rev/77": "Revision 77 not found on branch b1",
            "/jobs/99": "Job 99 not found",
            "/job_status/x": "Job x not found",
            "/b1/no/such/thing": "Not Found",
        }.items():
            assert await see(live, P + path, 404) == {"status": "FAILED", "msg": msg}


async def test_what_waits_runs_and_has_ended(tmp_path: Path) -> None:
    """Beside the prefixes, by branch and revision."""
    async with farm(tmp_path) as live:
        pending = (await see(live, "/pending"))["pending"]
        assert {rev: [each["id"] for each in builds] for rev, builds in pending["b1"].items()} == {
            "24681012": [4],
            "987654321": [3],
        }
        assert (await see(live, "/pending/b1/builder4"))["pending"] == {
            "b1": {"24681012": pending["b1"]["24681012"]}
        }
        assert (await see(live, "/pending/branch2"))["pending"] == {}
        running = (await see(live, "/running"))["running"]
        assert [each["id"] for each in running["branch2"]["abcdefghi"]] == [2]
        assert [each["build_id"] for each in await see(live, "/recent?numbuilds=5")] == [1]
        assert await see(live, "/recent/no-such-worker") == []
        assert [each["build_id"] for each in await see(live, "/revision/b1/123456789")] == [1]
        await see(live, "/pending/nowhere", 404)
        for path in ("/pending", "/running/branch2", "/recent"):
            assert (await live.call("GET", f"{path}?format=xml")).status == 400


async def test_a_revision_is_done_when_nothing_has_happened_for_a_while(tmp_path: Path) -> None:
    """And has passed if all went well."""
    async with farm(tmp_path) as live:
        target = f"{P}/b1/rev/123456789/is_done"
        assert await see(live, target) == {"stableDelay": 180, "job_complete": False, "job_passed": False}
        done = await see(live, f"{target}?stableDelay=0")
        assert done == {"stableDelay": 0, "job_complete": True, "job_passed": True}
        waits = await see(live, f"{P}/b1/rev/987654321/is_done?stableDelay=0")
        assert (waits["job_complete"], waits["job_passed"]) == (False, False)
        await ask(live, "DELETE", f"{P}/b1/request/3")
        await completed(live, 1)
        gone = await see(live, f"{P}/b1/rev/987654321/is_done?stableDelay=0")
        assert (gone["job_complete"], gone["job_passed"]) == (True, False)


@pytest.mark.parametrize("name", ["_method", "_method_"])
async def test_a_form_may_say_what_is_meant(tmp_path: Path, name: str) -> None:
    """As a field or in the query, in any case; the page of the request follows."""
    async with farm(tmp_path) as live:
        by_field = await ask(live, "POST", f"{P}/b1/request/3", {name: "put", "priority": 4})
        assert (by_field.status, by_field.headers["location"]) == (302, f"{P}/jobs/1")
        by_query = await ask(live, "GET", f"{OTHERS}/b1/request/4?{name}=Delete")
        assert (by_query.status, by_query.headers["location"]) == (302, f"{OTHERS}/jobs/2")
        assert (await completed(live, 1))["what"] == {"brid": 3, "priority": 4}
        assert (await completed(live, 2))["action"] == "cancel_request"


async def test_a_slash_at_the_end_leads_to_the_same_without_it(tmp_path: Path) -> None:
    """Permanently, and with what was asked for."""
    async with empty(tmp_path, base_path="/base") as live:
        for path in (
            P,
            f"{P}/b1",
            f"{OTHERS}/b1/rev/12",
            "/pending",
            "/revision/b1/12",
            f"{P}/no/such/thing",
        ):
            reply = await live.call("GET", f"{path}/?format=json")
            assert (reply.status, reply.headers["location"]) == (301, f"/base{path}?format=json")
        page = (await live.call("GET", f"{P}/b1")).body.decode()
        assert f'href="/base{P}/jobs"' in page


async def test_who_wants_json_gets_it(tmp_path: Path) -> None:
    """`format` counts more than what is accepted; anybody else gets a page."""
    async with farm(tmp_path) as live:
        for query, accept, is_json in (
            ("?format=json", "text/html", True),
            ("?format=html", "application/json", False),
            ("", "text/html,application/json;q=0.5", True),
            ("", "text/html", False),
            ("", "", False),
        ):
            reply = await live.call("GET", f"{P}/b1{query}", headers={"Accept": accept})
            assert reply.headers["content-type"].startswith("application/json" if is_json else "text/html")


async def test_pages_say_it_in_tables_and_escape_what_people_wrote(tmp_path: Path) -> None:
    """A page of a request looks again by itself until that is completed."""
    async with farm(tmp_path) as live:
        await ask(live, "POST", f"{P}/b1/rev/%3Cscript%3Ealert(1)", headers={"X-Remote-User": "<b>"})
        await completed(live, 1)
        for path in (
            "",
            "/b1",
            "/jobs",
            "/jobs/1",
            "/b1/request/3",
            "/branch2/build/2",
            "/b1/rev/123456789/is_done",
        ):
            reply = await live.call("GET", P + path)
            text = reply.body.decode()
            assert reply.status == 200
            assert "<script" not in text
            assert "<b>" not in text
            assert "<pre" not in text
            assert "default-src 'none'" in reply.headers["content-security-policy"]
            assert 'http-equiv="refresh"' not in text
        assert "&lt;script&gt;" in (await live.call("GET", f"{P}/jobs/1")).body.decode()


def test_a_page_looks_again_while_there_is_something_to_wait_for() -> None:
    """Without a script."""
    waiting = pages.page("/builds", "Request 1", Markup(""), refresh=True)
    assert '<meta http-equiv="refresh" content="30">' in waiting
    assert "refresh" not in pages.page("/builds", "Request 1", Markup(""))


async def test_numbers_are_kept_over_a_restart(tmp_path: Path) -> None:
    """So are requests, and the next of both go on from there."""
    async with empty(tmp_path) as live:
        await hand_in(live, tmp_path, 1)
        await ask(live, "PUT", f"{P}/b1/request/1", {"priority": 2})
        await completed(live, 1)
    async with empty(tmp_path) as live:
        assert (await see(live, f"{P}/b1/request/1"))["priority"] == 2
        await hand_in(live, tmp_path, 2)
        assert (await see(live, f"{P}/branch2/request/2"))["request_id"] == 2
        reply = await ask(live, "DELETE", f"{P}/b1/request/1?format=json")
        assert body_of(reply)["request_id"] == 2


async def test_basic_authentication_names_a_user_too(tmp_path: Path) -> None:
    """As does the operator, for all."""
    async with farm(tmp_path) as live:
        headers = {"Authorization": "Basic YW5uOnNlY3JldA=="}
        await ask(live, "DELETE", f"{P}/b1/request/3", headers=headers)
        assert (await completed(live, 1))["who"] == "ann"
    async with empty(tmp_path, auth_override="everybody") as live:
        await ask(live, "POST", f"{P}/b1/rev/1", headers={})
        assert (await completed(live, 2))["who"] == "everybody"


async def test_a_broker_that_is_away_is_told_at_once_and_nothing_is_done_later(tmp_path: Path) -> None:
    """503: it was logged, and ended; so asking again later does it once."""
    async with empty(tmp_path, amqp="amqp://127.0.0.1:9/") as live:
        reply = await ask(live, "POST", f"{P}/b1/rev/1?format=json")
        assert (reply.status, body_of(reply)) == (
            503,
            {"status": "FAILED", "msg": "Couldn't send message to broker"},
        )
        job = await see(live, f"{P}/jobs/1")
        assert job["complete_data"]["body"] == {"errors": True, "msg": "Couldn't send message to broker"}
        assert await see(live, f"{P}/b1") == []
    async with empty(tmp_path) as live:  # without a broker, requests are carried out right here
        await ask(live, "POST", f"{P}/b1/rev/2")
        await completed(live, 2)
        assert {each["revision"] for each in await see(live, f"{P}/b1")} == {"2"}


async def test_recorded_exchanges_are_answered_as_ever(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Rewrite the answers with --update-golden, and read the diff: somebody's scripts expect them."""
    recorded = await trio.Path(EXCHANGES).read_text()
    async with farm(tmp_path) as live:

        async def wait(number: str) -> None:
            await completed(live, int(number))

        said = await replay(live, recorded, wait)
    if request.config.getoption("--update-golden"):
        await trio.Path(EXCHANGES).write_text(said)
    else:
        assert said == recorded
