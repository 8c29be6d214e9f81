"""`terzetto task`: Cube's run, status and stop at the terminal."""

import json
from pathlib import Path
from typing import Any

from clients import tasks
from tests.clients.cli.command import terzetto
from tests.clients.peers import Peer, serving

T = "21b23589-5d2d-4731-b5c9-a97e9832d021"
TASK = {"ID": T, "Name": "web", "State": 2, "Image": "box:1", "RestartCount": 1, "StartTime": tasks.NEVER}


class Manager:
    """Keeps what it is asked, and answers with what a test says."""

    def __init__(self, status: int, value: Any = None) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self._status = status
        self._body = b"" if value is None else json.dumps(value).encode()

    async def __call__(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            self.asked.append(request)
            await peer.answer(self._body, status=self._status)


async def test_a_task_event_is_run(tmp_path: Path) -> None:
    """As it stands in its file."""
    (tmp_path / "task.json").write_text('{"Task":{}}')
    manager = Manager(201, TASK)
    async with serving(manager) as url:
        done = await terzetto("task", "run", tmp_path / "task.json", url=url)
    assert (done.code, done.out) == (0, f"task {T} is accepted\n")
    assert manager.asked == [("POST /tasks", b'{"Task":{}}')]


async def test_tasks_are_listed() -> None:
    """In words, or as they came; an empty list is null."""
    async with serving(Manager(200, [TASK])) as url:
        done = await terzetto("task", "status", url=url)
        assert done.out.splitlines()[1].split() == [T, "running", "1", "web", "box:1"]
        raw = await terzetto("task", "status", "--json", url=url)
        assert json.loads(raw.out)["tasks"] == [TASK]


async def test_a_task_is_stopped() -> None:
    """Or is not there."""
    manager = Manager(200)
    async with serving(manager) as url:
        done = await terzetto("task", "stop", T, url=url)
    assert (done.code, done.out) == (0, f"task {T} is to be stopped\n")
    assert manager.asked == [(f"DELETE /tasks/{T}", b"")]
    async with serving(Manager(404)) as url:
        done = await terzetto("task", "stop", T, url=url)
    assert (done.code, "fix: list them with `terzetto task status`" in done.err) == (2, True)


async def test_what_is_wrong_with_a_task_is_said(tmp_path: Path) -> None:
    """In the manager's words; and what is wrong with the command line, without asking."""
    (tmp_path / "task.json").write_text("{}")
    async with serving(Manager(400, {"HTTPStatusCode": 400, "Message": "no image\n"})) as url:
        done = await terzetto("task", "run", tmp_path / "task.json", url=url)
    assert (done.code, "cause: no image\n" in done.err) == (2, True)
    for wrong in (("run",), ("status", "x"), ("stop",), ("jump",)):
        assert (await terzetto("task", *wrong, url="http://127.0.0.1:1")).code == 2
