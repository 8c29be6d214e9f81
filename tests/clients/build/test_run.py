"""A build from its client's side, against scripted coordinators on real sockets."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from clients.build import BuildRun, run_build
from clients.build.fetch import OutOccupied
from clients.build.observer import Observer, Patience
from clients.build.outcome import Verdict
from clients.build.sources import SourceUnusable
from clients.codec import Malformed
from clients.distbuild import Graph, Job
from clients.live import Line, Link, LinkState
from clients.wire import Client, Refused, Unreachable
from events.ids import BuildId, JobId
from tests.clients.coordinators import BUILD, Answer, ScriptedCoordinator, record, tar
from tests.clients.peers import Peer, serving

COMPILE, LINK, DOCS = "c1" * 20, "12" * 20, "d0" * 20
MAIN, BIG = "5a" * 20, "5b" * 20
GRAPH = Graph(
    source_files={MAIN: "src/main.c", BIG: "big.bin"},
    jobs=(
        Job(id=COMPILE, name="compile", inputs=("src/main.c",)),
        Job(id=LINK, name="bin/app", deps=(COMPILE,)),
        Job(id=DOCS, name="docs"),
    ),
)
ENDED_WELL = [
    record(5, "SourcesReady"),
    record(6, "JobSucceeded", job=COMPILE),
    record(7, "JobSucceeded", job=LINK),
    record(8, "JobReused", job=DOCS),
    record(9, "BuildSucceeded"),
]
IMPATIENT = Patience(start_seconds=2, upload_seconds=2, cancel_seconds=2, follow_seconds=2)


class Notes(Observer):
    """Remembers all that it hears; `when(kind)` is called at each record."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int, bool]] = []
        self.uploads: list[tuple[int, int]] = []
        self.lines: list[Line] = []
        self.links: list[LinkState] = []
        self.fetched: list[str] = []
        self.has_records = trio.Event()

    def on_started(self, build: BuildId, missing: int, *, is_native: bool) -> None:
        self.started.append((build, missing, is_native))

    def on_upload(self, done: int, total: int) -> None:
        self.uploads.append((done, total))

    def on_record(self, line: Line) -> None:
        self.lines.append(line)
        self.has_records.set()

    def on_link(self, link: Link) -> None:
        self.links.append(link.state)

    def on_fetched(self, job: JobId, path: Path) -> None:
        self.fetched.append(path.name)


