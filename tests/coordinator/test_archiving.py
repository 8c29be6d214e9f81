"""A running coordinator archives what is old, and whoever asks it or its log sees one history."""

import json
from collections.abc import AsyncIterator, Container, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import Factory, define
from trio.testing import MockClock, wait_all_tasks_blocked

from coordinator import archiving, retention
from coordinator.archiving import archive, archive_forever
from coordinator.keeper import FileKeeper, Fresh, KeepingFailed, Sample
from events import segments
from events.fold import replay
from events.hindsight.audit import audit_file
from events.ids import BuildId, Position
from events.log import LogFull, read_all
from events.sqlite import SqliteLog, SqliteReader
from events.state import State
from events.transfer import dump, load
from tests.clients.cli.command import terzetto
from tests.coordinator.go import Worker, build, graph, job, outcome, working
from tests.coordinator.live import Live, running
from tests.coordinator.memory import EPOCH, beat
from tests.coordinator.memory import running as in_memory
from tests.events.test_segments import HEAD, HISTORY, LINES
from tests.golden.scenarios import BEGINNING

OLD = Fresh(bytes=1 << 30, seconds=0.05)
DAY = 86_400.0


# --- what is owed


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    with closing(SqliteLog(tmp_path / "log.sqlite3")) as log:
        log.append(HISTORY)
        yield log


async def test_what_is_old_is_archived_once_a_day(log: SqliteLog) -> None:
    """Up to a day ago, when the oldest is of the day before that; the last record stays in any case."""
    keeper, fresh = FileKeeper(log.path, log), Fresh(bytes=1 << 30, seconds=DAY)
    assert await keeper.archive(fresh, BEGINNING + 1.9 * DAY) == 0
    assert await keeper.archive(fresh, BEGINNING + 2.1 * DAY) == HEAD - 1


