"""Our own interface, beside the dialects: look at builds and workers, cancel, fetch artifacts."""

from quart import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as Redirect

from clients import codec
from clients.server import receive_body
from coordinator.builds import again as start_again
from coordinator.builds import resolve
from coordinator.history import explanation, find, state_at
from coordinator.http import asked, views
from coordinator.http.compression import accepts_gzip, encoded
from coordinator.http.digest import digest
from coordinator.http.errors import answer_json, as_rejected, describe
from coordinator.parts import Parts
from events.commands import CancelBuild, PrioritiseBuild
from events.errors import (
    ARTIFACT_UNKNOWN,
    CATALOG,
    MALFORMED,
    ROUTE_UNKNOWN,
    Rejected,
)
from events.ids import COORDINATOR, BuildId, JobId, Position, RequestId, WorkerId, is_hex40
from events.state import State
from events.transitions import BuildStatus, as_json

JSON = "application/json"
BODY_BYTES_MAX = 64 << 10
PAGE_DEFAULT, PAGE_MAX = 50, 1000


def blueprint(parts: Parts) -> Blueprint:
    """The routes below /api that answer at once; the live ones are in `streams`."""
    api = Blueprint("api", __name__)
    _add_builds(api, parts)
    _add_jobs(api, parts)
    _add_workers(api, parts)
    _add_catalog(api)

    @api.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
        return answer_json(as_rejected(error))

    return api


def _add_builds(api: Blueprint, parts: Parts) -> None:
    @api.get("/builds")
    async def builds() -> Response:
        limit = min(asked.number("limit", PAGE_DEFAULT), PAGE_MAX)
        if not limit:
            raise Rejected(MALFORMED, "limit must be a whole number from 1 on")
        before, status, labels = asked.number("before", 0), _status(request.args.get("state")), asked.labels()
        page = await parts.core.view(lambda state: views.builds(state, status, labels, before, limit))
        return _json(page)

    @api.get("/builds/<name>")
    async def build(name: str) -> Response:
        shown, may_be_packed = await _shown(parts, name), accepts_gzip(request.accept_encodings)
        body, headers = await parts.run_sync(encoded, shown.pieces(), may_be_packed)
        return Response(body, content_type=JSON, headers=headers)

    @api.get("/builds/<name>/digest")
    async def build_digest(name: str) -> Response:
        shown = await _shown(parts, name)
        hex_ = await parts.run_sync(lambda: digest(shown.about, shown.jobs()))
        return _json({"position": shown.position, "digest": hex_})

    @api.post("/builds/<name>/cancel")
    async def cancel(name: str) -> Response:
        body = await receive_body(BODY_BYTES_MAX)
        sent = codec.loads(body) if body else {}
        reason = sent.get("reason", "") if isinstance(sent, dict) else None
        if not isinstance(reason, str):
            raise Rejected(MALFORMED, 'the body must be {"reason": text}')
        id_ = await parts.core.view(lambda state: resolve(state, name))
        await parts.core.submit(CancelBuild(build=id_, reason=reason or "asked for"))
        return _json(await parts.core.view(lambda state: views.summary(state, state.builds[id_])))

    @api.post("/builds/<name>/priority")
    async def prioritise(name: str) -> Response:
        priority, by = _priority(codec.loads(await receive_body(BODY_BYTES_MAX)))
        id_ = await parts.core.view(lambda state: resolve(state, name))
        await parts.core.submit(PrioritiseBuild(build=id_, priority=priority, request=by))
        return _json(await parts.core.view(lambda state: views.summary(state, state.builds[id_])))

    @api.post("/builds/<name>/again")
    async def again(name: str) -> Response:
        body, key, labels = await receive_body(BODY_BYTES_MAX), request.args.get("key", ""), asked.labels()
        priority, _ = _priority(codec.loads(body) if body else {"priority": 0})
        id_ = await parts.core.view(lambda state: resolve(state, name))
        started = await start_again(parts.core, id_, key=key, labels=labels, priority=priority)
        return _json(await parts.core.view(lambda state: views.summary(state, state.builds[started])))


def _add_jobs(api: Blueprint, parts: Parts) -> None:
    @api.get("/builds/<name>/jobs/<job>/why")
    async def why(name: str, job: str) -> Response:
        # The log tells of builds, too, that State has forgotten; those have to be named in full.
        build = BuildId(name) if is_hex40(name) else await parts.core.view(lambda state: resolve(state, name))
        at = Position(asked.number("at", parts.journal.durable))
        return _json(views.explanation(await explanation(parts.journal, build, JobId(job), at)))

    @api.get("/builds/<name>/artifacts/<job>")
    async def artifact(name: str, job: str) -> Redirect:
        def look(state: State) -> tuple[JobId, str, WorkerId | None]:
            _, found = asked.job(state, name, job)
            holder = state.locate(found.id, found.digest) if found.digest else None
            return found.id, found.digest, holder

        id_, digest, holder = await parts.core.view(look)
        if holder is None:
            raise Rejected(ARTIFACT_UNKNOWN, f"no live worker holds the artifact of job {id_}")
        if holder == COORDINATOR:
            holder = WorkerId(f"{request.host_url.rstrip('/')}{parts.config.base_path}")
        return redirect(f"{holder.rstrip('/')}/artifact?id={id_}&digest={digest}", 307)


def _add_workers(api: Blueprint, parts: Parts) -> None:
    @api.get("/workers")
    async def workers() -> Response:
        return _json(await parts.core.view(views.workers))

    @api.get("/workers/<path:name>")
    async def worker(name: str) -> Response:
        return _json(await parts.core.view(lambda state: views.worker(state, state.worker(WorkerId(name)))))


def _add_catalog(api: Blueprint) -> None:
    @api.get("/transitions")
    async def transitions() -> Response:
        return _json(as_json())

    @api.get("/errors")
    async def errors() -> Response:
        return _json({"errors": [describe(code) for code in CATALOG.values()]})

    @api.get("/errors/<code>")
    async def error(code: str) -> Response:
        if code not in CATALOG:
            raise Rejected(ROUTE_UNKNOWN, f"there is no error {code[:40]}")
        return _json(describe(CATALOG[code]))


async def _shown(parts: Parts, name: str) -> views.Shown:
    """The build as it was at the position that the query names, or is now."""
    if "at" in request.args:
        old = await state_at(parts.journal, Position(asked.number("at", 0)), parts.keeper)
        return views.build(old, resolve(old, name))
    id_ = await find(parts.core, name)
    return await parts.core.view(lambda state: views.build(state, resolve(state, id_)))


def _priority(sent: object) -> tuple[int, RequestId]:
    """And the request that asks for it, which only an agent names."""
    priority, by = (sent.get("priority"), sent.get("request", 0)) if isinstance(sent, dict) else (None, 0)
    if type(priority) is not int or type(by) is not int:
        raise Rejected(MALFORMED, 'the body must be {"priority": whole number}')
    return priority, RequestId(by)


def _status(text: str | None) -> BuildStatus | None:
    if text is None:
        return None
    try:
        return BuildStatus(text)
    except ValueError as error:
        raise Rejected(MALFORMED, f"state must be one of {', '.join(BuildStatus)}") from error


def _json(value: object) -> Response:
    return Response(codec.dumps(value), content_type=JSON)
