"""The application: every dialect mounted below one base path, health beside them, one shape of error."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from quart import Response
from werkzeug.exceptions import HTTPException

from clients.codec import dumps
from clients.server import App
from coordinator.http import api, distbuild, outputs, streams
from coordinator.http.errors import answer_json, as_rejected
from coordinator.http.metrics import exposition
from coordinator.parts import Parts
from events.errors import ROUTE_UNKNOWN, STOPPING, Rejected

JSON = "application/json"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # What jobs are called and print stays text: the browser refuses to read any string as markup.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
MODULES = (
    "build",
    "builds",
    "dom",
    "farm",
    "live",
    "model",
    "output",
    "panel",
    "route",
    "rows",
    "stream",
    "words",
)
PAGE_FILES = {
    "live.css": "text/css; charset=utf-8",
    "mark.svg": "image/svg+xml",
    **{f"{name}.js": "text/javascript; charset=utf-8" for name in MODULES},
}


def application(parts: Parts) -> App:
    """All routes of the coordinator."""
    app = App("coordinator")
    base = parts.config.base_path
    app.register_blueprint(distbuild.blueprint(parts), url_prefix=base or None)
    app.register_blueprint(api.blueprint(parts), url_prefix=f"{base}/api")
    app.register_blueprint(outputs.blueprint(parts), url_prefix=f"{base}/api")
    app.register_blueprint(streams.blueprint(parts), url_prefix=f"{base}/api")
    _add_health(app, parts)
    _add_page(app, base)

    @app.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
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


def _add_page(app: App, base: str) -> None:
    web = files("clients").joinpath("web")

    @app.get(f"{base}/")
    async def page() -> Response:
        return _page_answer(web.joinpath("live.html"), "text/html; charset=utf-8")

    @app.get(f"{base}/web/<name>")
    async def page_file(name: str) -> Response:
        if name not in PAGE_FILES:
            return answer_json(Rejected(ROUTE_UNKNOWN, f"the page has no file {name[:40]!r}"))
        return _page_answer(web.joinpath(name), PAGE_FILES[name])


def _page_answer(file: Traversable, content_type: str) -> Response:
    answer = Response(file.read_bytes(), content_type=content_type)
    answer.headers["Content-Security-Policy"] = PAGE_POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    # The page and its modules belong together, so a new version must show at once.
    answer.headers["Cache-Control"] = "no-cache"
    return answer
