"""The job manager's dialect: run, look, list, cancel, delete, as its first revision has it and as the others.

Errors are `{"error": text}` with 400, 403, 404 or 410; what else may go wrong keeps the status that says so.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from math import inf
from typing import Any, Self
from urllib.parse import urlencode

from attrs import frozen
from quart import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from clients import codec
from clients import jobs as wire
from clients.codec import Malformed
from clients.server import receive_body
from coordinator import builds, history
from coordinator.http import asked, who
from coordinator.http import jobs_wire as translate
from coordinator.http.errors import as_rejected, status_of
from coordinator.parts import Parts
from events.commands import CancelBuild, ForgetBuild
from events.errors import (
    BUILD_ENDED,
    BUILD_FORGOTTEN,
    BUILD_UNKNOWN,
    FILE_UNKNOWN,
    NOT_YOURS,
    Family,
    Rejected,
)
from events.ids import Position, as_uuid
from events.model import Build
from events.state import State

JSON = "application/json"
BODY_BYTES_MAX = 1 << 20
PAGE_DEFAULT, PAGE_MAX = 100, 1000
# The first parts of the dialect's paths, and what stands before them in its samples.
PREFIXES = ("", "/api", "/api/job")
# Another dialect starts jobs at this one's `/jobs`, too.
SHARED_PREFIX = "/api"
WORDS = ("run", "job_info", "list_jobs", "cancel", "delete", "jobs")
# A conflict is the caller's to mend, and the dialect has no word for it but 400.
PLAIN = {Family.CONFLICT: 400}


def blueprint(parts: Parts, prefix: str) -> Blueprint:
    """The dialect's routes below one of its prefixes."""
    dialect = Blueprint(f"jobs{prefix.replace('/', '-')}", __name__)
    _add_first(dialect, parts)
    _add_later(dialect, parts)
    if prefix != SHARED_PREFIX:

        @dialect.post("/jobs")
        async def start() -> Response:
            return await submit(parts, await receive_body(BODY_BYTES_MAX))

    @dialect.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
        return refusal(error)

    return dialect


def is_ours(path: str, base: str) -> bool:
    """Is this an address of the dialect, as far as there is any?"""
    heads = [f"{base}{prefix}/{word}" for prefix in PREFIXES for word in WORDS]
    return path in heads or path.startswith((f"{base}/api/job/", *(f"{head}/" for head in heads)))


def refusal(error: Exception) -> Response:
    """Whatever went wrong, in the dialect's shape."""
    rejected = as_rejected(error)
    status = error.code if isinstance(error, HTTPException) else PLAIN.get(rejected.code.family)
    return _json({"error": rejected.reason}, status or status_of(rejected.code))


async def submit(parts: Parts, body: bytes) -> Response:
    """Start a job; raises `Malformed`, `Rejected`."""
    sent, user = wire.read_job(body), who.user()
    job = as_uuid(parts.core.new_id(16))
    try:
        command = await parts.core.view(lambda state: translate.start(job, sent, user, state.file))
    except Rejected as refused:
        if refused.code is FILE_UNKNOWN:
            raise Malformed(refused.reason) from refused
        raise
    await builds.start(parts.core, command)
    return _json({"job_id": job}, 201)


def _add_first(dialect: Blueprint, parts: Parts) -> None:
    @dialect.post("/run")
    async def run() -> Response:
        return await submit(parts, await receive_body(BODY_BYTES_MAX))

    @dialect.get("/job_info/<job>")
    async def info(job: str) -> Response:
        return await _told(parts, job, translate.info)

    @dialect.get("/list_jobs")
    async def listing() -> Response:
        found, headers = await _listed(parts, None)
        return _json({"job_ids": [translate.id_of(build) for build in found]}, headers=headers)

    @dialect.post("/cancel")
    async def cancel() -> Response:
        return await _cancel(parts, wire.job_id(await receive_body(BODY_BYTES_MAX)))

    # Its own sample deletes at the first of these addresses, its text at the second.
    @dialect.delete("/cancel")
    @dialect.delete("/delete")
    async def delete() -> Response:
        return await _delete(parts, wire.job_id(await receive_body(BODY_BYTES_MAX)))


def _add_later(dialect: Blueprint, parts: Parts) -> None:
    @dialect.get("/jobs")
    async def page() -> Response:
        found, headers = await _listed(parts, PAGE_DEFAULT)
        shown = await parts.core.view(
            lambda state: [
                {"job_id": translate.id_of(build), **translate.described(state, build)}
                for build in found
                if build.id in state.builds
            ]
        )
        return _json(shown, headers=headers)

    @dialect.get("/jobs/<job>")
    async def job_described(job: str) -> Response:
        return await _told(parts, job, translate.described)

    @dialect.post("/jobs/<job>/cancel")
    async def cancel_job(job: str) -> Response:
        return await _cancel(parts, wire.uuid(job))

    @dialect.delete("/jobs/<job>")
    @dialect.delete("/jobs/<job>/delete")
    async def delete_job(job: str) -> Response:
        return await _delete(parts, wire.uuid(job))


