"""What buildapi shows: each answer as JSON or as a page, whichever is asked for."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from attrs import frozen
from markupsafe import Markup
from quart import Response, g, request

from clients import codec
from coordinator.http import buildapi_pages as pages
from coordinator.http import buildapi_views as views
from coordinator.parts import Parts
from events.fold import BRANCH
from events.ids import RequestId
from events.model import Build
from events.state import State

STABLE_SECONDS = 180
NUM_MAX = 1000
RECENT = 25
Handler: TypeAlias = Callable[..., Awaitable[Response]]


class NotThere(Exception):
    """There is no such thing; the text says which."""


class BadFormat(Exception):
    """Neither JSON nor a page."""


@frozen
class Reads:
    """The routes that look."""

    parts: Parts

    def beside(self) -> dict[str, Handler]:
        """Those that are not below the prefixes."""
        return {
            "/pending": self.pending,
            "/pending/<branch>": self.pending,
            "/pending/<branch>/<platform>": self.pending,
            "/running": self.running,
            "/running/<branch>": self.running,
            "/running/<branch>/<platform>": self.running,
            "/recent": self.recent,
            "/recent/<path:worker>": self.recent,
            "/revision/<branch>/<revision>": self.revision,
        }

    async def branches(self) -> Response:
        known = views.branches(self.parts.branches)
        return shown(known, "Branches", lambda value: pages.branches(root(), value))

    async def jobs(self) -> Response:
        """The latest requests; `num` of them, from the `offset`th on."""
        num, offset = min(_count("num", 100), NUM_MAX), _count("offset", 0)

        def look(state: State) -> list[tuple[int, dict[str, Any]]]:
            newest = list(reversed(state.requests.values()))[offset : offset + num]
            return [(each.id, views.job(each)) for each in newest]

        found = await self.parts.core.view(look)
        value = [{"request_id": number, **each} for number, each in found]
        return shown(value, "Job requests", lambda _: pages.jobs(root(), found))

    async def job(self, number: str) -> Response:
        id_ = integer(number)
        found = await self.parts.core.view(lambda state: state.requests.get(RequestId(id_ or 0)))
        if found is None:
            raise NotThere(f"Job {number} not found")
        value = views.job(found)
        is_open = value["completed_at"] is None
        return shown(value, f"Request {number}", pages.job, refresh=is_open)

    async def branch(self, branch: str) -> Response:
        """What was started that day, or within one and what goes on."""
        await self.require(branch)
        day = _date()

        def wanted(build: Build) -> bool:
            if build.labels[BRANCH] != branch:
                return False
            if day is None:
                return not build.has_ended or build.started_at > self.parts.core.now() - views.DAY_SECONDS
            return day.timestamp() <= build.started_at < (day + timedelta(days=1)).timestamp()

        return await self._listed(f"Branch {branch}", wanted)

    async def builders(self, branch: str) -> Response:
        await self.require(branch)
        known = self.parts.branches.get(branch)
        names = list(known.builders) if known else []
        return shown(
            names, f"Builders of {branch}", lambda value: pages.said(", ".join(value) or "There are none.")
        )

    async def user(self, branch: str, user: str) -> Response:
        await self.require(branch)
        return await self._listed(
            f"{user} on {branch}",
            lambda build: build.labels[BRANCH] == branch and build.labels.get("user") == user,
        )

    async def build(self, branch: str, build_id: str) -> Response:
        """Once it has begun; before, there is a request only."""
        await self.require(branch)
        number = integer(build_id)

        def look(state: State) -> Any:
            found = views.find(state, branch, number or 0)
            return views.build(state, found) if found and views.begun_at(state, found) else None

        value = await self.parts.core.view(look)
        if value is None:
            raise NotThere(f"Build {build_id} not found on branch {branch}")
        return shown(value, f"Build {build_id} of {branch}", pages.values)

    async def request(self, branch: str, request_id: str) -> Response:
        value = await self.find(branch, "Request", integer(request_id) or 0, request_id)
        return shown(value, f"Request {request_id} of {branch}", pages.values)

    async def revision(self, branch: str, revision: str) -> Response:
        await self.require(branch)
        wanted = await self._of(branch, revision)
        return await self._listed(f"{branch} at {revision}", wanted)

    async def is_done(self, branch: str, revision: str) -> Response:
        await self.require(branch)
        wanted, stable = await self._of(branch, revision), _count("stableDelay", STABLE_SECONDS)

        def look(state: State) -> dict[str, Any]:
            builds = [build for build in views.of_branches(state) if wanted(build)]
            return views.is_done(state, builds, stable, self.parts.core.now())

        return shown(await self.parts.core.view(look), f"Is {revision} done?", pages.values)

    async def pending(self, branch: str = "", platform: str = "") -> Response:
        return await self._by_revision("pending", views.is_pending, views.pending, branch, platform)

    async def running(self, branch: str = "", platform: str = "") -> Response:
        return await self._by_revision("running", views.is_running, views.running, branch, platform)

    async def recent(self, worker: str = "") -> Response:
        _require_format()
        limit = min(_count("numbuilds", RECENT), NUM_MAX)
        value = await self.parts.core.view(lambda state: views.recent(state, worker, limit))
        return shown(value, "Recent builds", lambda found: pages.builds(root(), found))

    async def require(self, branch: str) -> None:
        """Raises `NotThere` for a branch that nobody knows."""
        if not await self.parts.core.view(lambda state: views.is_branch(state, self.parts.branches, branch)):
            raise NotThere(f"Branch {branch} not found")

    async def find(self, branch: str, what: str, number: int, text: str = "") -> dict[str, Any]:
        """The request with this number; raises `NotThere`, in whose words it is called `what`."""
        await self.require(branch)

        def look(state: State) -> dict[str, Any] | None:
            found = views.find(state, branch, number)
            return views.request(state, found) if found else None

        value = await self.parts.core.view(look)
        if value is None:
            raise NotThere(f"{what} {text or number} not found on branch {branch}")
        return value

    async def _of(self, branch: str, revision: str) -> Callable[[Build], bool]:
        def wanted(build: Build) -> bool:
            return views.is_of(build, branch, revision)

        if not await self.parts.core.view(lambda state: any(map(wanted, views.of_branches(state)))):
            raise NotThere(f"Revision {revision} not found on branch {branch}")
        return wanted

    async def _listed(self, title: str, wanted: Callable[[Build], bool]) -> Response:
        value = await self.parts.core.view(lambda state: views.listed(state, wanted))
        return shown(value, title, lambda found: pages.builds(root(), found))

    async def _by_revision(
        self,
        what: str,
        is_it: Callable[[State, Build], bool],
        show: Callable[[State, Build], Any],
        branch: str,
        platform: str,
    ) -> Response:
        _require_format()
        if branch:
            await self.require(branch)

        def look(state: State) -> tuple[dict[str, Any], list[dict[str, Any]]]:
            def wanted(build: Build) -> bool:
                is_named = not branch or build.labels[BRANCH] == branch
                return is_named and platform.lower() in views.builder(build).lower() and is_it(state, build)

            return views.by_revision(state, wanted, show), views.listed(state, wanted)

        value, found = await self.parts.core.view(look)
        return shown({what: value}, f"{what.capitalize()} builds", lambda _: pages.builds(root(), found))


def shown(
    value: Any, title: str, page: Callable[[Any], Markup], status: int = 200, *, refresh: bool = False
) -> Response:
    """As JSON, or as a page."""
    if wants_json():
        return as_json(value, status)
    text = pages.page(root(), title, page(value), refresh=refresh)
    answer = Response(text, status, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = pages.POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def as_json(value: Any, status: int) -> Response:
    return Response(codec.dumps(value), status, content_type="application/json")


def wants_json() -> bool:
    """`format` counts most, then what is accepted."""
    asked = request.args.get("format", "")
    return asked == "json" or (asked != "html" and "application/json" in request.headers.get("Accept", ""))


def root() -> str:
    """Where this interface is mounted, in the spelling that was used."""
    return str(g.root)


def integer(text: str | None) -> int | None:
    sign, digits = (text[:1], text[1:]) if text and text[0] in "+-" else ("", text or "")
    return int(sign + digits) if digits.isascii() and digits.isdigit() and len(digits) <= 16 else None


def _require_format() -> None:
    if request.args.get("format", "html") not in ("html", "json"):
        raise BadFormat(f"Unsupported format: {request.args['format'][:40]}")


def _count(name: str, default: int) -> int:
    """What makes no sense counts as nothing."""
    number = integer(request.args.get(name))
    return default if number is None or number < 0 else number


def _date() -> datetime | None:
    try:
        return datetime.strptime(request.args.get("date", ""), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
