"""buildapi's self-serve: look at builds by branch and revision, and ask for changes, which are logged.

A change is a request: it is written down, told to whoever carries it out, and answered with its number; its
own page says what became of it. A form can only GET and POST, so `_method` (also spelled `_method_`), as a
field or in the query, may say what is meant. JSON is for whoever asks for it; anybody else gets a page.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from attrs import frozen
from quart import Blueprint, Response, g, redirect, request
from werkzeug.wrappers import Response as Redirect

from clients import codec
from clients.server import receive_body
from coordinator.http import buildapi_pages as pages
from coordinator.http import buildapi_reads as reads
from coordinator.http.errors import as_rejected, status_of
from coordinator.http.watchers import is_from_elsewhere
from coordinator.parts import Parts
from coordinator.requests import NotTaken
from events.commands import LogRequest
from events.decide.builds import PRIORITY_MAX
from events.errors import READ_ONLY, REQUESTS_OPEN, STORAGE_FULL, Rejected

PREFIXES = ("/builds", "/self-serve")
METHODS = ("GET", "POST", "PUT", "DELETE")
BODY_BYTES_MAX = 64 << 10
COUNT_MAX = 100
Answer: TypeAlias = Response | Redirect
Handler: TypeAlias = Callable[..., Awaitable[Answer]]


class Failed(Exception):
    """What is said instead, in the dialect's words."""

    def __init__(self, msg: str, status: int = 400) -> None:
        super().__init__(msg)
        self.msg = msg
        self.status = status


def blueprint(parts: Parts, sealed: str = "") -> Blueprint:
    """All routes below both prefixes, and those beside them that only look; `sealed`: so do all."""
    dialect = Blueprint("buildapi", __name__)
    looking, changing = reads.Reads(parts), Changes(parts, sealed)
    base = parts.config.base_path
    for prefix in PREFIXES:
        for path, handlers in _routes(looking, changing).items():
            _add(dialect, base + prefix, prefix + path, handlers)
    for path, handler in looking.beside().items():
        for ending in ("", "/"):
            _add(dialect, base + PREFIXES[0], path + ending, {"GET": handler})

    @dialect.errorhandler(Exception)
    async def refuse(error: Exception) -> Answer:
        if isinstance(error, reads.NotThere | reads.BadFormat):
            error = Failed(str(error), 404 if isinstance(error, reads.NotThere) else 400)
        if not isinstance(error, Failed):
            rejected = as_rejected(error)
            error = Failed(str(rejected), status_of(rejected.code))
        return reads.shown(
            {"status": "FAILED", "msg": error.msg},
            "That did not work",
            lambda value: pages.said(value["msg"]),
            error.status,
        )

    return dialect


def _routes(looking: reads.Reads, changing: "Changes") -> dict[str, dict[str, Handler]]:
    """Handlers by path and method."""
    return {
        "": {"GET": looking.branches},
        "/branches": {"GET": looking.branches},
        "/jobs": {"GET": looking.jobs},
        "/jobs/<number>": {"GET": looking.job},
        "/job_status/<number>": {"GET": looking.job},
        "/<branch>": {"GET": looking.branch},
        "/<branch>/builders": {"GET": looking.builders},
        "/<branch>/builders/<path:builder>/<revision>": {"POST": changing.build_for_builder},
        "/<branch>/user/<user>": {"GET": looking.user},
        "/<branch>/build": {"POST": changing.rebuild_build},
        "/<branch>/build/<build_id>": {"GET": looking.build, "DELETE": changing.cancel_build},
        "/<branch>/request": {"POST": changing.rebuild_request},
        "/<branch>/request/<request_id>": {
            "GET": looking.request,
            "PUT": changing.reprioritize,
            "DELETE": changing.cancel_request,
        },
        "/<branch>/rev/<revision>": {
            "GET": looking.revision,
            "POST": changing.build_at_revision,
            "DELETE": changing.cancel_revision,
        },
        "/<branch>/rev/<revision>/is_done": {"GET": looking.is_done},
        "/<branch>/rev/<revision>/pgo": {"POST": changing.pgo_at_revision},
        "/<branch>/rev/<revision>/nightly": {"POST": changing.nightly_at_revision},
        "/": {},
        "/<path:rest>": {},
    }


def _add(dialect: Blueprint, root: str, path: str, handlers: Mapping[str, Handler]) -> None:
    """`root`: what links in the answer begin with."""

    async def answer(**names: str) -> Answer:
        g.root = root
        if request.path.endswith("/"):
            query = f"?{request.query_string.decode()}" if request.query_string else ""
            return redirect(request.path.rstrip("/") + query, 301)
        handler = handlers.get(await _method())
        if handler is None:
            raise reads.NotThere("Not Found")
        return await handler(**names)

    dialect.add_url_rule(path, endpoint=path, view_func=answer, methods=METHODS)


async def _method() -> str:
    """What is meant, whatever the browser could say."""
    g.form = dict(
        parse_qsl((await receive_body(BODY_BYTES_MAX)).decode("utf-8", "replace"), keep_blank_values=True)
    )
    for values in (g.form, request.args):
        for name in ("_method", "_method_"):
            if values.get(name):
                return str(values[name]).upper()
    return "GET" if request.method == "HEAD" else request.method


