"""buildapi's answers as pages for people: small, without scripts, in the colours that the reader prefers.

Every text is escaped on its way in (`markupsafe`), and the policy lets no page run or load anything.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d5dae0, #3a424c); --soft: light-dark(#59636e, #9aa6b2);
  --link: light-dark(#0b57b0, #79b8ff); --good: light-dark(#1a7f37, #56d364);
  --bad: light-dark(#b3261e, #ff8f85); --head: light-dark(#f3f5f7, #1d232a); }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem;
  background: light-dark(#fff, #14181d); color: light-dark(#1f2328, #e2e8ee); }
a { color: var(--link); } nav { margin-bottom: 1rem; color: var(--soft); }
h1 { font-size: 1.4rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { background: var(--head); white-space: nowrap; } tbody th { font-weight: 600; white-space: nowrap; }
td { overflow-wrap: break-word; } .soft { color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); } time { white-space: nowrap; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
REFRESH_SECONDS = 30
# So much of a revision is shown in lists.
REVISION_CHARS = 12
RESULTS = {0: "success", 1: "warnings", 2: "failure", 3: "skipped", 4: "exception", 5: "retry"}
# Fields that hold times.
TIMES = {
    *("submittime", "complete_at", "claimed_at", "starttime", "endtime", "when", "completed_at"),
    *("submitted_at", "start_time"),
}


def page(root: str, title: str, body: Markup, *, refresh: bool = False) -> str:
    """`root`: where this interface is mounted; `refresh`: look again by itself."""
    again = Markup('<meta http-equiv="refresh" content="{}">').format(REFRESH_SECONDS) if refresh else ""
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} · buildapi</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">{again}'
        "<style>{style}</style></head>"
        '<body><nav><a href="{root}">branches</a> · <a href="{root}/jobs">job requests</a></nav>'
        "<main><h1>{title}</h1>{body}</main></body></html>"
    ).format(title=title, again=again, style=Markup(STYLE), root=root, body=body)  # noqa: S704  it is ours


def branches(root: str, known: Mapping[str, Mapping[str, Any]]) -> Markup:
    rows = [
        (
            link(f"{root}/{path(name)}", name),
            each["repo"],
            each["repo_type"],
            link(f"{root}/{path(name)}/builders", "builders"),
        )
        for name, each in known.items()
    ]
    return table(("Branch", "Repository", "Type", ""), rows) if rows else said("No branches are configured.")


def builds(root: str, entries: Sequence[Mapping[str, Any]]) -> Markup:
    """Builds and requests, as the JSON lists them."""
    head = ("Builder", "State", "Revision", "Priority", "Submitted", "Began", "Ended", "Worker")
    return (
        table(head, [_build_row(root, each) for each in entries]) if entries else said("There are no builds.")
    )


def jobs(root: str, entries: Sequence[tuple[int, Mapping[str, Any]]]) -> Markup:
    rows = [
        (
            link(f"{root}/jobs/{number}", str(number)),
            each["action"],
            each["who"],
            time(each["when"]),
            outcome(each),
        )
        for number, each in entries
    ]
    return (
        table(("Request", "Action", "Who", "When", "Outcome"), rows)
        if rows
        else said("Nobody asked for anything.")
    )


def job(entry: Mapping[str, Any]) -> Markup:
    """A request, with its parameters and what came of it."""
    rows: list[tuple[object, object]] = [
        ("Action", entry["action"]),
        ("Who", entry["who"]),
        ("When", time(entry["when"])),
        ("Completed", time(entry["completed_at"])),
        ("Outcome", outcome(entry)),
    ]
    return facts([*rows, *((name, _value(name, value)) for name, value in entry["what"].items())])


def values(entry: Mapping[str, Any]) -> Markup:
    """Any other object."""
    return facts((name, _value(name, value)) for name, value in entry.items())


def names(links: Iterable[tuple[str, str]]) -> Markup:
    items = Markup("").join(Markup("<li>{}</li>").format(link(*each)) for each in links)
    return Markup("<ul>{}</ul>").format(items) if items else said("There are none.")


def said(text: str) -> Markup:
    return Markup("<p>{}</p>").format(text)


def outcome(entry: Mapping[str, Any]) -> Markup:
    if entry["completed_at"] is None:
        return Markup('<span class="soft">not completed yet</span>')
    data = entry["complete_data"]
    body = data.get("body", data) if isinstance(data, dict) else {}
    body = body if isinstance(body, dict) else {}
    return mark(str(body.get("msg", "completed")), good=not body.get("errors"))


def mark(text: str, *, good: bool) -> Markup:
    return Markup('<span class="{}">{}</span>').format("good" if good else "bad", text)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    heads = Markup("").join(Markup('<th scope="col">{}</th>').format(text) for text in head)
    lines = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in rows
    )
    return Markup(
        '<div class="wide"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(heads, lines)


def facts(rows: Iterable[tuple[object, object]]) -> Markup:
    lines = [Markup('<tr><th scope="row">{}</th><td>{}</td></tr>').format(*row) for row in rows]
    return Markup('<div class="wide"><table><tbody>{}</tbody></table></div>').format(Markup("").join(lines))


def link(target: str, text: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(target, text)


def path(text: object) -> str:
    return quote(str(text), safe="")


def time(seconds: int | None) -> Markup:
    if not seconds:
        return Markup("")
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), at.strftime("%Y-%m-%d %H:%M:%SZ"))


def _build_row(root: str, entry: Mapping[str, Any]) -> tuple[object, ...]:
    asked = entry["requests"][0] if "requests" in entry else entry
    kind, number = ("build", entry["build_id"]) if "build_id" in entry else ("request", entry["request_id"])
    branch = f"{root}/{path(asked['branch'])}"
    return (
        link(f"{branch}/{kind}/{number}", asked["buildername"] or str(number)),
        _state(entry, asked),
        link(f"{branch}/rev/{path(asked['revision'])}", asked["revision"][:REVISION_CHARS]),
        asked["priority"],
        time(asked["submittime"]),
        time(entry.get("starttime")),
        time(asked["complete_at"]),
        entry.get("claimed_by_name") or "",
    )


def _state(entry: Mapping[str, Any], asked: Mapping[str, Any]) -> Markup:
    if entry.get("status") is not None:
        return mark(RESULTS.get(entry["status"], str(entry["status"])), good=entry["status"] == 0)
    if "build_id" in entry:
        return escape("running")
    return mark("cancelled", good=False) if asked["complete"] else Markup('<span class="soft">pending</span>')


def _value(name: str, value: Any) -> object:
    if name in TIMES and isinstance(value, int):
        return time(value)
    if name == "status" and value in RESULTS:
        return mark(RESULTS[value], good=value == 0)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return facts((key, _value(key, item)) for key, item in value.items()) if value else ""
    if isinstance(value, list):
        return Markup("<br>").join(escape(_value(name, item)) for item in value)
    return "" if value is None else value
