"""The job manager's words and ours: a job is a build, its tasks are the jobs of that, one after the other."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

from clients import codec
from clients import jobs as wire
from clients.codec import Malformed
from events.catalog import Command
from events.commands import NewJob, StartBuild
from events.ids import FileId, JobId, SourceId
from events.model import Build, File
from events.state import State
from events.transitions import BuildStatus, JobStatus

# What the key of a build begins with that is a job of the manager; the rest is the job's UUID.
KEY = "job-manager/"
STATES = ("SUBMITTED", "SCHEDULED", "RUNNING", "DONE", "FAILED", "CANCELLED")
NAME_CHARS_MAX = 60

_ENVIRON = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME={{.SourceDir}}")
# Takes a way, a file and a place, again and again.
_PUT = (
    'while [ $# -gt 2 ]; do mkdir -p "$(dirname "$3")" && "$1" "$2" "$3" || exit 1; shift 3; done; '
    f"rmdir {wire.STAGE}"
)
_MAKE_EXECUTABLE = 'for f; do chmod +x "./$f" || exit 1; done'
_HAND_OVER = (
    'for f; do mkdir -p "$0/$(dirname "./$f")" && cp -p "./$f" "$0/$f" || '
    '{ echo "output file not made: $f" >&2; exit 1; }; done'
)
# A text in which two braces stand together would be a template: it comes in pieces and is put together again.
_RUN_PIECES = 'IFS=; exec /bin/sh -c "$*"'
_BETWEEN_BRACES = re.compile(r"(?<=\{)(?=\{)")


def start(job: str, sent: wire.JobRequest, user: str, find: Callable[[FileId], File]) -> StartBuild:
    """The build that a job is; raises what `find` raises."""
    jobs: list[NewJob] = []
    sources: dict[SourceId, str] = {}
    for number, task in enumerate(sent.tasks):
        staged = _staged(task, find)
        sources |= {source: path for path, source in staged.items()}
        jobs.append(
            NewJob(
                id=JobId(sha256(f"{job}/{number}".encode()).hexdigest()[:40]),
                name=_name(task.command),
                inputs=tuple(staged),
                deps=(jobs[-1].id,) if jobs else (),
                cmds=tuple(_commands(task, find)),
                timeout_seconds=float(task.ttl),
                outputs=task.outputs or ("stdout",),
            )
        )
    return StartBuild(
        jobs=tuple(jobs),
        sources=sources,
        name=_name(sent.tasks[0].command),
        key=KEY + job,
        detached=True,
        labels={"user": user} if user else {},
        spec=sent.spec.decode(),
        at_once=True,
    )


def _staged(task: wire.Task, find: Callable[[FileId], File]) -> dict[str, SourceId]:
    """The sources of a task by the paths at which they arrive: equal contents arrive once."""
    sources = (find(each.file).source for each in task.inputs)
    return {f"{wire.STAGE}/{source}": source for source in sources}


def _commands(task: wire.Task, find: Callable[[FileId], File]) -> Iterator[Command]:
    files = {each.path: find(each.file) for each in task.inputs}
    if files:
        yield _shell(_PUT, "put", *_put(files))
    executable = [each.path for each in task.inputs if each.executable or files[each.path].executable]
    if executable:
        yield _shell(_MAKE_EXECUTABLE, "chmod", *executable)
    if "{{" in task.command:
        yield _shell(_RUN_PIECES, "sh", *_BETWEEN_BRACES.split(task.command))
    else:
        yield _shell(task.command)
    if paths := [path for path in task.outputs if path not in wire.STREAMS]:
        yield _shell(_HAND_OVER, "{{.OutputDir}}", *paths)


def _put(files: dict[str, File]) -> Iterator[str]:
    """The last place of a file gets it as it arrived, the others copies."""
    left = Counter(file.source for file in files.values())
    for path, file in files.items():
        left[file.source] -= 1
        yield from ("cp" if left[file.source] else "mv", f"{wire.STAGE}/{file.source}", f"./{path}")


def _shell(script: str, *args: str) -> Command:
    return Command(
        exec=("/bin/sh", "-c", script, *args), environ=_ENVIRON, working_directory="{{.SourceDir}}"
    )


def _name(command: str) -> str:
    """Of a command as much as fits in a line."""
    text = "".join(c if c.isprintable() else " " for c in command)
    text = " ".join(text.split())
    return text if len(text) <= NAME_CHARS_MAX else text[: NAME_CHARS_MAX - 1] + "…"


def state_of(state: State, build: Build) -> str:
    """A job is done when what it was to hand over is in the store, and not before."""
    graph = state.graphs[build.id]
    match build.status:
        case BuildStatus.UPLOADING:
            return "SUBMITTED"
        case BuildStatus.CANCELLED:
            return "CANCELLED"
        case BuildStatus.RUNNING:
            has_begun = graph.tally[JobStatus.RUNNING] or graph.tally[JobStatus.SUCCEEDED]
            return "RUNNING" if has_begun else "SCHEDULED"
        case _ if graph.outputs is None:
            return "RUNNING"
        case BuildStatus.FAILED:
            return "FAILED"
        case BuildStatus.SUCCEEDED:
            return "FAILED" if graph.outputs.error else "DONE"


def is_job(build: Build) -> bool:
    """Was it started by this dialect? A client of another may have chosen a key like ours."""
    return build.key.startswith(KEY) and bool(build.spec)


def id_of(build: Build) -> str:
    """The job's UUID."""
    return build.key.removeprefix(KEY)


def results(state: State, build: Build) -> tuple[FileId, ...]:
    """The files that it has handed over."""
    outputs = state.graphs[build.id].outputs
    return outputs.files if outputs is not None else ()


def info(state: State, build: Build) -> dict[str, Any]:
    """As the first revision tells it."""
    found = results(state, build)
    return {"state": state_of(state, build), "answer_id": found[0] if found else None}


def described(state: State, build: Build) -> dict[str, Any]:
    """As the later ones do."""
    found = results(state, build)
    return {
        "state": state_of(state, build),
        "results": found,
        "answer_id": found,
        "spec": codec.loads(build.spec.encode()),
    }


def moment(name: str, text: str, *, is_end: bool) -> float:
    """Seconds since 1970 of a date, of a time (in UTC unless it says otherwise), or of such seconds.

    A date that is an end means the end of that day. Raises `Malformed`.
    """
    try:
        if text.replace(".", "", 1).isdigit():
            return float(text)
        if len(text) == len("2026-01-31"):
            midnight = datetime.combine(date.fromisoformat(text), time(), UTC)
            return (midnight + timedelta(days=is_end)).timestamp()
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise Malformed(f"{name} must be a date, a time or seconds since 1970, not {text[:40]!r}") from error
