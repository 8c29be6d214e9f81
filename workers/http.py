"""The worker's own server: other workers and the coordinator fetch artifacts here."""

import re
from collections.abc import AsyncIterator
from contextlib import aclosing

import trio
from quart import Blueprint, Response, request

from clients.archive import RunSync, pack
from clients.distbuild import PATH_ARTIFACT
from clients.server import App
from events.ids import JobId, is_hex40
from workers.cache import Cache, Kept
from workers.cube import Cube, routes

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def application(
    cache: Cache,
    *,
    base_path: str = "",
    run_sync: RunSync = trio.to_thread.run_sync,
    cube: Cube | None = None,
) -> App:
    """Serve the artifacts in `cache`, and Cube's tasks of this worker, if there is a coordinator for them.

    At the root, and below `base_path` if the worker's URL has a path.
    """
    app = App(__name__)
    app.register_blueprint(_routes(cache, run_sync))
    if base_path:
        app.register_blueprint(_routes(cache, run_sync), url_prefix=f"/{base_path}", name="based")
    if cube is not None:
        app.register_blueprint(routes(cube))
    if cube is not None and base_path:
        app.register_blueprint(routes(cube), url_prefix=f"/{base_path}", name="based-cube")
    return app


def _routes(cache: Cache, run_sync: RunSync) -> Blueprint:
    routes = Blueprint("worker", __name__)

    @routes.get("/healthz")
    async def healthz() -> Response:
        return _text("ok", 200)

    @routes.get(PATH_ARTIFACT)
    async def artifact() -> Response:
        ids, digests = request.args.getlist("id"), request.args.getlist("digest")
        if len(ids) != 1 or not is_hex40(ids[0]):
            return _text("id must be 40 lower-case hex digits, once", 400)
        if len(digests) > 1 or not all(map(_DIGEST.match, digests)):
            return _text("digest must be 64 lower-case hex digits, at most once", 400)
        kept = cache.artifact(JobId(ids[0]), digests[0] if digests else "")
        if kept is None:
            return _text("no such artifact here", 404)
        headers = {"content-disposition": f'attachment; filename="{ids[0]}.tar"'}
        return _guarded(
            Response(_packed(cache, kept, run_sync), headers=headers, content_type="application/x-tar")
        )

    return routes


async def _packed(cache: Cache, kept: Kept, run_sync: RunSync) -> AsyncIterator[bytes]:
    with cache.using(kept):
        async with aclosing(pack(cache.directory_of(kept), run_sync=run_sync)) as chunks:
            async for chunk in chunks:
                yield chunk


def _text(text: str, status: int) -> Response:
    return _guarded(Response(text + "\n", status, content_type="text/plain; charset=utf-8"))


def _guarded(response: Response) -> Response:
    # What a job made is data, whatever a browser takes it for.
    response.headers["x-content-type-options"] = "nosniff"
    return response
