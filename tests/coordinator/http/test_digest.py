"""What a viewer makes of a build's records is what the coordinator shows, at every position."""

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from coordinator.http.digest import BUILD, JOB, digest
from coordinator.http.views import build
from events.catalog import EVENTS, Record
from events.codec import encode
from events.commands import FinishUpload, Result, Tick
from events.fold import fold
from events.log import subjects
from events.state import State
from events.transitions import as_json
from tests.coordinator.go import Ran, Worker, graph, started, working
from tests.coordinator.go import build as run_build
from tests.coordinator.go import job as go_job
from tests.coordinator.http.test_readme import README
from tests.coordinator.live import running
from tests.events.story import BUILD as FIRST
from tests.events.story import LEASE, OTHER, A, B, Story, X, beat, job, lease_id, start
from tests.events.test_golden import LOGS, records

ROWS = re.findall(r"^\| `(\w+)` \| (.*) \|$", README.read_text(), re.MULTILINE)
SETS = {name: re.findall(r"`(\w+)=(.+?)`", cell) for name, cell in ROWS if name in EVENTS}


class Viewer:
    """Knows the README's table and those of the transitions, and nothing else."""

    def __init__(self) -> None:
        self._tables = as_json()
        self.things: dict[tuple[str, str], dict[str, Any]] = {}

    def take(self, line: bytes) -> None:
        record = json.loads(line)
        table = self._tables["job" if "job" in record else "build"]
        thing = self.things.setdefault((record["build"], record.get("job", "")), {})
        if thing:
            thing["state"] = table[thing["state"]].get(record["type"], thing["state"])
        for field, value in SETS.get(record["type"], ()):
            thing[field] = self._value(record, value)

    def shown(self, position: int, build_id: str) -> dict[str, Any]:
        jobs = [thing for (build, job), thing in self.things.items() if build == build_id and job]
        return {"position": position, "build": self.things[build_id, ""], "jobs": jobs}

    def digest(self, position: int, build_id: str) -> dict[str, Any]:
        shown = self.shown(position, build_id)
        return {"position": position, "digest": digest(shown["build"], shown["jobs"])}

    def _value(self, record: dict[str, Any], value: str) -> Any:
        if value.isidentifier() and value not in ("null", "true", "false"):
            return record.get(value, 0 if value.endswith("_bytes") else "")
        return json.loads(value)


def check(history: list[Record]) -> None:
    """After each record, every build that the state knows is what a viewer makes of it."""
    state, viewer = State(), Viewer()
    for record in history:
        fold(state, record)
        if subjects(record)[0] is not None:
            viewer.take(encode(record))
        for id_ in state.builds:
            shown = build(state, id_).value()
            seen = viewer.shown(state.position, id_)
            assert {field: shown["build"][field] for field in BUILD} == seen["build"], record
            assert [{field: each[field] for field in JOB} for each in shown["jobs"]] == seen["jobs"], record
            assert digest(shown["build"], shown["jobs"]) == digest(seen["build"], seen["jobs"])


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_the_records_tell_all_that_is_shown(path: Path) -> None:
    """By the tables alone; the golden logs hold every type of record and every transition."""
    check(records(path))


def test_every_record_that_sets_something_is_in_the_table() -> None:
    """Those of builds and jobs that move one or begin one."""
    tables = [as_json()[kind] for kind in ("build", "job")]
    moving = {name for table in tables for row in table.values() for name in row}
    assert SETS.keys() == moving | {"BuildStarted", "JobAdded"}


def test_what_another_build_does_is_not_shown() -> None:
    """A record tells what a reused lease printed; that the same work ran again elsewhere changes nothing."""
    story = Story()
    story.now = 5.0
    ran = Result(job=A, lease=LEASE, stdout_bytes=3, stderr_bytes=4)
    story.given(start(job(A)), FinishUpload(build=FIRST), beat(), beat(free=1, finished=(ran,)))
    story.given(start(job(A), job(B, A)), FinishUpload(build=OTHER))
    reused = build(story.state, OTHER).value()["jobs"][0]
    assert (reused["reused"], reused["stdout_bytes"], reused["stderr_bytes"]) == (True, 3, 4)
    story.given(Tick()).when(Tick(), at=500.0)
    again = Result(job=A, lease=lease_id(2), stdout_bytes=30, stderr_bytes=40)
    story.given(beat(X), beat(X, finished=(again,)))
    jobs = build(story.state, FIRST).value()["jobs"], build(story.state, OTHER).value()["jobs"]
    assert [(each[0]["lease"], each[0]["stdout_bytes"]) for each in jobs] == [(LEASE, 3), (lease_id(2), 30)]
    check(story.records)


def test_it_is_made_as_the_readme_says() -> None:
    """Byte by byte: whole seconds, names beyond ASCII, and what JSON has to escape."""
    about = {"id": "b1", "state": "failed", "ended_at": 9.0, "error": 'job "ü/\n" failed', "name": "x"}
    shown: dict[str, Any] = {
        **dict.fromkeys(JOB),
        "id": "j1",
        "state": "failed",
        "attempt": 2,
        "worker": "w\x1b\x7f\u2028😀",
        "queued_at": 1763770000.25,
        "started_at": 1763770001.0,
        "exit_code": -1,
        "reused": False,
        "stdout_bytes": 1 << 50,
        "stderr_bytes": 0,
        "deps": [],
    }
    lines = (
        '["b1","failed",9,"job \\"ü/\\n\\" failed"]\n'
        '["j1","failed",2,"w\\u001b\x7f\u2028😀",null,1763770000.25,1763770001,null,-1,null,null,false,'
        "1125899906842624,0]\n"
    )
    assert digest(about, [shown]) == sha256(lines.encode()).hexdigest()


async def test_it_is_there_for_every_position(tmp_path: Path) -> None:
    """The one that a viewer has come to, while the build goes on and for ever."""

    async def run(_spec: dict[str, Any]) -> Ran:
        return Ran(b"four", b"12")

    async with running(tmp_path) as live:
        async with working(Worker(live, run=run)):
            await run_build(live, graph(go_job("a")))
            await run_build(live, graph(go_job("a"), go_job("b", "a")))
        about = (await live.get("/api/builds"))["builds"][0]
        target, viewer = f"/api/builds/{about['id']}", Viewer()
        for line in (await live.call("GET", f"{target}/events")).body.splitlines():
            viewer.take(line)
            position = json.loads(line)["position"]
            expected = viewer.digest(position, about["id"])
            assert await live.get(f"{target}/digest?at={position}") == expected
        assert (await live.get(f"{target}/digest"))["digest"] == expected["digest"]
        async with started(live, graph(go_job("c"))) as stream:
            now, shown = [await live.get(f"/api/builds/{stream.id}{more}") for more in ("/digest", "")]
            assert now == {"position": shown["position"], "digest": digest(shown["build"], shown["jobs"])}
        assert (await live.call("GET", f"{target}/digest?at={position + 1000}")).status == 400
        assert (await live.call("GET", f"/api/builds/{'0' * 40}/digest")).status == 404