def chance() -> random.Random:
    return random.Random(1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (root / "src/main.c").write_bytes(b"int main;")
    (root / "big.bin").write_bytes(b"x" * 3_000_000)
    return root


def refuses(status: int, text: bytes) -> Answer:
    async def answer(peer: Peer) -> None:
        await peer.answer(text, status=status)

    return answer


async def hangs_up(peer: Peer) -> None:
    await peer.stream.aclose()


def make_run(client: Client, root: Path, notes: Observer | None = None, out: Path | None = None) -> BuildRun:
    return BuildRun(
        client, GRAPH, root, key="k", chance=chance(), out=out, observer=notes, patience=IMPATIENT
    )


async def test_from_the_start_to_the_artifacts(root: Path, tmp_path: Path) -> None:
    """Missing sources go up, records come down, and what no other job needs lies in its directory."""
    coordinator, notes, out = ScriptedCoordinator(missing=(MAIN, BIG)), Notes(), tmp_path / "new/out"
    coordinator.records = ENDED_WELL
    coordinator.blobs = {
        f"/api/builds/{BUILD}/artifacts/{LINK}": tar(app=b"binary"),
        f"/api/builds/{BUILD}/artifacts/{DOCS}": tar(index=b"html"),
    }
    async with serving(coordinator) as url, Client(url) as client:
        outcome = await run_build(client, GRAPH, root, key="k1", chance=chance(), out=out, observer=notes)
    assert (outcome.build, outcome.verdict, outcome.failed) == (BUILD, Verdict.SUCCEEDED, ())
    assert outcome.fetched == (out / "bin_app", out / "docs")
    assert outcome.unfetched == ()
    assert (out / "bin_app/app").read_bytes() == b"binary"
    assert (out / "docs/index").read_bytes() == b"html"
    assert coordinator.files == {MAIN: b"int main;", BIG: b"x" * 3_000_000}
    assert coordinator.signals == [{"UploadDone": {}}]
    assert coordinator.queries[0] == {"on_disconnect": "continue", "key": "k1"}
    assert [int(query["after"]) for query in coordinator.queries if "after" in query] == [4]
    assert notes.started == [(BUILD, 2, True)]
    assert notes.uploads == [(1, 2), (2, 2)]
    assert [line.position for line in notes.lines] == [5, 6, 7, 8, 9]
    assert notes.links == [LinkState.CONNECTED]
    assert sorted(notes.fetched) == ["bin_app", "docs"]


async def test_trouble_on_the_way_changes_nothing(root: Path) -> None:
    """Lost answers and short outages are made up for by asking again, with the same key."""
    coordinator, notes = ScriptedCoordinator(missing=(MAIN,)), Notes()
    coordinator.records = ENDED_WELL
    coordinator.instead = {
        "POST /build": [hangs_up, refuses(503, b"starting")],
        "PUT /file": [hangs_up, refuses(502, b"bad gateway")],
        "POST /signal": [hangs_up, hangs_up],
        f"GET /api/builds/{BUILD}/events": [hangs_up, refuses(503, b"")],
    }
    async with serving(coordinator) as url, Client(url) as client:
        outcome = await run_build(client, GRAPH, root, key="k1", chance=chance(), observer=notes)
    assert outcome.verdict is Verdict.SUCCEEDED
    starts = [query for query in coordinator.queries if "key" in query]
    assert [query["key"] for query in starts] == ["k1"] * 3
    assert [line.position for line in notes.lines] == [5, 6, 7, 8, 9]
    assert notes.started == [(BUILD, 1, True)]
    assert notes.links[:3] == [LinkState.LOST, LinkState.LOST, LinkState.RECONNECTED]


async def test_failed_jobs_come_with_their_output(root: Path, tmp_path: Path) -> None:
    """The end of what they printed is fetched; an artifact that was made is fetched nevertheless."""
    coordinator = ScriptedCoordinator()
    coordinator.records = [
        record(6, "JobReused", job=DOCS),
        record(7, "JobFailed", job=COMPILE, exit_code=2, error="exit code 2", stderr_bytes=70_000),
        record(8, "BuildFailed", error="1 job failed"),
    ]
    coordinator.blobs = {
        f"/api/builds/{BUILD}/jobs/{COMPILE}/output": b"main.c:1: no".rjust(70_000),
        f"/api/builds/{BUILD}/artifacts/{DOCS}": tar(index=b"html"),
    }
    async with serving(coordinator) as url, Client(url) as client:
        outcome = await run_build(client, GRAPH, root, key="k", chance=chance(), out=tmp_path / "out")
    assert (outcome.verdict, outcome.reason) == (Verdict.FAILED, "1 job failed")
    [failed] = outcome.failed
    assert (failed.id, failed.name, failed.exit_code, failed.error) == (COMPILE, "compile", 2, "exit code 2")
    assert (failed.stdout, failed.stderr) == (b"", b"main.c:1: no".rjust(65536))
    assert {"stream": "stderr", "from": str(70_000 - 65536)} in coordinator.queries
    assert [path.name for path in outcome.fetched] == ["docs"]


async def test_artifacts_that_do_not_come(root: Path, tmp_path: Path) -> None:
    """The build has succeeded all the same, and the outcome says what is not there."""
    coordinator = ScriptedCoordinator()
    coordinator.records = ENDED_WELL
    coordinator.blobs = {f"/api/builds/{BUILD}/artifacts/{DOCS}": tar(index=b"html")[:700]}
    async with serving(coordinator) as url, Client(url) as client:
        outcome = await run_build(client, GRAPH, root, key="k", chance=chance(), out=tmp_path / "out")
    assert (outcome.verdict, outcome.fetched) == (Verdict.SUCCEEDED, ())
    assert len(outcome.unfetched) == 2
    assert outcome.unfetched[0] == "bin_app: 404: nothing here"
    assert outcome.unfetched[1].startswith("docs: ")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("cancels_when", ["uploading", "running"])
async def test_cancelling(root: Path, cancels_when: str) -> None:
    """The signal goes out, and the build is followed until its records say that it was cancelled."""
    coordinator, notes = ScriptedCoordinator(missing=(MAIN,)), Notes()
    coordinator.records = [record(5, "SourcesReady")]
    uploading = trio.Event()

    async def stalls(peer: Peer) -> None:
        uploading.set()
        await trio.sleep_forever()  # until the client goes away, or the test ends

    if cancels_when == "uploading":
        coordinator.instead = {"PUT /file": [stalls]}
    async with (
        serving(coordinator) as url,
        Client(url) as client,
        make_run(client, root, notes) as run,
        trio.open_nursery() as nursery,
    ):

        @nursery.start_soon
        async def cancel() -> None:
            await (uploading if cancels_when == "uploading" else notes.has_records).wait()
            await run.cancel("Ctrl-C")

        await run.submit()
        outcome = await run.finish()
    assert (outcome.verdict, outcome.reason) == (Verdict.CANCELLED, "Ctrl-C")
    assert coordinator.signals[-1] == {"UploadDone": None, "Cancel": {"Reason": "Ctrl-C"}}
    assert coordinator.may_run.is_set() == (cancels_when == "running")


async def test_cancelling_before_the_build_is_known(root: Path) -> None:
    """A start that is under way is awaited a little, so that what it started can be cancelled."""
    coordinator, asked = ScriptedCoordinator(), trio.Event()

    async def late(peer: Peer) -> None:
        asked.set()
        await trio.sleep(0.2)
        await coordinator._build(peer)

    coordinator.instead = {"POST /build": [late]}
    async with serving(coordinator) as url, Client(url) as client, make_run(client, root) as run:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.submit)
            await asked.wait()
            await run.cancel("Ctrl-C")
        outcome = await run.finish()
    assert (outcome.build, outcome.verdict) == (BUILD, Verdict.CANCELLED)
    assert list(coordinator.signals[0]) == ["UploadDone", "Cancel"]


