"""The job manager's wire types, in each of its revisions: what a client asks for, judged before it is done.

A request may come as the manager's own samples have it, with a comma before a closing bracket. What is null
is as good as missing, what is unknown is passed over, and nothing is coerced.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from attrs import frozen

from clients.codec import Malformed, dumps, loads
from events.graphs import path_problem
from events.ids import FileId, is_uuid

T = TypeVar("T")

STREAMS = ("stdout", "stderr")
# Where a task finds its binary; it lies under its UUID, too, as every input does that has no path.
BINARY_PATH = "binary"
# Where inputs lie before they are put into their places.
STAGE = ".terzetto"
# No argument of a program may be longer on Linux, and neither may a command of a shell.
COMMAND_BYTES_MAX = 100_000
TASKS_MAX = 1000
FILES_MAX = 1000
TTL_MAX = (1 << 64) - 1
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|,(?=\s*[}\]])', re.DOTALL)


@frozen(kw_only=True)
class Input:
    """A file of the store, and where the command finds it below the directory that it runs in."""

    file: FileId
    path: str
    executable: bool = False


@frozen(kw_only=True)
class Task:
    """A command of a shell; `outputs` are what is kept of it: files below its directory, or its streams.

    `ttl`: for how many seconds it may run; 0 for as long as any job.
    """

    command: str
    inputs: tuple[Input, ...] = ()
    outputs: tuple[str, ...] = ()
    ttl: int = 0


@frozen(kw_only=True)
class JobRequest:
    """Tasks, one after the other; `spec` is what it takes to ask for the same again."""

    tasks: tuple[Task, ...]
    spec: bytes


def read_job(body: bytes) -> JobRequest:
    """Raises `Malformed`."""
    value = read_object(body)
    if "tasks" not in value:
        task, spec = _task(value, "")
        return JobRequest(tasks=(task,), spec=dumps(spec))
    sent = _list(value, "", "tasks", TASKS_MAX)
    if not sent:
        raise Malformed("tasks must have at least one task")
    read = [_task(_object(each, f"tasks[{n}]"), f"tasks[{n}].") for n, each in enumerate(sent)]
    spec = {"type": _text(value, "", "type") or "simple", "tasks": [spec for _, spec in read]}
    return JobRequest(tasks=tuple(task for task, _ in read), spec=dumps(spec))


def is_job(value: object) -> bool:
    """Is this a job of the job manager, rather than one of a type that workers ask for?"""
    return isinstance(value, dict) and ("tasks" in value or "command" in value)


def read_object(body: bytes) -> dict[str, Any]:
    """A JSON object, as the samples write it; raises `Malformed`."""
    try:
        value = loads(body)
    except Malformed:
        value = loads(_TOKEN.sub(lambda found: b"" if found[0] == b"," else found[0], body))
    return _object(value, "the body")


def job_id(body: bytes) -> str:
    """The UUID of the job that a body names; raises `Malformed`."""
    return uuid(_required(read_object(body), "", "job_id", _text))


def uuid(text: str) -> str:
    """In lower case; raises `Malformed`."""
    if not is_uuid(text.lower()):
        raise Malformed(f"not a UUID: {text[:80]!r}")
    return text.lower()


def _task(value: dict[str, Any], where: str) -> tuple[Task, dict[str, Any]]:
    """A task, and the same as its client may send it again."""
    command = _required(value, where, "command", _text)
    if not command.strip() or len(command.encode()) > COMMAND_BYTES_MAX or "\0" in command:
        raise Malformed(f"{where}command must have 1 to {COMMAND_BYTES_MAX} bytes, and no NUL")
    inputs = list(_binary(_text(value, where, "binary")))
    inputs += [_input(each, f"{where}input_files") for each in _list(value, where, "input_files", FILES_MAX)]
    outputs = [_path(each, f"{where}output_files") for each in _list(value, where, "output_files", FILES_MAX)]
    limits = [name for name in ("time_limit", "ttl") if value.get(name) is not None]
    task = Task(
        command=command,
        inputs=_placed(inputs, f"{where}input_files"),
        outputs=tuple(dict.fromkeys(outputs)),
        ttl=_ttl(value, where, limits[0]) if limits else 0,
    )
    known = ("command", "binary", "input_files", "output_files", *limits)
    return task, {name: value[name] for name in known if value.get(name) is not None}


def _binary(text: str) -> Iterator[Input]:
    for path in (BINARY_PATH, uuid(text)) if text else ():
        yield Input(file=FileId(uuid(text)), path=path, executable=True)


def _placed(inputs: Iterable[Input], where: str) -> tuple[Input, ...]:
    """One file at each place, and none where another needs a directory."""
    places: dict[str, Input] = {}
    for each in inputs:
        if places.setdefault(each.path, each).file != each.file:
            raise Malformed(f"{where}: two files at {each.path!r}")
    for path in places:
        parents = ("/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 1))
        if inner := next((parent for parent in parents if parent in places), None):
            raise Malformed(f"{where}: {inner!r} is a file, yet {path!r} needs it to be a directory")
    return tuple(places.values())


def _input(value: Any, where: str) -> Input:
    """A UUID, or a UUID and a path."""
    if isinstance(value, str):
        return Input(file=FileId(uuid(value)), path=uuid(value))
    if isinstance(value, list) and len(value) == 2 and all(isinstance(each, str) for each in value):
        return Input(file=FileId(uuid(value[0])), path=_path(value[1], where))
    raise Malformed(f"{where} must have UUIDs, or pairs of a UUID and a path")


def _path(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{where}: a path must be a string")
    path = value.removeprefix("./")
    problem = path_problem(path) or ("has '{{' in it" if "{{" in path else "")
    if problem or path.split("/")[0] == STAGE:
        problem = problem or "is ours"
        raise Malformed(f"{where}: the path {value[:80]!r} {problem}")
    return path


def _ttl(value: dict[str, Any], where: str, name: str) -> int:
    ttl = value[name]
    if type(ttl) is not int or not 0 <= ttl <= TTL_MAX:
        raise Malformed(f"{where}{name} must be a whole number of seconds from 0 on")
    return ttl


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{where} must be an object")
    return value


def _list(value: dict[str, Any], where: str, name: str, most: int) -> list[Any]:
    found = value.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > most:
        raise Malformed(f"{where}{name} must be a list of at most {most}")
    return found


def _text(value: dict[str, Any], where: str, name: str) -> str:
    found = value.get(name)
    if found is not None and not isinstance(found, str):
        raise Malformed(f"{where}{name} must be a string")
    return found or ""


def _required(value: dict[str, Any], where: str, name: str, read: Callable[..., T]) -> T:
    if value.get(name) is None:
        raise Malformed(f"{where}{name} is missing")
    return read(value, where, name)
