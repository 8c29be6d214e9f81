"""A build in plain HTML, for whoever has no scripts: its state, what failed, and where its output is.

The page itself shows more and keeps up; this is what can be printed, and read by anything that shows HTML.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from urllib.parse import quote

from quart import Blueprint, Response

from coordinator.builds import resolve
from coordinator.history import find
from coordinator.http import asked
from coordinator.http.errors import answer_json, as_rejected
from coordinator.parts import Parts
from events.catalog import JobFailed
from events.model import Build
from events.state import State
from events.transitions import JobStatus

PAGE_DEFAULT, PAGE_MAX = 50, 1000
FAILURES_SHOWN = 100
META = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def blueprint(parts: Parts) -> Blueprint:
    """The routes below the root."""
    summary = Blueprint("summary", __name__)
    base = parts.config.base_path

    @summary.get("/b")
    async def builds() -> Response:
        limit = min(asked.number("limit", PAGE_DEFAULT), PAGE_MAX)
        lines = await parts.core.view(lambda state: [*_listed(base, state, limit)])
        return _html("Builds", lines)

    @summary.get("/b/<name>")
    async def build(name: str) -> Response:
        id_ = await find(parts.core, name)
        title, lines = await parts.core.view(
            lambda state: _told(base, state, state.build(resolve(state, id_)))
        )
        return _html(title, lines)

    @summary.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
        return answer_json(as_rejected(error))

    return summary


def _listed(base: str, state: State, limit: int) -> Iterator[str]:
    yield "<h1>Builds</h1><ul>"
    for build in [*reversed(state.builds.values())][:limit]:
        name = _text(build.name or build.id[:8])
        yield f'<li><a href="{base}/b/{build.id}">{name}</a>: {build.status}, {_when(build.started_at)}</li>'
    yield f'</ul><p><a href="{base}/">The live page</a></p>'


def _told(base: str, state: State, build: Build) -> tuple[str, list[str]]:
    graph, name = state.graphs[build.id], build.name or build.id[:8]
    counts = ", ".join(f"{count} {status}" for status, count in graph.tally.items() if count) or "none"
    lines = [
        f"<h1>{_text(name)}: {build.status}</h1>",
        f"<p>{_text(build.error)}</p>" if build.error else "",
        f"<p>Jobs: {counts}. Started {_when(build.started_at)}",
        f", ended {_when(build.ended_at)}.</p>" if build.ended_at else "; it goes on.</p>",
    ]
    failures = list(graph.failures.values())
    if failures:
        lines.append("<h2>What failed</h2><ul>")
        lines += [_failure(base, state, build, each) for each in failures[:FAILURES_SHOWN]]
        lines.append("</ul>")
        if len(failures) > FAILURES_SHOWN:
            lines.append(f"<p>And {len(failures) - FAILURES_SHOWN} more.</p>")
    running = [job for job in graph.jobs.values() if job.status is JobStatus.RUNNING][:FAILURES_SHOWN]
    if running:
        names = ", ".join(_text(job.spec.name or job.id[:8]) for job in running)
        lines.append(f"<p>Running: {names}.</p>")
    lines.append(
        f'<p><a href="{base}/#/b/{build.id}">The live page</a> · <a href="{base}/b">All builds</a></p>'
    )
    return f"{name}: {build.status}", lines


def _failure(base: str, state: State, build: Build, failed: JobFailed) -> str:
    spec = state.graphs[build.id].jobs[failed.job].spec
    output = f"{base}/api/builds/{build.id}/jobs/{quote(failed.job)}/output?stream="
    links = " ".join(f'<a href="{output}{stream}">{stream}</a>' for stream in ("stderr", "stdout"))
    return f"<li>{_text(spec.name or failed.job[:8])}: {_text(failed.error)} ({links})</li>"


def _html(title: str, lines: list[str]) -> Response:
    head = f"{META}<title>{_shown(title)}</title>"
    body = "\n".join(line for line in lines if line)
    page = f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'
    answer = Response(page, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _text(text: str) -> str:
    """A text of somebody's as markup: by itself, whatever direction it has."""
    return f"<bdi>{_shown(text)}</bdi>"


def _shown(text: str) -> str:
    """What would not be seen, as one that reorders what follows it, is seen."""
    return escape("".join(char if char.isprintable() else "�" for char in text))


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
