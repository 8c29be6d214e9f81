"""Viewers who are told together: one reading and one piece for all; who cannot keep up goes on alone."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
import trio
from attrs import Factory, define
from trio.testing import MockClock

from coordinator.builds import start
from coordinator.core import Coordinator
from coordinator.follow import Follower
from coordinator.http.audience import OFFERED_BYTES_MAX, Audiences, Topic
from coordinator.http.forms import LINES, Carrier
from coordinator.http.watchers import Watcher
from coordinator.journal import Journal
from events.commands import CancelBuild, NewJob, StartBuild
from events.ids import BuildId, Position
from tests.coordinator.memory import Disk, beat, job, job_id, running

PROGRESS_SECONDS = 15.0


@define(eq=False)
class Socket:
    """A peer's socket: what it took, and whether it takes more."""

    heard: list[int]
    heard_at: float = 0.0
    is_full: bool = False
    taken: list[bytes] = Factory(list)
    flushed: int = 0

    def write_now(self, framed: bytes) -> bool:
        if self.is_full:
            return False
        self.taken.append(framed)
        self.heard += positions(framed.split(b"\r\n")[1])
        return True

    async def flush(self) -> None:
        self.flushed += 1
        await trio.lowlevel.checkpoint()

    def drop(self) -> None:
        raise AssertionError("nobody is dropped here")


@define(eq=False)
class Screen:
    """A viewer's task: all that it heard, what of that by itself, and what by its socket, with the others."""

    watcher: Watcher
    socket: Socket
    after: int
    alone: list[int] = Factory(list)
    has_ended: bool = False

    async def watch(self, audiences: Audiences) -> None:
        async with aclosing(self.watcher.pieces(audiences, PROGRESS_SECONDS)) as pieces:
            async for piece in pieces:
                self.alone += positions(piece.body)
                self.socket.heard += positions(piece.body)
        self.has_ended = True

    @property
    def heard(self) -> list[int]:
        return [each for each in self.socket.heard if each > 0]

    @property
    def together(self) -> list[int]:
        return [each for framed in self.socket.taken for each in positions(framed.split(b"\r\n")[1])]


def positions(body: bytes) -> list[int]:
    """Of records as they are, of progress with a minus."""
    said = [json.loads(line) for line in body.splitlines()]
    return [-each["position"] if each["type"] == "Progress" else each["position"] for each in said]


def screen(journal: Journal, build: BuildId | None, after: int) -> Screen:
    follower, socket = Follower(journal, Position(after), build), Socket([])
    topic = Topic(build, frozenset(), None, LINES)
    watcher = Watcher(topic=topic, follower=follower, carrier=Carrier.CHUNKED, direct=socket)
    return Screen(watcher, socket, after)


@asynccontextmanager
async def hall() -> AsyncIterator[tuple[Coordinator, Audiences, trio.Nursery]]:
    async with running() as core, trio.open_nursery() as nursery:
        audiences = Audiences(Disk().run, PROGRESS_SECONDS)
        await nursery.start(audiences.tell_forever)
        yield core, audiences, nursery
        nursery.cancel_scope.cancel()


async def test_those_who_have_seen_all_are_told_together(autojump_clock: MockClock) -> None:
    """Whoever comes reads the past alone; then all get the very same bytes."""
    async with hall() as (core, audiences, nursery):
        id_ = await start(core, StartBuild(jobs=(job("a"),)))
        screens = [screen(core.journal, id_, after) for after in (0, 0, core.journal.durable)]
        for each in screens:
            nursery.start_soon(each.watch, audiences)
        await trio.sleep(1)
        past = list(screens[0].alone)
        assert [each.alone for each in screens] == [past, past, []]
        await core.submit(CancelBuild(build=id_, reason="x"))
        await trio.sleep(1)
        assert all(each.has_ended for each in screens)
        assert [each.alone for each in screens] == [past, past, []]
        assert len({id(framed) for each in screens for framed in each.socket.taken}) == 1
        assert screens[2].together == list(range(past[-1] + 1, core.journal.durable + 1))


