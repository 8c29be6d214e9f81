"""Following a build: no gap, no repeat, and an end that is never made up."""

import json
import random
from collections.abc import AsyncIterator, Callable

import pytest
import trio
from trio.testing import MockClock

from clients.live import Follow, Line, Link, LinkState, OutcomeUnknown, follow
from clients.wire import Client, Refused
from events.ids import BuildId, Position
from events.log import LogFromTheFuture
from tests.clients.peers import Network, Peer, Talk, serving

Clients = Callable[[Talk], Client]

BUILD = BuildId("ab" * 20)


def record(position: int, kind: str = "JobQueued", **fields: object) -> bytes:
    return (
        json.dumps(
            {"position": position, "at": position + 0.5, "type": kind, "build": BUILD, **fields}
        ).encode()
        + b"\n"
    )


def chance() -> random.Random:
    return random.Random(1)


class Script:
    """Gives each request for events the next of its answers; notes what was asked for, and when."""

    def __init__(self, *answers: Callable[[Peer], object]) -> None:
        self.asked: list[str] = []
        self.times: list[float] = []
        self._answers = list(answers)

    async def __call__(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            self.asked.append(request[0].rpartition("/")[2])
            self.times.append(trio.current_time())
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if await answer(peer) is False:  # type: ignore[misc]
                return


def sends(*lines: bytes, ends: bool = False) -> Talk:
    """Sends lines, then ends the answer, or breaks the connection."""

    async def talk(peer: Peer) -> None:
        await peer.start()
        for line in lines:
            await peer.say(line)
        if ends:
            await peer.end()
        else:
            await peer.stream.aclose()

    return talk


def of_format(written_in: str) -> Talk:
    async def talk(peer: Peer) -> None:
        await peer.start(headers=(("terzetto-format", written_in), ("transfer-encoding", "chunked")))

    return talk


def refuses(status: int, body: bytes = b"") -> Talk:
    async def talk(peer: Peer) -> None:
        await peer.answer(body, status=status)

    return talk


async def hangs_up(peer: Peer) -> None:
    await peer.stream.aclose()


async def positions(records: Follow) -> list[int]:
    return [line.position async for line in records]


@pytest.fixture
async def network() -> AsyncIterator[Clients]:
    """Makes clients of scripted servers in memory; the tests' clock is virtual."""
    async with trio.open_nursery() as nursery:
        yield lambda talk: Client("http://h/p", open_stream=Network(nursery, talk).open_stream)
        nursery.cancel_scope.cancel()


async def test_records_until_the_end(autojump_clock: MockClock, network: Clients) -> None:
    """The records after the position, flat ones with their fields apart; then None, for ever."""
    script = Script(sends(record(6, job="j"), record(8, "BuildFailed", error="x"), ends=True))
    async with follow(network(script), BUILD, after=Position(5), chance=chance()) as records:
        first = await records.read()
        assert first == Line(
            position=Position(6), at=6.5, type="JobQueued", fields={"build": BUILD, "job": "j"}
        )
        last = await records.read()
        assert last is not None
        assert last.is_terminal
        assert await records.read() is None
        assert await records.read() is None
    assert script.asked == ["events?after=5"]


@pytest.mark.parametrize("kind", ["BuildSucceeded", "BuildFailed", "BuildCancelled"])
async def test_each_terminal_record_ends_it(autojump_clock: MockClock, network: Clients, kind: str) -> None:
    """After it nothing is read, though the server keeps the stream open."""

    async def keeps_open(peer: Peer) -> None:
        await peer.start()
        await peer.say(record(1, kind))
        await trio.sleep_forever()  # until the test's nursery is cancelled

    async with follow(network(Script(keeps_open)), BUILD, chance=chance()) as records:
        assert await positions(records) == [1]


async def test_a_broken_stream_is_resumed(autojump_clock: MockClock, network: Clients) -> None:
    """However it breaks, it goes on after the last record: no gap, and repeats are dropped."""
    news: list[LinkState] = []
    script = Script(
        sends(record(1), record(2)),
        sends(record(2), record(3), b'{"position":4,"at":1,"ty'),
        sends(b'{"position":4,"at":1,"ty', ends=True),
        sends(ends=True),
        hangs_up,
        refuses(503, b"starting"),
        sends(record(4), record(5, "BuildSucceeded"), ends=True),
    )
    client = network(script)
    async with follow(client, BUILD, chance=chance(), tell=lambda link: news.append(link.state)) as records:
        assert await positions(records) == [1, 2, 3, 4, 5]
    assert [asked.rpartition("=")[2] for asked in script.asked] == ["0", "2", "3", "3", "3", "3", "3"]
    lost, back = LinkState.LOST, LinkState.RECONNECTED
    # The connection that hung up had been kept: it was stale, and its request was just sent again.
    assert news == [LinkState.CONNECTED, lost, *[back, lost] * 3, lost, back]


async def test_delays_double_and_vary(autojump_clock: MockClock, network: Clients) -> None:
    """Attempts grow rarer, up to ten seconds apart, and chance keeps peers from moving as one."""
    script = Script(hangs_up)
    with pytest.raises(OutcomeUnknown):
        async with follow(network(script), BUILD, chance=chance()) as records:
            await records.read()
    delays = [later - sooner for sooner, later in zip(script.times, script.times[1:], strict=False)]
    for number, delay in enumerate(delays):
        longest = min(10.0, 0.25 * 2**number)
        assert longest / 2 - 1e-6 <= delay <= longest + 1e-6
    assert len(set(delays[6:])) == len(delays[6:])


async def test_giving_up(autojump_clock: MockClock, network: Clients) -> None:
    """After so long without a sign of life the outcome is unknown; a sign of life starts it anew."""
    script = Script(sends(record(1)), *[hangs_up] * 3, sends(b'{"type":"Progress","position":1}\n'), hangs_up)
    links: list[Link] = []
    async with follow(
        network(script), BUILD, chance=chance(), give_up_seconds=60, tell=links.append
    ) as records:
        assert (await records.read()) is not None
        with pytest.raises(OutcomeUnknown, match="lost the stream"):
            await records.read()
        alive = script.times[4]
        assert alive + 45 < trio.current_time() <= alive + 60
    assert [link.state for link in links].count(LinkState.RECONNECTED) == 1
    assert links[-1].state is LinkState.LOST
    assert links[-1].error
    assert links[-1].retry_seconds > 0


async def test_progress_keeps_the_connection_alive(autojump_clock: MockClock, network: Clients) -> None:
    """Idle streams live on Progress, which is not shown; its position is where a resume begins."""

    async def idle(peer: Peer) -> None:
        await peer.start()
        for position in range(10, 20):
            await peer.say(b'{"type":"Progress","position":%d}\n' % position)
            await trio.sleep(40)
        await trio.sleep_forever()  # until the client closes: silence

    script = Script(idle, sends(record(30, "BuildSucceeded")))
    links: list[Link] = []
    async with follow(network(script), BUILD, chance=chance(), tell=links.append) as records:
        assert await positions(records) == [30]
    assert script.asked == ["events?after=0", "events?after=19"]
    assert script.times[1] == pytest.approx(9 * 40 + 45, abs=1)
    assert [link.error for link in links if link.error] == ["no sign of life for 45 s"]


async def test_a_cancelled_read_loses_nothing(autojump_clock: MockClock, network: Clients) -> None:
    """Whoever polls with a deadline sees every record, over one connection."""

    async def slow(peer: Peer) -> None:
        await peer.start()
        for position in (1, 2, 3):
            await trio.sleep(10)
            half = record(position)
            await peer.say(half[:20])
            await trio.sleep(1)
            await peer.say(half[20:])
        await peer.say(record(4, "BuildSucceeded"))
        await peer.end()

    script = Script(slow)
    seen: list[int] = []
    async with follow(network(script), BUILD, chance=chance()) as records:
        while not seen or seen[-1] < 4:
            with trio.move_on_after(0.7):
                line = await records.read()
                assert line is not None
                seen.append(line.position)
    assert seen == [1, 2, 3, 4]
    assert len(script.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 410])
