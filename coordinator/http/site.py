"""The application: every dialect mounted below one base path, health beside them, one shape of error."""

from importlib.resources import files

from quart import Response

from clients.codec import dumps
from clients.server import App
from coordinator.http import api, distbuild, streams
from coordinator.http.errors import answer_json, as_rejected
from coordinator.http.metrics import exposition
from coordinator.parts import Parts
from events.errors import INTERNAL, STOPPING, Rejected

JSON = "application/json"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_FILES = {"live.js": "text/javascript; charset=utf-8", "live.css": "text/css; charset=utf-8"}


def application(parts: Parts) -> App:
    """All routes of the coordinator."""
    app = App("coordinator")
    base = parts.config.base_path
    app.register_blueprint(distbuild.blueprint(parts), url_prefix=base or None)
    app.register_blueprint(api.blueprint(parts), url_prefix=f"{base}/api")
    app.register_blueprint(streams.blueprint(parts), url_prefix=f"{base}/api")
    _add_health(app, parts)
    _add_page(app, base)

    @app.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
        rejected = as_rejected(error)
        if rejected.code is INTERNAL:
            app.log_exception((type(error), error, error.__traceback__))  # type: ignore[arg-type]
        return answer_json(rejected, 500 if rejected.code is INTERNAL else getattr(error, "code", None))

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
        answer = Response(web.joinpath("live.html").read_bytes(), content_type="text/html; charset=utf-8")
        answer.headers["Content-Security-Policy"] = PAGE_POLICY
        return answer

    @app.get(f"{base}/web/<name>")
    async def page_file(name: str) -> Response:
        if name not in PAGE_FILES:
            return Response(b"", 404)
        return Response(web.joinpath(name).read_bytes(), content_type=PAGE_FILES[name])
