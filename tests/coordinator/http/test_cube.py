"""Cube's manager: recorded exchanges, its states and words, and what its wishes come to."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from clients import codec
from clients import tasks as wire
from clients.server import App, serve
from coordinator import tasks
from coordinator.http import cube_wire
from events.catalog import BuildCancelled
from events.codec import decode, encode
from events.commands import CancelBuild, FinishUpload, Settings
from events.errors import Rejected
from events.fold import replay
from tests.coordinator.http.exchanges import replay as replay_exchanges
from tests.coordinator.live import Live, running
from tests.events.story import BUILD, Story, W, beat

ID = "21b23589-5d2d-4731-b5c9-a97e9832d021"
# As the book's own fixtures have it.
TASK: dict[str, Any] = {
    "State": 1,
    "ID": ID,
    "Name": "test-chapter-9.1",
    "Image": "timboring/echo-smy-go",
    "ExposedPorts": {"7777/tcp": {}},
    "PortBindings": {"7777/tcp": "7777"},
    "HealthCheck": "/health",
    "Cpu": 0.5,
    "Memory": 64 << 20,
}
EVENT: dict[str, Any] = {
    "ID": "6be4cb6b-61d1-40cb-bc7b-9cacefefa60c",
    "State": 2,
    "Timestamp": "2026-11-25T18:00:00Z",
    "Task": TASK,
}
ANSWER = (
    '{"ID":"21b23589-5d2d-4731-b5c9-a97e9832d021","ContainerID":"","Name":"test-chapter-9.1","State":1,'
    '"Image":"timboring/echo-smy-go","Cpu":0.5,"Memory":67108864,"Disk":0,"ExposedPorts":{"7777/tcp":{}},'
    '"HostPorts":null,"PortBindings":{"7777/tcp":"7777"},"RestartPolicy":"",'
    '"StartTime":"0001-01-01T00:00:00Z","FinishTime":"0001-01-01T00:00:00Z","HealthCheck":"/health",'
    '"RestartCount":0}\n'
)
WORKER = "http://127.0.0.1:9101"
EXCHANGES = Path(__file__).with_name("cube.exchanges")
_TIME = re.compile(r'"20\d\d-[^"]*Z"(?=,"(?:FinishTime|HealthCheck)")')


@asynccontextmanager
async def _manager(tmp_path: Path, **options: Any) -> AsyncIterator["Manager"]:
    async with running(tmp_path / "data", **options) as live:
        yield Manager(live)


# What may follow what, as Cube has it from the chapter on health checks on; and a task that is stopped before
# it ran is completed all the same.
NEXT = {
    wire.State.PENDING: {wire.State.SCHEDULED, wire.State.COMPLETED},
    wire.State.SCHEDULED: {wire.State.SCHEDULED, wire.State.RUNNING, wire.State.FAILED},
    wire.State.RUNNING: {wire.State.RUNNING, wire.State.COMPLETED, wire.State.FAILED, wire.State.SCHEDULED},
    wire.State.COMPLETED: set(),
    wire.State.FAILED: {wire.State.SCHEDULED},
}


def _leads_to(before: wire.State, after: wire.State) -> bool:
    """Who looks now and then may miss states in between."""
    reached, new = {before}, {before}
    while new:
        new = {state for each in new for state in NEXT[each]} - reached
        reached |= new
    return after in reached


class Manager:
    """A manager, and the one worker it has, as far as it comes."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.worker = WORKER
        self.seen: dict[str, wire.State] = {}

    async def beat(self, *finished: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A report of a worker with an engine; returns the job that it is to run, if there is one."""
        labels = {"engine": "docker", "worker": self.worker, "memory": str(1 << 30), "disk": str(1 << 34)}
        said = {
            "Session": "s",
            "Slots": 1,
            "Labels": labels,
            "FinishedJob": list(finished),
            "WorkerID": self.worker,
        }
        answer = await self.live.heartbeat("?wait=0", **{**said, **fields})
        return next(iter((answer["JobsToRun"] or {}).values()), {})

    async def tasks(self) -> list[dict[str, Any]]:
        """All of them; each is what can have become of what it was seen to be before."""
        found: list[dict[str, Any]] = await self.live.get("/tasks")
        for task in found or ():
            state = wire.State(task["State"])
            before = self.seen.setdefault(task["ID"], state)
            assert _leads_to(before, state), f"{before.name} became {state.name}"
            self.seen[task["ID"]] = state
        return found

    async def one(self) -> dict[str, Any]:
        [task] = await self.tasks()
        return task

    async def starts(self) -> str:
        """The worker takes the task, whose container runs; returns the lease."""
        lease: str = (await self.beat())["Lease"]
        said = {"Container": "c1f2", "Ports": {"7777/tcp": "127.0.0.1:7777"}}
        await self.live.post(f"/api/leases/{lease}/container", said)
        return lease


def _result(lease: str, job: str, code: int = 0) -> dict[str, Any]:
    return {"ID": job, "Lease": lease, "ExitCode": code, "Error": f"exit status {code}" if code else None}


async def test_a_task_s_life_as_a_client_of_cube_sees_it(tmp_path: Path) -> None:
    """Pending, scheduled, running with its ports, and completed when it is stopped: the very bytes."""
    async with _manager(tmp_path) as manager:
        live = manager.live
        nothing = await live.call("GET", "/tasks")
        assert (nothing.status, nothing.body, nothing.headers["content-type"]) == (
            200,
            b"null\n",
            "application/json",
        )
        posted = await live.call("POST", "/tasks", EVENT)
        assert (posted.status, posted.body.decode()) == (201, ANSWER)
        assert posted.headers["content-type"] == "text/plain; charset=utf-8"
        assert (await live.call("GET", "/tasks")).body.decode() == "[" + ANSWER.strip().replace(
            '"State":1', '"State":0'
        ) + "]\n"
        await manager.beat()
        assert (await manager.one())["State"] == wire.State.SCHEDULED
        lease = await _started(manager)
        task = await manager.one()
        assert (task["State"], task["ContainerID"]) == (wire.State.RUNNING, "c1f2")
        assert task["HostPorts"] == {"7777/tcp": [{"HostIp": "127.0.0.1", "HostPort": "7777"}]}
        assert task["StartTime"] > "2020"
        assert task["FinishTime"] == wire.NEVER
        stopped = await live.call("DELETE", f"/tasks/{ID}")
        assert (stopped.status, stopped.body) == (204, b"")
        task = await manager.one()
        assert (task["State"], task["FinishTime"] > "2020") == (wire.State.COMPLETED, True)
        answer = await live.heartbeat(
            "?wait=0", WorkerID=WORKER, Session="s", RunningLeases=[lease], FreeSlots=0
        )
        assert answer["RevokedLeases"] == [lease]
        assert (await live.call("DELETE", f"/tasks/{ID}")).status == 204


async def _started(manager: Manager) -> str:
    """What was given and not reported is given again."""
    return await manager.starts()


async def test_a_wish_that_it_be_completed_stops_it(tmp_path: Path) -> None:
    """As the book's stop_task.json does it; posted twice, a task is one."""
    async with _manager(tmp_path) as manager:
        for _ in range(2):
            assert (await manager.live.call("POST", "/tasks", EVENT)).status == 201
        assert len(await manager.tasks()) == 1
        stop = await manager.live.call("POST", "/tasks", {**EVENT, "State": 3})
        assert (stop.status, stop.body.decode()) == (201, ANSWER)
        assert (await manager.one())["State"] == wire.State.COMPLETED


async def test_what_ends_by_itself(tmp_path: Path) -> None:
    """With exit code 0 its work is done; else it is begun anew three times, and then has failed."""
    async with _manager(tmp_path) as manager:
        await manager.live.call("POST", "/tasks", EVENT)
        spec = await manager.beat()
        for restarts in range(1, 4):
            spec = await manager.beat(_result(spec["Lease"], spec["ID"], 1))
            task = await manager.one()
            assert (task["State"], task["RestartCount"]) == (wire.State.SCHEDULED, restarts)
        await manager.beat(_result(spec["Lease"], spec["ID"], 1))
        task = await manager.one()
        assert (task["State"], task["RestartCount"]) == (wire.State.FAILED, 3)
        other = {**EVENT, "Task": {"Image": "localhost/box:1"}}
        posted = json.loads((await manager.live.call("POST", "/tasks", other)).body)
        assert wire.as_uuid(posted["ID"]) == posted["ID"] != wire.NOBODY
        spec = await manager.beat()
        await manager.beat(_result(spec["Lease"], spec["ID"]))
        assert (await manager.tasks())[1]["State"] == wire.State.COMPLETED


REFUSED: dict[str, tuple[bytes, str]] = {
    "an unknown field": (b'{"Foo":1}', 'json: unknown field "Foo"'),
    "an unknown field of a task": (b'{"Task":{"Foo":1}}', 'json: unknown field "Foo"'),
    "nothing": (b"", "EOF"),
    "no JSON": (b"hello", "invalid character 'h' looking for beginning of value"),
    "half of it": (b'{"State":', "unexpected EOF"),
    "a state that is a text": (
        b'{"State":"running"}',
        "json: cannot unmarshal string into Go struct field TaskEvent.State of type task.State",
    ),
    "no id": (b'{"Task":{"ID":"abc"}}', "invalid UUID length: 3"),
    "no time": (
        b'{"Timestamp":""}',
        'parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006"',
    ),
}


@pytest.mark.parametrize(("body", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_in_go_s_words(body: bytes, said: str) -> None:
    """Before anything else is looked at."""
    with pytest.raises(codec.Malformed) as refusal:
        wire.read_event(body)
    assert str(refusal.value) == said


async def test_every_refusal_has_cube_s_shape(tmp_path: Path) -> None:
    """400 and what was wrong; a bare 404 for what is not there; and nothing has happened."""
    async with _manager(tmp_path) as manager:
        reply = await manager.live.call("POST", "/tasks", b'{"Foo":1}')
        assert reply.status == 400
        assert reply.body == (
            b'{"HTTPStatusCode":400,"Message":"Error unmarshalling body: json: unknown field \\"Foo\\"\\n"}\n'
        )
        for name in (ID, "abc", wire.NOBODY):
            gone = await manager.live.call("DELETE", f"/tasks/{name}")
            assert (gone.status, gone.body) == (404, b"")
        wrong = [
            (400, {"Task": {"ID": ID}}, "image"),
            (400, {"Task": {**TASK, "Memory": -1}}, "memory"),
            (400, {"Task": {**TASK, "ExposedPorts": {"http": {}}}}, "no port"),
            (404, {"State": 3, "Task": TASK}, ID),
        ]
        for status, body, said in wrong:
            reply = await manager.live.call("POST", "/tasks", body)
            told = json.loads(reply.body)
            assert (reply.status, told["HTTPStatusCode"]) == (status, status)
            assert said in told["Message"]
        assert (await manager.live.call("PUT", "/tasks")).status == 405
        assert (await manager.live.call("GET", "/tasks")).body == b"null\n"


async def test_nodes(tmp_path: Path) -> None:
    """What a worker has, what is taken of it, and what it says of itself if it is asked."""
    stop = trio.Event()
    app = App("worker")

    @app.get("/stats")
    async def stats() -> dict[str, Any]:
        return {"TaskCount": 7}

    async with _manager(tmp_path) as manager, trio.open_nursery() as nursery:
        assert (await manager.live.call("GET", "/nodes")).body == b"null\n"
        serving = partial(serve, app, bind="127.0.0.1:0", shutdown=stop.wait, grace_seconds=0.1)
        manager.worker = (await nursery.start(serving))[0]
        await manager.live.call("POST", "/tasks", EVENT)
        await manager.beat()
        [node] = await manager.live.get("/nodes")
        assert node == {
            "Name": manager.worker.removeprefix("http://"),
            "Ip": "",
            "Api": manager.worker,
            "Memory": 1 << 20,
            "MemoryAllocated": 64 << 10,
            "Disk": 1 << 34,
            "DiskAllocated": 0,
            "Stats": {"TaskCount": 7},
            "Role": "worker",
            "TaskCount": 1,
        }
        stop.set()


async def test_a_task_may_be_for_one_worker_alone(tmp_path: Path) -> None:
    """Which is how a worker's own tasks come here; they are listed by worker, too."""
    async with _manager(tmp_path) as manager:
        await manager.live.call("POST", f"/tasks?worker={WORKER}", EVENT)
        manager.worker = "http://127.0.0.1:9102"
        assert await manager.beat() == {}
        manager.worker = WORKER
        assert (await manager.beat())["Name"] == TASK["Name"]
        assert len(await manager.live.get(f"/tasks?worker={WORKER}")) == 1
        assert await manager.live.get("/tasks?worker=http://127.0.0.1:9102") is None


def _story() -> Story:
    sent = wire.read_event(json.dumps(EVENT).encode()).task
    return Story().given(cube_wire.start(sent, "", 0.0))


def test_a_start_that_a_crash_cut_in_two_goes_on() -> None:
    """The build is there and its upload not done: that is owed."""
    story = _story()
    assert list(tasks.owed(story.state, 0.0)) == [FinishUpload(build=BUILD)]


def test_what_nobody_can_run_fails_after_a_while() -> None:
    """It never becomes a bare process; it says what is missing, and Cube says that it failed."""
    story = _story().given(FinishUpload(build=BUILD))
    assert list(tasks.owed(story.state, 9.0)) == []
    [wish] = tasks.owed(story.state, 10.0)
    story.when(wish)
    assert isinstance(story.last[-1], BuildCancelled)
    assert "engine=docker, to run the image timboring/echo-smy-go" in story.last[-1].reason
    [task] = tasks.every(story.state)
    assert cube_wire.task(task).state == wire.State.FAILED


def test_what_no_machine_has_room_for_fails_in_cube_s_words() -> None:
    """If jobs are placed, and none will ever have; what others take now will be free again."""
    for placement, disk, words in (
        ("epvm", 2 << 30, f"No available candidates match resource request for task {ID}"),
        ("epvm", 1 << 30, None),
        ("", 2 << 30, None),
    ):
        story = Story(Settings(placement=placement))
        labels = {"engine": "docker", "disk": str(1 << 30)}
        sent = wire.read_event(json.dumps({"Task": {**TASK, "Disk": disk}}).encode()).task
        story.given(beat(W, 0, labels=labels), cube_wire.start(sent, "", 0.0), FinishUpload(build=BUILD))
        wishes = [wish.reason for wish in tasks.owed(story.state, 10.0) if isinstance(wish, CancelBuild)]
        assert wishes == ([f"{tasks.UNABLE}: {words}"] if words else [])


texts = st.text(max_size=12)
ports: st.SearchStrategy[dict[str, dict[str, str]]] = st.dictionaries(
    st.sampled_from(["80/tcp", "80", "53/udp", "x"]), st.just({}), max_size=2
)
sent_tasks = st.fixed_dictionaries(
    {},
    optional={
        "ID": st.uuids().map(str),
        "Name": texts,
        "Image": texts,
        "State": st.integers(0, 4),
        "Cpu": st.floats(-1, 8, allow_nan=False),
        "Memory": st.integers(-1, 2**60),
        "Disk": st.integers(-1, 2**60),
        "ExposedPorts": st.none() | ports,
        "PortBindings": st.none() | st.dictionaries(st.just("80/tcp"), texts, max_size=1),
        "RestartPolicy": texts,
        "HealthCheck": texts,
        "RestartCount": st.integers(0, 5),
        "StartTime": st.sampled_from([wire.NEVER, "2026-11-25T18:00:00.5+01:00"]),
    },
)


@given(sent_tasks)
def test_no_accepted_task_breaks_the_log_or_an_answer(task: dict[str, Any]) -> None:
    """Whatever is taken comes out of the log as it went in, and is told in words that can be read again."""
    try:
        sent = wire.read_event(json.dumps({"Task": task}).encode()).task
        story = Story().given(cube_wire.start(sent, "", 0.0), FinishUpload(build=BUILD))
    except (codec.Malformed, Rejected):
        return
    again = replay(decode(encode(record)) for record in story.records)
    [found] = tasks.every(again)
    told = cube_wire.task(found)
    assert wire.read_event(codec.write(wire.TaskEvent(task=told))).task == told
    assert (told.name, told.image, told.memory, told.disk) == (sent.name, sent.image, sent.memory, sent.disk)


async def test_recorded_exchanges_are_answered_as_ever(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Rewrite the answers with --update-golden, and read the diff: somebody's client expects them."""
    async with _manager(tmp_path) as manager:

        async def work(text: str) -> None:
            if text == "take":
                await manager.starts()
            else:
                spec = await manager.beat()
                await manager.beat(_result(spec["Lease"], spec["ID"], 1))

        recorded = await trio.Path(EXCHANGES).read_text()
        said = _TIME.sub('"{time}"', await replay_exchanges(manager.live, recorded, work))
    if request.config.getoption("--update-golden"):
        await trio.Path(EXCHANGES).write_text(said)
    else:
        assert said == recorded