async def test_cancelling_what_never_started(root: Path) -> None:
    """With a coordinator that does not answer, nothing is left to cancel after a while."""
    coordinator, asked = ScriptedCoordinator(), trio.Event()

    async def never(peer: Peer) -> None:
        asked.set()
        await trio.sleep_forever()  # until the client goes away

    coordinator.instead = {"POST /build": [never]}
    patience = Patience(cancel_seconds=0.1)
    async with (
        serving(coordinator) as url,
        Client(url) as client,
        BuildRun(client, GRAPH, root, key="k", chance=chance(), patience=patience) as run,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.submit)
            await asked.wait()
            await run.cancel("Ctrl-C")
        outcome = await run.finish()
    assert (outcome.build, outcome.verdict, outcome.reason) == (None, Verdict.CANCELLED, "Ctrl-C")


async def test_cancelling_what_has_ended(root: Path) -> None:
    """A refused cancellation is no error: the records say how it really ended."""
    coordinator = ScriptedCoordinator()
    coordinator.records = ENDED_WELL
    async with serving(coordinator) as url, Client(url) as client, make_run(client, root) as run:
        await run.submit()
        coordinator.instead = {"POST /signal": [refuses(400, b"build has succeeded")]}
        await run.cancel("late")
        assert (await run.finish()).verdict is Verdict.SUCCEEDED


async def test_a_source_that_cannot_be_read(root: Path) -> None:
    """The build is cancelled, and the error names the file."""
    coordinator = ScriptedCoordinator(missing=(MAIN,))
    (root / "src/main.c").unlink()
    async with serving(coordinator) as url, Client(url) as client:
        with pytest.raises(SourceUnusable, match=r"src/main\.c.*No such file"):
            await run_build(client, GRAPH, root, key="k", chance=chance())
    [signal] = coordinator.signals
    assert "src/main.c" in signal["Cancel"]["Reason"]


async def test_a_source_that_vanished_meanwhile(root: Path) -> None:
    """When "upload done" is refused, the start is repeated for a new list of what is missing."""
    coordinator, notes = ScriptedCoordinator(), Notes()
    coordinator.records = ENDED_WELL

    async def forgets(peer: Peer) -> None:
        coordinator.missing = (MAIN,)
        await peer.answer(b"1 source files were not uploaded", status=400)

    coordinator.instead = {"POST /signal": [forgets]}
    async with serving(coordinator) as url, Client(url) as client:
        outcome = await run_build(client, GRAPH, root, key="k", chance=chance(), observer=notes)
    assert outcome.verdict is Verdict.SUCCEEDED
    assert list(coordinator.files) == [MAIN]
    assert coordinator.requests.count("POST /build") == 2
    assert notes.started == [(BUILD, 0, True)]


@pytest.mark.parametrize("times", [4, 5])
async def test_a_source_that_vanishes_again_and_again(root: Path, times: int) -> None:
    """It is sent anew each time, but not for ever."""
    coordinator = ScriptedCoordinator(missing=(MAIN,))
    coordinator.records = ENDED_WELL

    async def forgets(peer: Peer) -> None:
        coordinator.files.clear()
        await peer.answer(b"1 source files were not uploaded", status=400)

    coordinator.instead = {"POST /signal": [forgets] * times}
    async with serving(coordinator) as url, Client(url) as client:
        if times == 4:
            outcome = await run_build(client, GRAPH, root, key="k", chance=chance())
            assert outcome.verdict is Verdict.SUCCEEDED
        else:
            with pytest.raises(Refused, match="were not uploaded"):
                await run_build(client, GRAPH, root, key="k", chance=chance())
    assert coordinator.requests.count("PUT /file") == 5


