"""`terzetto doctor`: each fault has its line, its mark and its remedy."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from clients.cli import examining
from clients.cli.examining import Finding
from clients.cli.wording import Farm
from tests.clients.cli.command import terzetto
from tests.clients.coordinators import ScriptedCoordinator
from tests.clients.peers import Peer, serving

WORKER = {"id": "http://w:1", "state": "alive", "slots": 2, "slots_free": 1, "leases": []}


def healthy(date: str, *workers: object) -> ScriptedCoordinator:
    """Its clock says `date`, or goes right where that is empty."""
    coordinator = ScriptedCoordinator()

    async def is_alive(peer: Peer) -> None:
        told = date or format_datetime(datetime.now(UTC), usegmt=True)
        await peer.answer(b'{"status": "ok"}', headers=(("date", told),))

    coordinator.instead["GET /healthz"] = [is_alive]
    coordinator.blobs["/readyz"] = b"{}"
    coordinator.blobs["/api/workers"] = json.dumps({"workers": workers}).encode()
    return coordinator


async def test_all_is_well(tmp_path: Path) -> None:
    """One line per finding, all marked ✓, exit code 0; the data directory need not exist yet."""
    coordinator = healthy("", WORKER)
    async with serving(coordinator) as url:
        done = await terzetto("doctor", "--data", tmp_path / "new/data", url=url)
    assert done.code == 0, done.out
    lines = done.out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "✓ python",
        "✓ sqlite",
        "✓ data directory",
        "✓ free space",
        "✓ fsync",
        "✓ coordinator",
        "✓ clock",
        "✓ workers",
    ]
    assert lines[-1] == "✓ workers: 1 worker, 0 of 2 slots busy"
    assert not (tmp_path / "new").exists()


async def test_what_is_wrong_is_marked(tmp_path: Path) -> None:
    """A directory that is none, a clock that is off, nobody to work: each has its fix, exit code 3."""
    (tmp_path / "file").write_text("")
    coordinator = healthy("Sat, 22 Nov 2025 00:00:00 GMT")
    async with serving(coordinator) as url:
        done = await terzetto("doctor", "--data", tmp_path / "file", "--json", url=url)
    wrong = {finding["name"]: finding["fix"] for finding in done.json["findings"] if not finding["ok"]}
    assert done.code == 3
    assert wrong == {
        "data directory": "correct its owner and permissions, or choose another with --data",
        "clock": "synchronise both machines' clocks",
        "workers": "start one with `terzetto worker`",
    }


async def test_nobody_there(tmp_path: Path) -> None:
    """What can be examined without a coordinator is examined."""
    done = await terzetto("doctor", "--data", tmp_path, "--coordinator", "http://127.0.0.1:1")
    assert done.code == 3
    assert "✓ fsync: " in done.out
    assert done.out.splitlines()[-1].startswith("✗ coordinator: http://127.0.0.1:1 takes no connection")
    assert done.out.endswith("; fix: start one with `terzetto up`, or name one with --coordinator\n")


async def test_something_else_answers(tmp_path: Path) -> None:
    """A web server that is no coordinator is found out."""
    async with serving(ScriptedCoordinator()) as url:
        done = await terzetto("doctor", "--data", tmp_path, url=url)
    assert (done.code, "what answers there is no coordinator" in done.out.splitlines()[-1]) == (3, True)


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (examining.python((3, 10, 9)), "✗ python: 3.10.9; fix: install Python 3.11 or later"),
        (
            examining.sqlite_version("3.51.2"),
            "✗ sqlite: 3.51.2; fix: upgrade apsw to one with SQLite 3.51.3",
        ),
        (examining.sqlite_version("3.52.0"), "✓ sqlite: 3.52.0"),
        (
            examining.skew("yesterday", 0.0),
            "✗ clock: the coordinator says 'yesterday'; fix: look what answers there",
        ),
        (examining.skew("", 0.0), "✓ clock: the coordinator does not tell its time"),
        (
            examining.skew("Thu, 01 Jan 1970 00:01:00 GMT", 50.0),
            "✗ clock: the coordinator's is 10 s ahead; fix: synchronise both machines' clocks",
        ),
        (examining.farm(Farm(workers=2, slots=1, busy=1)), "✓ workers: 2 workers, 1 of 1 slot busy"),
    ],
)
def test_findings(finding: Finding, text: str) -> None:
    """Old versions and odd clocks, each in its own words."""
    assert examining.told(finding) == text


def test_a_disk_that_is_slow(tmp_path: Path) -> None:
    """A tenth of a second per fsync is no place for a log."""
    ticks = iter(range(1000))
    findings = list(examining.disk(tmp_path, clock=lambda: next(ticks) * 0.2))
    assert examining.told(findings[-1]) == ("✗ fsync: 200.0 ms; fix: put the data directory on a local disk")