async def test_a_refusal_is_final(autojump_clock: MockClock, network: Clients, status: int) -> None:
    """What asking again cannot mend is raised, with the server's words."""
    script = Script(refuses(status, b'{"kind":"Error","reason":"no"}'))
    with pytest.raises(Refused) as refusal:
        async with follow(network(script), BUILD, chance=chance()) as records:
            await records.read()
    assert (refusal.value.status, refusal.value.text) == (status, '{"kind":"Error","reason":"no"}')
    assert len(script.asked) == 1


@pytest.mark.parametrize("written_in", ["2", "99", "x"])
async def test_records_of_a_newer_version(
    autojump_clock: MockClock, network: Clients, written_in: str
) -> None:
    """They might mean something else by now; upgrade, it says."""
    script = Script(of_format(written_in))
    with pytest.raises(LogFromTheFuture, match=f"format {written_in}, .* upgrade"):
        async with follow(network(script), BUILD, chance=chance()) as records:
            await records.read()
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "line", [b"[]\n", b"nonsense\n", b'{"position":"1","type":"A"}\n', b'{"type":"A"}\n']
)
async def test_lines_that_are_no_records(autojump_clock: MockClock, network: Clients, line: bytes) -> None:
    """They count as a broken stream: asked for again, and in the end given up."""
    with pytest.raises(OutcomeUnknown):
        async with follow(network(Script(sends(line, ends=True))), BUILD, chance=chance()) as records:
            await records.read()


async def test_over_real_sockets() -> None:
    """Two connections that are reset, then the end."""
    script = Script(sends(record(1)), sends(record(2)), sends(record(3, "BuildSucceeded"), ends=True))
    async with (
        serving(script) as url,
        Client(url) as client,
        follow(client, BUILD, chance=chance()) as records,
    ):
        assert await positions(records) == [1, 2, 3]
    assert script.asked == ["events?after=0", "events?after=1", "events?after=2"]
