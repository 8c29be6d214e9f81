"""The application: every dialect mounted below one base path, health beside them, one shape of error."""

from quart import Response, has_request_context, request
from werkzeug.exceptions import HTTPException

from clients.codec import dumps
from clients.server import App
from coordinator.http import (
    api,
    buildapi,
    composer,
    cube,
    distbuild,
    either,
    files,
    jobs,
    outputs,
    streams,
    summary,
    views,
)
from coordinator.http.errors import answer_json, as_rejected
from coordinator.http.metrics import exposition
from coordinator.http.page import Page
from coordinator.parts import Parts
from events.errors import READ_ONLY, STOPPING, Rejected

JSON = "application/json"


def application(parts: Parts, *, sealed: str = "") -> App:
    """All routes of the coordinator; those of a log that is only looked at, `sealed`, change nothing."""
    app = App("coordinator")
    base = parts.config.base_path
    app.register_blueprint(distbuild.blueprint(parts), url_prefix=base or None)
    app.register_blueprint(cube.blueprint(parts), url_prefix=base or None)
    app.register_blueprint(buildapi.blueprint(parts, sealed), url_prefix=base or None)
    app.register_blueprint(api.blueprint(parts), url_prefix=f"{base}/api")
    app.register_blueprint(files.blueprint(parts), url_prefix=f"{base}/api")
    app.register_blueprint(composer.blueprint(parts), url_prefix=composer.base_path(parts))
    app.register_blueprint(either.blueprint(parts), url_prefix=f"{base}/api")
    for prefix in jobs.PREFIXES:
        app.register_blueprint(jobs.blueprint(parts, prefix), url_prefix=f"{base}{prefix}" or None)
    app.register_blueprint(outputs.blueprint(parts), url_prefix=f"{base}/api")
    app.register_blueprint(streams.blueprint(parts), url_prefix=f"{base}/api")
    app.register_blueprint(summary.blueprint(parts), url_prefix=base or None)
    _add_health(app, parts)
    _add_status(app, parts, sealed)
    _add_page(app, base)

    @app.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
        path = request.path if has_request_context() else ""  # no dialect has sockets
        if path.startswith(f"{composer.base_path(parts)}/"):
            return composer.refusal(parts, error)
        if jobs.is_ours(path, base):
            return jobs.refusal(error)
        rejected = as_rejected(error)
        return answer_json(rejected, error.code if isinstance(error, HTTPException) else None)

    return app


def _add_health(app: App, parts: Parts) -> None:
    base = parts.config.base_path

    @app.get(f"{base}/healthz")
    async def alive() -> Response:
        return Response(dumps({"status": "ok"}), content_type=JSON)

    @app.get(f"{base}/readyz")
    async def ready() -> Response:
        if parts.journal.is_stopping:
            return answer_json(Rejected(STOPPING))
        return Response(dumps({"status": "ok", "position": parts.journal.durable}), content_type=JSON)

    @app.get(f"{base}/metrics")
    async def metrics() -> Response:
        return Response(exposition(parts), content_type="text/plain; version=0.0.4; charset=utf-8")


def _add_status(app: App, parts: Parts, sealed: str) -> None:
    @app.get(f"{parts.config.base_path}/api/status")
    async def status() -> Response:
        return Response(dumps(views.status(parts, sealed)), content_type=JSON)

    @app.before_request
    async def keep_sealed() -> Response | None:
        if sealed and request.method not in ("GET", "HEAD"):
            return answer_json(Rejected(READ_ONLY, f"{sealed} is only looked at"))
        return None


def _add_page(app: App, base: str) -> None:
    page = Page.built()

    @app.get(f"{base}/")
    async def index() -> Response:
        return page.answer("index.html")

    @app.get(f"{base}/mark.svg")
    async def mark() -> Response:
        return page.answer("mark.svg")

    @app.get(f"{base}/web/<name>")
    async def file(name: str) -> Response:
        return page.answer(f"web/{name}")
