"""`terzetto watch`: a build that somebody else started, from its first record on."""

import json
import signal
import subprocess
from functools import partial

import pytest
import trio

from clients.live import Line
from tests.clients.cli.command import ARGV, environ, kill, terzetto
from tests.clients.cli.stories import FAILED, SUCCEEDED
from tests.clients.coordinators import BUILD, ScriptedCoordinator
from tests.clients.peers import Peer, serving

PATH = f"GET /api/builds/{BUILD}/events"


def told(lines: list[Line]) -> ScriptedCoordinator:
    """A coordinator that tells these records at once."""
    coordinator = ScriptedCoordinator()

    async def tells(peer: Peer) -> None:
        await peer.start()
        for line in lines:
            await peer.say(json.dumps(flat(line)).encode() + b"\n")
        await peer.end()

    coordinator.instead[PATH] = [tells]
    return coordinator


def flat(line: Line) -> dict[str, object]:
    return {"position": line.position, "at": line.at, "type": line.type, **line.fields}


async def test_a_build_that_has_ended() -> None:
    """All that happened is told, then the summary; the exit code is the build's."""
    coordinator = told(FAILED)
    async with serving(coordinator) as url:
        done = await terzetto("watch", BUILD, url=url)
    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    assert lines[0] == f"[build] build bbbbbbbb (nightly) started: {url}/#/b/{BUILD}"
    assert "[compile] failed: exit status 3 after 9.0s on w2:1" in lines
    assert any(line.startswith("[build] the output of compile could not be fetched: 404") for line in lines)
    assert lines[-1] == f"[build]   {url}/#/b/{BUILD}"
    assert coordinator.queries[0] == {"after": "0"}


async def test_json_lines() -> None:
    """Each record is a line on stdout, with nothing left out."""
    async with serving(told(SUCCEEDED)) as url:
        done = await terzetto("watch", BUILD, "--json", url=url)
    assert (done.code, done.err) == (0, "")
    assert [json.loads(line) for line in done.out.splitlines()] == [
        {"schema_version": 1, **flat(line)} for line in SUCCEEDED
    ]


@pytest.mark.parametrize("arguments", [[], ["--json"]])
async def test_ctrl_c_only_stops_watching(arguments: list[str]) -> None:
    """Nothing is sent to the coordinator; the exit code is the signal's."""
    coordinator = ScriptedCoordinator()
    coordinator.records = [flat(line) for line in SUCCEEDED[:-1]]
    coordinator.may_run.set()
    async with serving(coordinator) as url, trio.open_nursery() as nursery:
        process = await nursery.start(
            partial(
                trio.run_process,
                [*ARGV, "watch", BUILD, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
                deliver_cancel=kill,
                env=environ(url),
            )
        )
        said = b""
        while b"JobReused" not in said and b"[link] reused" not in said:
            said += await (process.stdout if arguments else process.stderr).receive_some()
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    assert coordinator.requests == [PATH]