async def test_one_that_is_full_goes_on_alone_and_comes_back(autojump_clock: MockClock) -> None:
    """It misses nothing and hears nothing twice, and the others do not notice."""
    async with hall() as (core, audiences, nursery):
        slow, quick = screen(core.journal, None, 0), screen(core.journal, None, 0)
        for each in (slow, quick):
            nursery.start_soon(each.watch, audiences)
        await trio.sleep(1)
        slow.socket.is_full = True
        await core.submit(beat())
        await trio.sleep(1)
        slow.socket.is_full = False
        await core.submit(beat(slots=3))
        await trio.sleep(1)
        assert slow.heard == quick.heard == list(range(1, core.journal.durable + 1))
        assert len(slow.alone) > len(quick.alone)
        assert quick.together[-1] == slow.together[-1] == core.journal.durable
        assert slow.socket.flushed == 1


async def test_a_sign_of_life(autojump_clock: MockClock) -> None:
    """For all at once; who does not take even that has to wait for it alone."""
    async with hall() as (core, audiences, nursery):
        head = core.journal.durable
        full, free = screen(core.journal, None, head), screen(core.journal, None, head)
        full.socket.is_full = True
        for each in (full, free):
            nursery.start_soon(each.watch, audiences)
        await trio.sleep(2.5 * PROGRESS_SECONDS)
        assert (free.alone, free.together) == ([], [-head, -head])
        assert (full.alone, full.together) == ([-head, -head], [])


async def test_much_at_once_is_not_offered(autojump_clock: MockClock) -> None:
    """Each waits for its own socket to take it."""
    async with hall() as (core, audiences, nursery):
        one = screen(core.journal, None, core.journal.durable)
        nursery.start_soon(one.watch, audiences)
        await trio.sleep(1)
        jobs = tuple(NewJob(id=job_id(f"{n:04}"), name="x" * 100) for n in range(OFFERED_BYTES_MAX // 150))
        await start(core, StartBuild(jobs=jobs))
        await trio.sleep(1)
        assert one.together == []
        assert one.alone[-1] == core.journal.durable
        await core.submit(beat())
        await trio.sleep(1)
        assert one.together[-1] == core.journal.durable


@pytest.mark.parametrize("seed", range(3))
async def test_viewers_come_and_go(autojump_clock: MockClock, seed: int) -> None:
    """At any moment, full or not: each that stays hears every record once, in order."""
    chance = random.Random(seed)
    screens = list[Screen]()

    async def come_and_go(core: Coordinator, audiences: Audiences) -> None:
        for _ in range(10):
            await trio.sleep(chance.random() * 0.1)
            one = screen(core.journal, None, chance.randrange(core.journal.durable + 1))
            screens.append(one)
            with trio.move_on_after(chance.random()):
                await one.watch(audiences)

    async def fill_and_empty() -> None:
        while True:
            await trio.sleep(0.01)
            for one in screens:
                one.socket.is_full = chance.random() < 0.3

    async with hall() as (core, audiences, nursery):
        whole = screen(core.journal, None, 0)
        nursery.start_soon(whole.watch, audiences)
        nursery.start_soon(fill_and_empty)
        async with trio.open_nursery() as people:
            for _ in range(5):
                people.start_soon(come_and_go, core, audiences)
            for number in range(200):
                await core.submit(beat(slots=1 + number % 2))
                await trio.sleep(chance.random() * 0.02)
        await trio.sleep(1)
        core.journal.stop_followers()
        await trio.sleep(1)
        assert whole.has_ended
        assert whole.heard == list(range(1, core.journal.durable + 1))
        for one in screens:
            assert one.heard == list(range(one.after + 1, one.after + 1 + len(one.heard)))
        assert sum(len(one.together) > 0 and len(one.alone) > 0 for one in screens) > 0