@pytest.mark.parametrize("is_away", [False, True])
async def test_somebody_else_cancels_during_the_upload(root: Path, is_away: bool) -> None:
    """The client's signal is refused; the records tell why, and that is the outcome, even if told late."""
    coordinator = ScriptedCoordinator()
    coordinator.records = [record(5, "BuildCancelled", reason="by ann")]
    coordinator.blobs = {f"/api/builds/{BUILD}": b'{"build":{"state":"cancelled"}}'}
    coordinator.may_run.set()
    coordinator.instead = {"POST /signal": [refuses(400, b"build has cancelled")] * 5}
    if is_away:
        coordinator.instead[f"GET /api/builds/{BUILD}"] = [refuses(503, b"stopping")]
    async with serving(coordinator) as url, Client(url) as client:
        outcome = await run_build(client, GRAPH, root, key="k", chance=chance())
    assert (outcome.verdict, outcome.reason) == (Verdict.CANCELLED, "by ann")
    assert coordinator.signals == []


async def test_a_file_that_is_not_taken_ends_the_story(root: Path) -> None:
    """A refusal that repeats itself is raised, and the build is cancelled."""
    coordinator = ScriptedCoordinator(missing=(MAIN,))
    coordinator.instead = {"PUT /file": [refuses(413, b"the file is too large")] * 2}
    async with serving(coordinator) as url, Client(url) as client:
        with pytest.raises(Refused, match="413: the file is too large"):
            await run_build(client, GRAPH, root, key="k", chance=chance())
    assert [list(signal) for signal in coordinator.signals] == [["UploadDone", "Cancel"]]


@pytest.mark.parametrize("refused", ["PUT /file", "POST /signal"])
async def test_a_disk_that_is_full_for_a_while_costs_no_build(root: Path, refused: str) -> None:
    """What was begun waits until there is room again."""
    coordinator = ScriptedCoordinator(missing=(MAIN,))
    coordinator.records = [record(5, "BuildSucceeded")]
    coordinator.may_run.set()
    coordinator.instead = {refused: [refuses(507, b"the disk is full")] * 2}
    async with serving(coordinator) as url, Client(url) as client:
        outcome = await run_build(client, GRAPH, root, key="k", chance=chance())
    assert outcome.verdict is Verdict.SUCCEEDED


@pytest.mark.parametrize("position", [b"-1", b"x", b""])
async def test_a_position_that_is_none(root: Path, position: bytes) -> None:
    """A header that is no position is Malformed, not position 0."""

    async def answer(peer: Peer) -> None:
        await peer.start(headers=(("terzetto-position", position.decode()),))
        await peer.say(b'{"ID":"%s","MissingFiles":null}' % BUILD.encode())
        await peer.end()

    coordinator = ScriptedCoordinator()
    coordinator.instead = {"POST /build": [answer]}
    async with serving(coordinator) as url, Client(url) as client:
        with pytest.raises(Malformed, match="is no position"):
            await run_build(client, GRAPH, root, key="k", chance=chance())


async def test_a_stream_that_never_ends_well(root: Path) -> None:
    """When the records cannot be had to the end, the outcome is unknown and nothing is fetched."""
    coordinator = ScriptedCoordinator()
    coordinator.instead = {f"GET /api/builds/{BUILD}/events": [hangs_up] * 100}
    async with serving(coordinator) as url, Client(url) as client, make_run(client, root) as run:
        await run.submit()
        outcome = await run.finish()
    assert (outcome.build, outcome.verdict) == (BUILD, Verdict.UNKNOWN)
    assert "lost the stream" in outcome.reason


async def test_a_graph_that_is_refused(root: Path) -> None:
    """The coordinator's words are raised; nothing is repeated."""
    coordinator = ScriptedCoordinator()
    coordinator.instead = {"POST /build": [refuses(400, b'{"BuildFailed":{"Error":"a cycle"}}')]}
    async with serving(coordinator) as url, Client(url) as client:
        with pytest.raises(Refused, match="400: a cycle"):
            await run_build(client, GRAPH, root, key="k", chance=chance())
    assert coordinator.requests == ["POST /build"]


async def test_nobody_there(root: Path) -> None:
    """After the time that was given for it, the coordinator is Unreachable."""
    notes = Notes()
    async with serving(hangs_up) as url, Client(url) as client, make_run(client, root, notes) as run:
        with pytest.raises(Unreachable):
            await run.submit()
    assert set(notes.links) == {LinkState.LOST}


