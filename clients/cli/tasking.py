"""Cube's tasks at the terminal: run one, stop one, list them all."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clients import codec, tasks, wire
from clients.cli import exits, printing
from clients.cli.api import ANSWER_SECONDS, Api
from clients.cli.exits import Failure
from clients.cli.texts import columns, instant
from clients.codec import Malformed

STDIN = "-"


def read(file: str) -> bytes:
    """A task event, from a file or from stdin. Raises OSError."""
    return sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()


async def act(api: Api, action: str, what: str, event: bytes, *, as_json: bool) -> int:
    """Do what the verb says: with the task `what`, or with an `event` that is to make one."""
    if action == "status":
        found = codec.loads(await _asked(api, "GET", tasks.PATH_TASKS)) or []
        _print({"tasks": found}, table(found), as_json=as_json)
    elif action == "run":
        task = codec.loads(await _asked(api, "POST", tasks.PATH_TASKS, event))
        _print(task, [f"task {task['ID']} is accepted"], as_json=as_json)
    else:
        await _asked(api, "DELETE", f"{tasks.PATH_TASKS}/{quote(what, safe='')}")
        _print({"ID": what}, [f"task {what} is to be stopped"], as_json=as_json)
    return 0


def _print(value: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    if as_json:
        printing.as_json(value)
    else:
        printing.lines(lines)


def table(found: list[dict[str, Any]]) -> list[str]:
    """The tasks as lines, in the order in which they were posted."""
    if not found:
        return ["no tasks"]
    rows = [
        (
            str(task["ID"]),
            tasks.State(task["State"]).name.lower(),
            str(task["RestartCount"]),
            "" if task["StartTime"] == tasks.NEVER else instant(_seconds(task["StartTime"])),
            str(task["Name"]),
            str(task["Image"]),
        )
        for task in found
    ]
    return columns(("ID", "STATE", "RESTARTS", "STARTED", "NAME", "IMAGE"), rows)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def _asked(api: Api, method: str, target: str, body: bytes = b"") -> bytes:
    """The answer's body. Raises `Failure` with what Cube's manager has against it."""
    reply = await api.client.call(method, target, body=body, timeout_seconds=ANSWER_SECONDS)
    if reply.status == 404 and not reply.body:
        raise Failure(exits.NOT_FOUND, "there is no such task", fix="list them with `terzetto task status`")
    if reply.status in (400, 404):
        raise Failure(exits.BAD_FILE, _message(reply), fix="correct what is named")
    return reply.raise_for_status().body


def _message(reply: wire.Reply) -> str:
    try:
        said = codec.loads(reply.body)
    except Malformed:
        return reply.text()
    return str(said.get("Message", reply.text())).strip() if isinstance(said, dict) else reply.text()