async def test_what_is_too_much_is_archived_in_whole_segments(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However young it is; what is left is as much as is to be fresh, and less than a segment more."""
    size = sum(len(record_line) for record_line in LINES)
    keeper = FileKeeper(log.path, log)
    assert keeper.surplus(Fresh(bytes=1, seconds=DAY), BEGINNING) == (0, "whole")
    monkeypatch.setattr(segments, "BYTES_MAX", 2000)
    upto, how = keeper.surplus(Fresh(bytes=3000, seconds=DAY), BEGINNING)
    assert (how, 0 < upto < HEAD - 1) == ("whole", True)
    assert keeper.surplus(Fresh(bytes=size, seconds=DAY), BEGINNING) == (0, "whole")


async def test_an_archive_that_is_there_is_gone_on_with(log: SqliteLog) -> None:
    """By the process that makes it, and by the log's writer, which lets go of what nobody knows."""
    keeper, known = FileKeeper(log.path, log), replay(HISTORY).builds
    assert await keeper.archive(OLD, BEGINNING + 100) == HEAD - 1
    assert keeper.archived() == 0
    steps = keeper.let_go(Position(HEAD - 1), known)
    assert next(steps)
    assert keeper.archived() == HEAD - 1
    assert len(list(steps)) == 2
    assert list(keeper.let_go(Position(HEAD - 1), known)) == []
    assert [dump(entry) for entry in read_all(log)] == LINES
    assert await keeper.archive(OLD, BEGINNING + 100) == HEAD - 1


async def test_any_moment_can_be_looked_at(log: SqliteLog) -> None:
    """The archive is part of the log."""
    keeper = FileKeeper(log.path, log)
    list(keeper.let_go(await keeper.archive(OLD, BEGINNING + 100), frozenset()))
    assert keeper.state_at(Position(30)) == replay(HISTORY[:30])


# --- when it is done


@define
class Notes:
    """A keeper whose log is a number, and which may fail."""

    upto: int = 0
    steps: int = 0
    failures: list[Exception] = Factory(list)
    kept: list[Container[BuildId]] = Factory(list)
    refusal: KeepingFailed | None = None

    def restore(self) -> State:
        return State()

    def last_snapshot(self) -> Position:
        return Position(0)

    async def take_snapshot(self, live: Sample | None) -> str:
        return ""

    def state_at(self, position: Position) -> State:
        return State()

    def archived(self) -> Position:
        return Position(self.upto)

    async def archive(self, fresh: Fresh, now: float) -> Position:
        if self.refusal is not None:
            raise self.refusal
        self.upto = int(now - EPOCH)
        return Position(self.upto)

    def let_go(self, upto: Position, kept: Container[BuildId]) -> Iterator[object]:
        self.kept.append(kept)
        for _ in range(self.steps):
            if self.failures:
                raise self.failures.pop()
            yield 1


async def test_it_is_looked_at_every_minute(autojump_clock: MockClock) -> None:
    """And the journal knows from where on the table is whole."""
    notes = Notes(steps=3)
    async with in_memory() as core, trio.open_nursery() as nursery:
        await nursery.start(archive_forever, core, notes, OLD)
        await trio.sleep(270)
        assert len(notes.kept) == 5
        assert core.journal.floor == notes.upto == 240
        nursery.cancel_scope.cancel()


async def test_a_failure_only_puts_it_off(autojump_clock: MockClock) -> None:
    """Be it the process that makes segments, or a full disk when the table lets go."""
    notes = Notes(steps=1, failures=[LogFull("no space")])

    async with in_memory() as core, trio.open_nursery() as nursery:
        await nursery.start(archive_forever, core, notes, OLD)
        await trio.sleep(30)
        assert core.journal.floor == 0
        await trio.sleep(60)
        assert core.journal.floor == 60
        notes.refusal = KeepingFailed("no memory")
        await trio.sleep(60)
        assert core.journal.floor == 60
        notes.refusal = None
        await trio.sleep(60)
        assert core.journal.floor == 180
        nursery.cancel_scope.cancel()


async def test_between_commits_nobody_waits_long(autojump_clock: MockClock) -> None:
    """Commits and steps take turns, however many steps there are."""
    done: list[str] = []
    async with in_memory() as core, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(core.journal.between_commits, partial(done.append, "step"))
        await wait_all_tasks_blocked()
        done.clear()
        for _ in range(20):
            nursery.start_soon(core.journal.between_commits, partial(done.append, "step"))
        await core.submit(beat())
        done.append("commit")
        await wait_all_tasks_blocked()
        assert done.index("commit") <= 3
        assert len(done) == 21


async def test_a_bug_in_a_step_ends_the_process(autojump_clock: MockClock) -> None:
    """As one in a commit does: the next process finds out by reading."""
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with in_memory() as core:
            await core.journal.between_commits(lambda: 1 // 0)


# --- all of it


@asynccontextmanager
async def old_farm(data: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> AsyncIterator[Live]:
    """A coordinator that has built something, and archived the most of its log."""
    monkeypatch.setattr(archiving, "LOOK_SECONDS", 0.05)
    async with running(data, fresh_days=0.05 / DAY, **options) as live:
        async with working(Worker(live)):
            for name in "ab":
                assert outcome(await build(live, graph(job(name)))) == ""
        head = await live.position()
        with trio.fail_after(60):
            while await floor(live) < head:
                await trio.sleep(0.05)
        yield live


async def floor(live: Live) -> int:
    """The first position that is not archived; 0 if all are here."""
    reply = await live.call("GET", "/api/builds/0?at=0")
    return int(json.loads(reply.body).get("first_position", 0))


async def test_history_that_is_archived_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """410 and where to begin; what is still here is given without a gap."""
    async with old_farm(tmp_path, monkeypatch) as live:
        for target in ("/api/events?after=0", "/api/builds/0?at=1"):
            reply = await live.call("GET", target)
            body = json.loads(reply.body)
            assert (reply.status, body["code"]) == (410, "TZ-1019")
            assert f"the first one here is {body['first_position']}" in body["reason"]
        first = await floor(live)
        async with live.client.request("GET", f"/api/events?after={first - 1}", timeout_seconds=9) as answer:
            assert answer.status == 200
            assert json.loads(await anext(answer.lines()))["position"] == first
        builds = (await live.get("/api/builds"))["builds"]
        at_the_floor = await live.get(f"/api/builds/{builds[0]['id']}?at={first}")
        assert at_the_floor["position"] == first
        for each in builds:
            reply = await live.call("GET", f"/api/builds/{each['id']}/events?after=0")
            types = [json.loads(line)["type"] for line in reply.body.splitlines()]
            assert (types[0], types[-1]) == ("BuildStarted", "BuildSucceeded")


async def test_tools_get_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the coordinator, and from its file, while it runs and afterwards: the same bytes."""
    async with old_farm(tmp_path, monkeypatch) as live:
        exported = (await live.call("GET", "/api/log")).body
        entries = list(load(exported.splitlines()))
        assert entries[0].record.position == 1
        assert (await live.call("GET", "/api/log?after=5")).body.splitlines() == exported.splitlines()[5:]
        assert (await live.call("GET", "/api/log?after=x")).status == 400
        done = await terzetto("log", "verify", url=live.url)
        assert (done.code, done.out.startswith("ok: ")) == (0, True)
        assert (await terzetto("log", "export", url=live.url)).out.encode().startswith(exported)
    with closing(SqliteReader(tmp_path / "log.sqlite3")) as reader:
        assert audit_file(reader).records >= len(entries)
        lines = [dump(entry) for entry in read_all(reader)]
    assert b"\n".join(lines).startswith(exported.rstrip())


async def test_a_start_takes_log_and_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows what it knew, and where its table begins."""
    async with old_farm(tmp_path, monkeypatch) as live:
        builds, first = (await live.get("/api/builds"))["builds"], await floor(live)
    async with running(tmp_path) as live:
        assert (await live.get("/api/builds"))["builds"] == builds
        assert await floor(live) >= first


async def test_a_forgotten_build_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the table knows of it; one that never was is not found. Its records stay in the log."""
    monkeypatch.setattr(retention, "REST_SECONDS", -1.0)
    monkeypatch.setattr(retention, "LOOK_SECONDS", 0.05)
    async with running(tmp_path, builds_kept=0) as live:
        async with working(Worker(live)):
            assert outcome(await build(live, graph(job("a")))) == ""
        with trio.fail_after(60):
            while (await live.get("/api/builds"))["builds"]:
                await trio.sleep(0.05)
        lines = (await live.call("GET", "/api/log")).body.splitlines()
        id_ = next(json.loads(line)["build"] for line in lines if b'"BuildStarted"' in line)
        for target in (f"/api/builds/{id_}", f"/api/builds/{id_}/events"):
            reply = await live.call("GET", target)
            assert (reply.status, json.loads(reply.body)["code"]) == (410, "TZ-1020")
        assert (await live.call("GET", f"/api/builds/{'e' * 40}")).status == 404
        story = await terzetto("log", "story", f"build/{id_}", url=live.url)
        assert "was forgotten; its records stay" in story.out


async def test_what_was_forgotten_leaves_the_table(tmp_path: Path) -> None:
    """With the next look; the archive has it."""
    with closing(SqliteLog(tmp_path / "log.sqlite3")) as log:
        log.append(HISTORY)
        keeper = FileKeeper(log.path, log)
        async with in_memory() as core:
            core.now = lambda: BEGINNING + 100
            await archive(core, keeper, OLD)
        table = [(entry.record.position) for entry in log.read(Position(0)) if entry.record.position]
        assert table == list(range(1, HEAD + 1))
        with closing(SqliteReader(log.path)) as reader:
            assert list(reader.rows(Position(0), Position(HEAD))) == [HEAD]