async def _told(parts: Parts, job: str, tell: Callable[[State, Build], dict[str, Any]]) -> Response:
    build = await _find(parts, wire.uuid(job))
    return _json(await parts.core.view(lambda state: tell(state, state.build(build.id))))


async def _cancel(parts: Parts, job: str) -> Response:
    build = await _find(parts, job)
    try:
        await parts.core.submit(CancelBuild(build=build.id, reason="asked for"))
    except Rejected as refused:
        if refused.code is BUILD_ENDED:
            raise Rejected(BUILD_ENDED, f"job {job} has ended and cannot be cancelled") from refused
        raise
    return _json({"job_id": job})


async def _delete(parts: Parts, job: str) -> Response:
    """What still goes on is cancelled first."""
    build = await _find(parts, job)
    if not build.has_ended:
        try:
            await parts.core.submit(CancelBuild(build=build.id, reason="deleted"))
        except Rejected as refused:
            if refused.code is not BUILD_ENDED:  # it has ended meanwhile
                raise
    await parts.core.submit(ForgetBuild(build=build.id))
    return _json({"job_id": job})


async def _find(parts: Parts, job: str) -> Build:
    """The job of this UUID, which whoever asks may look at and change; raises `Rejected`."""
    key = translate.KEY + job

    def look(state: State) -> Build | None:
        found = state.builds[state.keys[key]] if key in state.keys else None
        return found if found is not None and translate.is_job(found) else None

    build = await parts.core.view(look)
    if build is None:
        if await history.started_as(parts.journal, key) is not None:
            raise Rejected(BUILD_FORGOTTEN, f"job {job} was deleted")
        raise Rejected(BUILD_UNKNOWN, f"there is no job {job}")
    who.may(build.labels.get("user", ""))
    return build


async def _listed(parts: Parts, page: int | None) -> tuple[list[Build], dict[str, str]]:
    """A page of jobs, and the header that leads to the next one; all of them if `page` is None."""
    limit = min(asked.number("limit", page or 0), PAGE_MAX) or None
    if limit is None and (page or "limit" in request.args):
        raise Malformed("limit must be a whole number from 1 on")
    wanted = Wanted.asked(before=await _after(parts))
    found = await parts.core.view(lambda state: list(islice(wanted.of(state), limit and limit + 1)))
    if limit is None or len(found) <= limit:
        return found, {}
    found.pop()
    query = {**request.args.to_dict(), "after": translate.id_of(found[-1])}
    return found, {"Link": f'<{request.path}?{urlencode(query)}>; rel="next"'}


async def _after(parts: Parts) -> Position | None:
    """Where the job began that the page before ended with; it may be deleted by now."""
    if not request.args.get("after"):
        return None
    job = wire.uuid(request.args["after"])
    position = await history.started_as(parts.journal, translate.KEY + job)
    if position is None:
        raise Malformed(f"after: there is no job {job}")
    return position


@frozen(kw_only=True)
class Wanted:
    """Which jobs: of `user` (empty: of anybody), seen by `seer` (empty: whatever there is)."""

    since: float
    until: float
    user: str
    seer: str
    states: frozenset[str]
    before: Position | None

    @classmethod
    def asked(cls, before: Position | None) -> Self:
        """By the query; raises `Malformed`, `Rejected`."""
        user, seer, args = request.args.get("user", ""), who.user(), request.args
        if user and seer and user != seer:
            raise Rejected(NOT_YOURS, f"{seer} does not see the jobs of {user}")
        states = frozenset(state.upper() for state in args.get("state", "").split(",") if state)
        if unknown := states - set(translate.STATES):
            raise Malformed(f"state must be of {', '.join(translate.STATES)}, not {', '.join(unknown)[:80]}")
        return cls(
            since=translate.moment("from", args["from"], is_end=False) if args.get("from") else -inf,
            until=translate.moment("to", args["to"], is_end=True) if args.get("to") else inf,
            user=user,
            seer=seer,
            states=states,
            before=before,
        )

    def of(self, state: State) -> Iterator[Build]:
        """The newest first."""
        for build in reversed(state.builds.values()):
            owner = build.labels.get("user", "")
            if (
                translate.is_job(build)
                and (self.before is None or build.position < self.before)
                and self.since <= build.started_at < self.until
                and (not self.user or owner == self.user)
                and (not self.seer or owner in ("", self.seer))
                and (not self.states or translate.state_of(state, build) in self.states)
            ):
                yield build


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(codec.dumps(value), status, headers, content_type=JSON)