@frozen
class Changes:
    """The routes that ask for something."""

    parts: Parts
    sealed: str

    async def reprioritize(self, branch: str, request_id: str) -> Answer:
        number, priority = _id("request", request_id), _integer("priority")
        await self._open_request(branch, number)
        return await self._ask("reprioritize", {"brid": number, "priority": priority})

    async def cancel_request(self, branch: str, request_id: str) -> Answer:
        number = _id("request", request_id)
        await self._open_request(branch, number)
        return await self._ask("cancel_request", {"brid": number})

    async def cancel_build(self, branch: str, build_id: str) -> Answer:
        number = _id("build", build_id)
        await self._look().find(branch, "Build", number)
        return await self._ask("cancel_build", {"bid": number})

    async def rebuild_build(self, branch: str) -> Answer:
        return await self._rebuild(branch, "build", "bid")

    async def rebuild_request(self, branch: str) -> Answer:
        return await self._rebuild(branch, "request", "brid")

    async def cancel_revision(self, branch: str, revision: str) -> Answer:
        await self._look().require(branch)
        return await self._ask("cancel_revision", {"branch": branch, "revision": revision[:12]})

    async def build_at_revision(self, branch: str, revision: str) -> Answer:
        await self._look().require(branch)
        return await self._ask("new_build_at_revision", {"branch": branch, "revision": revision})

    async def pgo_at_revision(self, branch: str, revision: str) -> Answer:
        return await self._special(branch, revision, "new_pgobuild_at_revision")

    async def nightly_at_revision(self, branch: str, revision: str) -> Answer:
        return await self._special(branch, revision, "new_nightly_at_revision")

    async def build_for_builder(self, branch: str, builder: str, revision: str) -> Answer:
        await self._look().require(branch)
        what = {
            "branch": f"{branch}-selfserve",
            "revision": revision,
            "priority": _integer("priority", 0),
            "builder_name": builder,
            "properties": _json("properties", dict) or {},
            "files": _json("files", list) or [],
        }
        return await self._ask("new_build_for_builder", what)

    async def _special(self, branch: str, revision: str, action: str) -> Answer:
        await self._look().require(branch)
        what = {"branch": branch, "revision": revision, "priority": _integer("priority", 0)}
        return await self._ask(action, what)

    async def _rebuild(self, branch: str, kind: str, key: str) -> Answer:
        number, priority = _integer(f"{kind}_id"), _integer("priority", 0)
        count = _integer("count", 1)
        if not 1 <= count <= COUNT_MAX:
            raise Failed("Bad count")
        await self._look().find(branch, kind.capitalize(), number)
        return await self._ask(f"rebuild_{kind}", {key: number, "priority": priority, "count": count})

    async def _open_request(self, branch: str, number: int) -> None:
        found = await self._look().find(branch, "Request", number)
        if found["complete"]:
            raise Failed("Request already complete")
        if found["claimed_at"]:
            raise Failed("Request is already running")

    async def _ask(self, action: str, what: Mapping[str, object]) -> Answer:
        who = _user(self.parts.config.auth_override)
        if self.sealed:
            raise Rejected(READ_ONLY, f"{self.sealed} is only looked at")
        wish = LogRequest(action=action, who=who, what=codec.dumps(what).decode())
        try:
            number = await self.parts.requests.make(wish)
        except NotTaken as error:
            raise Failed(str(error), 503) from error
        except Rejected as refusal:
            if refusal.code in (STORAGE_FULL, REQUESTS_OPEN):
                raise Failed("Couldn't create JobRequest row", 503) from refusal
            raise
        if reads.wants_json():
            return reads.as_json({"status": "OK", "request_id": number}, 202)
        return redirect(f"{reads.root()}/jobs/{number}", 302)

    def _look(self) -> reads.Reads:
        return reads.Reads(self.parts)


def _user(override: str) -> str:
    """Who asks, as whoever stands before us says; raises `Failed`.

    A page of another site may make a browser send what looks like the user's own wish.
    """
    basic = request.authorization
    named = basic.username if basic is not None and basic.type == "basic" else None
    who = override or request.headers.get("X-Remote-User") or named
    site = request.headers.get("Sec-Fetch-Site", "none")
    if not who or is_from_elsewhere(request) or site not in ("none", "same-origin"):
        raise Failed("ACCESS DENIED!", 403)
    return who


def _param(name: str) -> str | None:
    found = g.form.get(name, request.args.get(name))
    return None if found is None else str(found)


def _integer(name: str, default: int | None = None) -> int:
    text = _param(name)
    if text is None and default is not None:
        return default
    number = reads.integer(text)
    if (
        number is None
        or abs(number) > PRIORITY_MAX * PRIORITY_MAX
        or (name == "priority" and abs(number) > PRIORITY_MAX)
    ):
        raise Failed(f"Bad {name}")
    return number


def _id(kind: str, text: str) -> int:
    number = reads.integer(text)
    if number is None:
        raise Failed(f"Non-integer {kind} id")
    return number


def _json(name: str, kind: type) -> Any:
    """A parameter that is JSON; what is none, or something else, counts as nothing."""
    try:
        value = codec.loads((_param(name) or "").encode("utf-8", "replace"))
    except codec.Malformed:
        return None
    return value if isinstance(value, kind) else None
