"""A coordinator's own log, asked for over the network."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from events.codec import encode
from tests.clients.cli.command import terzetto
from tests.clients.cli.log.logs import FAIL, history
from tests.clients.peers import Peer, serving
from tests.coordinator.go import hex_id
from tests.coordinator.live import running

OLDER = "an older coordinator does not tell its chain hashes: only its file shows alterations\n"
LINES = [encode(record) for record in history(FAIL)]


class Streaming:
    """Answers as an older coordinator whose log holds `head` records and whose stream is `lines`."""

    def __init__(self, lines: list[bytes], head: int) -> None:
        self.lines = lines
        self.head = head

    async def __call__(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if request[0].startswith("GET /api/workers"):
                await peer.answer(json.dumps({"position": self.head, "workers": []}).encode())
                continue
            if request[0] == "GET /api/log":
                await peer.answer(status=404)
                continue
            assert request[0] == "GET /api/events?after=0"
            await peer.start()
            await peer.say(b"".join(line + b"\n" for line in self.lines))
            await peer.end()


def objects(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


async def test_a_coordinator_is_asked_as_its_file_is(tmp_path: Path) -> None:
    """An export over the network is the very one of the file, hashes and all."""
    async with running(tmp_path, worker_silence_seconds=3600.0) as live:  # nothing comes between the two
        await live.heartbeat()
        await live.heartbeat("", WorkerID="http://w2:1", AddedArtifacts=[hex_id("a")])
        at = ("--log", tmp_path / "log.sqlite3")
        asked = await terzetto("log", "export", url=live.url)
        read = await terzetto("log", "export", *at)
        assert (asked.code, asked.err) == (0, "")
        assert asked.out == read.out
        assert len(asked.out.splitlines()) == await live.position()
        for verb in (["show"], ["story", "worker/w2:1"], ["state"], ["what-ran"]):
            assert await terzetto("log", *verb, url=live.url) == await terzetto("log", *verb, *at)


async def test_what_was_altered_there_is_found(tmp_path: Path) -> None:
    """Its hashes come with the records, so that one need not go where it runs."""
    async with running(tmp_path) as live:
        await live.heartbeat()
        whole = await terzetto("log", "verify", url=live.url)
        assert whole == await terzetto("log", "verify", "--data", tmp_path)
        with closing(sqlite3.connect(tmp_path / "log.sqlite3")) as connection:
            connection.execute(
                "UPDATE records SET at = at + 1, text = replace(text, '\"epoch\":1', '\"epoch\":2')"
            )
            connection.commit()
        done = await terzetto("log", "verify", url=live.url)
    assert (whole.code, done.code, done.out) == (0, 65, "")
    assert "record 1 was altered" in done.err


async def test_what_a_coordinator_cannot_show_is_said() -> None:
    """An older one's stream has no hashes, so those that are checked were made here."""
    async with serving(Streaming(LINES, len(LINES))) as url:
        done = await terzetto("log", "verify", url=url)
    assert (done.code, done.err) == (0, OLDER)


async def test_marks_of_progress_are_no_records() -> None:
    """And what comes after the head is left for the next time."""
    lines = [*LINES[:5], b'{"type":"Progress","position":5}', *LINES[5:]]
    async with serving(Streaming(lines, 20)) as url:
        done = await terzetto("log", "show", "--json", url=url)
    assert (done.code, done.err) == (0, OLDER)
    assert [each["position"] for each in objects(done.out)] == list(range(1, 21))


async def test_an_empty_log_is_not_waited_for() -> None:
    async with serving(Streaming([], 0)) as url:
        done = await terzetto("log", "export", url=url)
    assert done == (0, "", OLDER)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (LINES[:3], "the stream of records broke off"),
        ([*LINES[:3], *LINES[4:]], "record 4 is missing: 5 stands in its place"),
        ([*LINES[:3], b"what?"], "the coordinator's answer makes no sense"),
        ([*LINES[:3], LINES[3].replace(b":", b": ", 1)], "record 4 is not in the form"),
    ],
    ids=["end", "gap", "garbage", "form"],
)
async def test_what_makes_no_sense(lines: list[bytes], complaint: str) -> None:
    """Ends with 7, and nothing on stdout passes for the log."""
    async with serving(Streaming(lines, 10)) as url:
        done = await terzetto("log", "export", url=url)
    assert (done.code, done.out) == (7, "")
    assert complaint in done.err


async def test_what_a_newer_coordinator_says() -> None:
    """Upgrade, says the message."""
    later = LINES[3].replace(b'"type":"', b'"type":"Later')
    async with serving(Streaming([*LINES[:3], later], 10)) as url:
        done = await terzetto("log", "export", url=url)
    assert (done.code, done.out) == (65, "")
    assert "upgrade" in done.err
