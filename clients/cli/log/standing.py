"""What the records add up to at a point in the past, in the coordinator's own words."""

from typing import Any

from clients.cli import asking, exits, printing
from clients.cli.api import BuildInfo, WorkerInfo, read
from clients.cli.errors import usage
from clients.cli.exits import Failure
from clients.cli.log import reading
from clients.cli.log.options import Moment
from clients.cli.log.showing import moment
from clients.cli.texts import columns, duration, plain, short
from events.files import beside
from events.hindsight.audit import fold_entry
from events.ids import Position
from events.log import read_all
from events.query import position_at
from events.restore import DIRECTORY, latest
from events.sqlite import SqliteReader
from events.state import State


def state(reader: SqliteReader, at: Moment | None, build: str, *, as_json: bool) -> int:
    """Builds and workers, or one build and its jobs."""
    # What it says is what `GET /api/builds` said or would have said then.
    from coordinator.http import views

    now = replayed(reader, at)
    if not build:
        answer = {
            "builds": views.builds(now, None, {}, 0, max(1, len(now.builds)))["builds"],
            "workers": views.workers(now)["workers"],
        }
    else:
        id_ = reading.find_build(reader, build)
        if id_ not in now.builds:
            raise Failure(exits.NOT_FOUND, f"at position {now.position} there is no build {plain(build)!r}")
        answer = views.build(now, id_).value()
    answer = {**answer, "position": now.position, "at": now.at, "time": moment(now.at)}
    printing.as_json(answer) if as_json else printing.lines(_told(answer, now.at))
    return 0


def replayed(reader: SqliteReader, at: Moment | None) -> State:
    """The state after the last record up to `at`; raises `Failure` for a position beyond the last.

    A snapshot saves reading what came before it.
    """
    upto = reader.head()
    if at is not None:
        upto = Position(at.position or 0) if at.seconds is None else position_at(reader, at.seconds)
    if upto > reader.head():
        raise usage(f"the log ends at position {reader.head()}", fix="choose one up to that")
    state = latest(reader, beside(reader.path, DIRECTORY), upto=upto) or State()
    for entry in read_all(reader, state.position):
        if entry.record.position > upto:
            break
        fold_entry(state, entry)
    return state


def _told(answer: dict[str, Any], now: float) -> list[str]:
    lines = [f"position {answer['position']} at {answer['time']}"]
    if "jobs" not in answer:
        builds = [read(build, BuildInfo) for build in answer["builds"]]
        workers = [read(worker, WorkerInfo) for worker in answer["workers"]]
        return [*lines, *asking.builds_table(builds, now=now), *_workers(workers, now)]
    header = ("JOB", "STATE", "ATTEMPT", "WORKER", "RAN", "REASON", "NAME")
    rows = [_job_row(job, now) for job in answer["jobs"]]
    build = read(answer["build"], BuildInfo)
    return [*lines, *asking.builds_table([build], now=now), *columns(header, rows)]


def _workers(workers: list[WorkerInfo], now: float) -> list[str]:
    return asking.workers_table(workers, now=now) if workers else ["no workers"]


def _job_row(job: dict[str, Any], now: float) -> tuple[str, ...]:
    ran = duration((job["ended_at"] or now) - job["started_at"]) if job["started_at"] else ""
    attempt = str(job["attempt"] or "")
    why = job["error"] or job["reason"]
    worker = (job["worker"] or "").removeprefix("http://")
    return (short(job["id"]), str(job["state"]), attempt, worker, ran, why, job["name"])