async def test_an_occupied_out_directory_is_noticed_first(root: Path, tmp_path: Path) -> None:
    """What is not ours is never replaced, and the build that would is not even started."""
    coordinator = ScriptedCoordinator()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/thesis").write_text("mine")
    async with serving(coordinator) as url, Client(url) as client:
        with pytest.raises(OutOccupied, match="docs exists"):
            await run_build(client, GRAPH, root, key="k", chance=chance(), out=tmp_path)
    assert coordinator.requests == []
    assert (tmp_path / "docs/thesis").read_text() == "mine"


# --- foreign coordinators


def finished(job: str, **result: object) -> dict[str, object]:
    return {"JobFinished": {"ID": job, "ExitCode": 0, "Error": None, **result}}


def foreign(*updates: dict[str, object]) -> ScriptedCoordinator:
    coordinator = ScriptedCoordinator(is_native=False, missing=(MAIN,))
    coordinator.updates = list(updates)
    return coordinator


async def test_a_foreign_coordinator(root: Path, tmp_path: Path) -> None:
    """Its updates are told as records; where its artifacts are it does not tell, and that is said."""
    coordinator, notes = foreign(*map(finished, (COMPILE, LINK, DOCS)), {"BuildFinished": {}}), Notes()
    async with serving(coordinator) as url, Client(url) as client:
        outcome = await run_build(
            client, GRAPH, root, key="k", chance=chance(), out=tmp_path / "out", observer=notes
        )
    assert outcome.verdict is Verdict.SUCCEEDED
    assert outcome.unfetched[0].startswith("bin/app: this coordinator does not tell which worker")
    assert len(outcome.unfetched) == 2
    assert notes.started == [(BUILD, 1, False)]
    assert [(line.type, line.fields.get("job")) for line in notes.lines] == [
        ("JobSucceeded", COMPILE),
        ("JobSucceeded", LINK),
        ("JobSucceeded", DOCS),
        ("BuildSucceeded", None),
    ]
    assert coordinator.files == {MAIN: b"int main;"}


async def test_a_foreign_build_that_fails(root: Path) -> None:
    """The output of a failed job is in the update itself."""
    failure = finished(COMPILE, Stdout=None, Stderr="bm8=", ExitCode=3, Error="exit status 3")
    coordinator = foreign(failure, {"BuildFailed": {"Error": "compile failed"}})
    async with serving(coordinator) as url, Client(url) as client:
        outcome = await run_build(client, GRAPH, root, key="k", chance=chance())
    assert (outcome.verdict, outcome.reason) == (Verdict.FAILED, "compile failed")
    [failed] = outcome.failed
    assert (failed.name, failed.exit_code, failed.error, failed.stderr) == (
        "compile",
        3,
        "exit status 3",
        b"no",
    )


@pytest.mark.parametrize("ends", [hangs_up, Peer.end])
async def test_a_foreign_stream_that_ends_early(root: Path, ends: Callable[[Peer], object]) -> None:
    """Without its last message the outcome is unknown, never success."""

    async def answer(peer: Peer) -> None:
        await peer.start()
        await peer.say(b'{"ID":"%s","MissingFiles":null}' % BUILD.encode())
        await coordinator.may_run.wait()
        await ends(peer)  # type: ignore[misc]

    coordinator = foreign()
    coordinator.instead = {"POST /build": [answer]}
    async with serving(coordinator) as url, Client(url) as client:
        outcome = await run_build(client, GRAPH, root, key="k", chance=chance())
    assert outcome.verdict is Verdict.UNKNOWN


async def test_cancelling_a_foreign_build(root: Path) -> None:
    """Closing the stream is the only way to tell it; the outcome says cancelled."""
    coordinator, gone = foreign(), trio.Event()

    async def answer(peer: Peer) -> None:
        await peer.start()
        await peer.say(b'{"ID":"%s","MissingFiles":null}' % BUILD.encode())
        assert await peer.stream.receive_some(1) == b""
        gone.set()

    coordinator.instead = {"POST /build": [answer]}
    async with serving(coordinator) as url, Client(url) as client, make_run(client, root) as run:
        await run.submit()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def cancel() -> None:
                await run.cancel("Ctrl-C")

            outcome = await run.finish()
        await gone.wait()
    assert (outcome.verdict, outcome.reason) == (Verdict.CANCELLED, "Ctrl-C")
    assert [list(signal) for signal in coordinator.signals] == [["UploadDone"]]
