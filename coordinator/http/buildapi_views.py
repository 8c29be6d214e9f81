"""The state in buildapi's words: a build of a branch is both its *request* and, once it runs, its *build*.

Both have the number that the build was given; so request 7 and build 7 are the same thing, looked at before
and after a worker took it up. All times are whole seconds since 1970.
"""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from clients.agent import Branches
from events.fold import BRANCH
from events.ids import WorkerId
from events.model import Build, Request
from events.state import State
from events.transitions import BuildStatus, JobStatus

# buildbot's results.
SUCCESS, FAILURE, EXCEPTION, RETRY = 0, 2, 4, 5
PASSED = {SUCCESS, RETRY}
# A revision is what begins like this much of what was asked for.
REVISION_CHARS = 12
DAY_SECONDS = 86_400.0
PROPERTY = "property:"


def branches(known: Branches) -> dict[str, Any]:
    return {
        branch.name: {
            "repo": branch.repo,
            "repo_type": branch.repo_type,
            "graph_branches": list(branch.graph_branches),
        }
        for branch in known.by_name.values()
    }


def is_branch(state: State, known: Branches, name: str) -> bool:
    """Is it configured, or was anything ever built of it?"""
    return name in known.by_name or any(build.labels[BRANCH] == name for build in of_branches(state))


def of_branches(state: State) -> Iterator[Build]:
    """The builds that have a branch, newest first."""
    return (state.builds[id_] for id_ in reversed(state.numbers.values()))


def find(state: State, branch: str, number: int) -> Build | None:
    id_ = state.numbers.get(number)
    build = state.builds[id_] if id_ is not None else None
    return build if build is not None and build.labels[BRANCH] == branch else None


def is_of(build: Build, branch: str, revision: str) -> bool:
    wanted = revision[:REVISION_CHARS]
    return build.labels[BRANCH] == branch and build.labels.get("revision", "").startswith(wanted)


def begun_at(state: State, build: Build) -> float:
    """When the first job was given to a worker, or turned out to be done; 0 if none was."""
    tally = state.graphs[build.id].tally
    if tally[JobStatus.BLOCKED] + tally[JobStatus.QUEUED] == build.job_count:
        return 0.0
    jobs = state.graphs[build.id].jobs.values()
    times = (job.started_at or job.ended_at * (job.status is JobStatus.SUCCEEDED) for job in jobs)
    return min((time for time in times if time), default=0.0)


def is_pending(state: State, build: Build) -> bool:
    return not build.has_ended and not begun_at(state, build)


def is_running(state: State, build: Build) -> bool:
    return not build.has_ended and bool(begun_at(state, build))


def status(state: State, build: Build) -> int | None:
    """buildbot's result; None while there is none."""
    match build.status:
        case BuildStatus.SUCCEEDED:
            return SUCCESS
        case BuildStatus.FAILED:
            return FAILURE
        case BuildStatus.CANCELLED:
            return EXCEPTION if begun_at(state, build) else FAILURE
        case _:
            return None


def request(state: State, build: Build) -> dict[str, Any]:
    begun = begun_at(state, build)
    who = build.labels.get("user", "")
    properties = {
        name.removeprefix(PROPERTY): value
        for name, value in build.labels.items()
        if name.startswith(PROPERTY)
    }
    return {
        "request_id": build.number,
        "buildername": builder(build),
        "branch": build.labels[BRANCH],
        "revision": build.labels.get("revision", ""),
        "submittime": int(build.started_at),
        "complete": int(build.has_ended),
        "complete_at": _seconds(build.ended_at),
        "priority": build.priority,
        "claimed_at": int(begun),
        "reason": f"Self-serve: Requested by {who}" if who else "",
        "properties": properties,
        "build_ids": [build.number] if begun else [],
    }


def build(state: State, build: Build) -> dict[str, Any]:
    jobs = state.graphs[build.id].jobs.values()
    return {
        "build_id": build.number,
        "requests": [request(state, build)],
        "buildnumber": build.number,
        "buildername": builder(build),
        "branch": build.labels[BRANCH],
        "revision": build.labels.get("revision", ""),
        "starttime": _seconds(begun_at(state, build)),
        "endtime": _seconds(build.ended_at),
        "status": status(state, build),
        "claimed_by_name": next((job.worker for job in jobs if job.worker), None),
    }


def either(state: State, about: Build) -> dict[str, Any]:
    """As a build if it began, as a request while it waits, or never did."""
    return build(state, about) if begun_at(state, about) else request(state, about)


def listed(state: State, wanted: Callable[[Build], bool]) -> list[dict[str, Any]]:
    return [either(state, each) for each in of_branches(state) if wanted(each)]


def is_done(state: State, builds: list[Build], stable_seconds: int, now: float) -> dict[str, Any]:
    """Has nothing happened for so long, and did all go well?"""
    complete = all(each.has_ended and each.ended_at <= now - stable_seconds for each in builds)
    passed = complete and all(status(state, each) in PASSED for each in builds)
    return {"stableDelay": stable_seconds, "job_complete": complete, "job_passed": passed}


def by_revision(
    state: State, wanted: Callable[[Build], bool], show: Callable[[State, Build], Any]
) -> dict[str, Any]:
    """Branch, then revision, then what there is of it."""
    found: dict[str, dict[str, list[Any]]] = {}
    for each in of_branches(state):
        if wanted(each):
            revisions = found.setdefault(each.labels[BRANCH], {})
            revisions.setdefault(each.labels.get("revision", ""), []).append(show(state, each))
    return found


def pending(_state: State, each: Build) -> dict[str, Any]:
    return {
        "id": each.number,
        "buildername": builder(each),
        "priority": each.priority,
        "submitted_at": int(each.started_at),
    }


def running(state: State, each: Build) -> dict[str, Any]:
    shown = build(state, each)
    return {
        "id": each.number,
        "number": each.number,
        "buildername": builder(each),
        "request_ids": [each.number],
        "submitted_at": int(each.started_at),
        "start_time": shown["starttime"],
        "claimed_by_name": shown["claimed_by_name"],
    }


def recent(state: State, worker: str, limit: int) -> list[dict[str, Any]]:
    """Builds that have ended, the latest first; of one worker, if it is named."""
    ended = sorted((b for b in of_branches(state) if b.has_ended), key=lambda b: b.ended_at, reverse=True)
    return list(
        islice((build(state, each) for each in ended if not worker or _ran_on(state, each, worker)), limit)
    )


def job(logged: Request) -> dict[str, Any]:
    """A job request, as its status page has it."""
    return {
        "action": logged.action,
        "who": logged.who,
        "when": int(logged.logged_at),
        "completed_at": _seconds(logged.finished_at),
        "complete_data": json.loads(logged.answer) if logged.answer else None,
        "what": json.loads(logged.what),
    }


def _ran_on(state: State, each: Build, worker: str) -> bool:
    """The worker goes by its URL, or by what people call it."""
    return any(
        worker in (job.worker, _name(state, job.worker)) for job in state.graphs[each.id].jobs.values()
    )


def _name(state: State, worker: WorkerId) -> str:
    known = state.workers.get(worker)
    return known.labels.get("name", "") if known else ""


def builder(build: Build) -> str:
    """What people call what was built."""
    return build.labels.get("builder") or build.name


def _seconds(time: float) -> int | None:
    return int(time) if time else None
