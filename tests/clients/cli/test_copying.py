"""`terzetto output`: the bytes as they were, harmless at a terminal, whole after an outage."""

import json

import pytest

from tests.clients.cli.command import terzetto
from tests.clients.cli.terminal import terminal
from tests.clients.coordinators import BUILD, Answer, ScriptedCoordinator
from tests.clients.peers import Peer, serving

COMPILE, LINK = "c1" * 20, "12" * 20
PATH = f"/api/builds/{BUILD}/jobs/{COMPILE}/output"


def coordinator(*names: str, state: str = "succeeded", attempt: int = 1) -> ScriptedCoordinator:
    scripted = ScriptedCoordinator()
    jobs = [
        {"id": COMPILE, "name": "compile/foo.o", "state": state, "attempt": attempt},
        {"id": LINK, "name": "link", "state": "blocked"},
        *({"id": f"{n:040x}", "name": name, "state": "running"} for n, name in enumerate(names)),
    ]
    answer = {"position": 3, "build": {"id": BUILD, "state": "running"}, "jobs": jobs}
    scripted.blobs[f"/api/builds/{BUILD}"] = json.dumps(answer).encode()
    return scripted


@pytest.mark.parametrize("job", ["compile/foo.o", COMPILE, "c1c1", "comp"])
async def test_a_job_by_name_or_id(job: str) -> None:
    """Each stream goes where the job sent it, byte for byte."""
    scripted = coordinator()
    scripted.instead[f"GET {PATH}"] = [says(b"out\x1b[2J\xff"), says(b"err")]
    async with serving(scripted) as url:
        done = await terzetto("output", BUILD, job, "--json", url=url)
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [(line["stream"], line["offset"], line["bytes"], line["text"]) for line in lines] == [
        ("stdout", 0, 8, "out\x1b[2J�"),
        ("stderr", 0, 3, "err"),
    ]
    assert scripted.queries[1:] == [{"stream": "stdout", "from": "0"}, {"stream": "stderr", "from": "0"}]


async def test_one_stream_is_the_result() -> None:
    """Asked for alone, stderr goes to stdout."""
    scripted = coordinator()
    scripted.instead[f"GET {PATH}"] = [says(b"err\n")]
    async with serving(scripted) as url:
        assert await terzetto("output", BUILD, "c1", "--stream", "stderr", url=url) == (0, "err\n", "")


@pytest.mark.parametrize(("job", "code"), [("l", 2), ("zz", 2), ("link", 0), ("li", 2)])
async def test_a_job_must_be_one(job: str, code: int) -> None:
    """A whole name counts before the beginning of others."""
    scripted = coordinator("linker", "lint")
    scripted.blobs[f"/api/builds/{BUILD}/jobs/{LINK}/output"] = b""
    async with serving(scripted) as url:
        done = await terzetto("output", BUILD, job, url=url)
    assert done.code == code, done.err


async def test_an_outage_leaves_no_gap() -> None:
    """The next connection goes on at the byte where the last one broke off."""
    scripted = coordinator()

    async def breaks_off(peer: Peer) -> None:
        await peer.start()
        await peer.say("one é ".encode()[:-2])  # within a character
        await peer.stream.aclose()

    scripted.instead[f"GET {PATH}"] = [breaks_off, says("é two\n".encode()[1:])]
    async with serving(scripted) as url:
        done = await terzetto("output", BUILD, "c1", "--stream", "stdout", "--follow", url=url)
    assert done == (0, "one é two\n", "")
    assert [query for query in scripted.queries if query] == [
        {"stream": "stdout", "from": "0", "follow": "1"},
        {"stream": "stdout", "from": "5", "follow": "1"},
    ]


async def test_the_end_of_a_stream_is_not_the_end_of_the_job() -> None:
    """A coordinator that stops ends its streams; as long as the job has not ended it is asked again."""
    scripted = coordinator(state="running")

    async def ends_the_job(peer: Peer) -> None:
        scripted.blobs.update(coordinator().blobs)
        await peer.answer(b"two")

    scripted.instead[f"GET {PATH}"] = [says(b"one "), ends_the_job]
    async with serving(scripted) as url:
        done = await terzetto("output", BUILD, "c1", "--stream", "stdout", "--follow", url=url)
    assert done == (0, "one two", "")


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_lost_attempt_is_followed_by_the_next(as_json: bool) -> None:
    """The next attempt's output is told from its first byte, and that it is another's."""
    scripted = coordinator(state="running")

    async def is_lost(peer: Peer) -> None:
        scripted.blobs.update(coordinator(attempt=2).blobs)
        await peer.answer(b"one\n")

    scripted.instead[f"GET {PATH}"] = [is_lost, says(b"two\n")]
    more = ["--json"] if as_json else []
    async with serving(scripted) as url:
        done = await terzetto("output", BUILD, "c1", "--stream", "stdout", "--follow", *more, url=url)
    assert [query["from"] for query in scripted.queries if query] == ["0", "0"]
    if as_json:
        lines = [json.loads(line) for line in done.out.splitlines()]
        assert [(line["attempt"], line["offset"], line["text"]) for line in lines] == [
            (1, 0, "one\n"),
            (2, 0, "two\n"),
        ]
    else:
        assert done == (0, "one\ntwo\n", "stdout of attempt 2; the one before was lost\n")


async def test_at_a_terminal_it_is_harmless() -> None:
    """Colours pass; what would clear the screen or set the title does not."""
    scripted = coordinator()
    scripted.instead[f"GET {PATH}"] = [says(b""), says(b"\x1b]0;title\x07\x1b[31mred\x1b[2J\x1b[0m\r\n")]
    async with (
        serving(scripted) as url,
        terminal(["output", BUILD, "c1", "--coordinator", url]) as session,
    ):
        assert await session.wait() == 0
        await session.until("red")
        assert session.raw == b"\x1b[31mred\x1b[0m\r\n\x1b[0m"


def says(data: bytes) -> Answer:
    async def answer(peer: Peer) -> None:
        await peer.answer(data)

    return answer
