"""What was found of a critical path, in words and as values."""

from typing import TYPE_CHECKING, Any

from clients.cli.texts import columns, count, duration, plain, short
from events.hindsight.attempts import Attempt
from events.hindsight.critical import Chain, Link
from events.hindsight.words import REASONS
from events.transitions import BuildStatus

if TYPE_CHECKING:
    from clients.cli.log.critical import Findings

# A job that goes on waiting for longer than this although nothing is before it is worth a word.
GAP_SECONDS = 0.05
ENDED = {
    BuildStatus.UPLOADING: "waits for its upload",
    BuildStatus.RUNNING: "has been running for",
    BuildStatus.SUCCEEDED: "succeeded in",
    BuildStatus.FAILED: "failed in",
    BuildStatus.CANCELLED: "was cancelled after",
}
# Why an attempt began just then, where nothing more is to be said.
WHY = {
    "sources-ready": "its sources were there",
    "artifact-lost": "it had to run again: its artifact was lost",
}


def told(found: "Findings", top: int) -> list[str]:
    """All of it, for people; `top` of what is beside the path."""
    path, build = found.chain, found.build
    name = f" ({plain(build.name)})" if build.name else ""
    lines = [f"build {short(build.id)}{name} {ENDED[build.status]}"]
    if build.status is not BuildStatus.UPLOADING:
        lines[0] += f" {duration(path.seconds)}"
    if not path.links:
        return [*lines, "no job of it ran"]
    ran = sum(link.seconds for link in path.links)
    waited = duration(path.seconds - ran)
    lines.append(f"critical path: {count(len(path.links), 'run')} in {duration(ran)}, {waited} between them")
    return [*lines, *_links(found), *_beside(found, top), *_tried(found)]


def values(found: "Findings") -> dict[str, Any]:
    """All of it, for programs; times in seconds."""
    path, build, error = found.chain, found.build, found.error
    return {
        "build": build.id,
        "name": build.name,
        "state": str(build.status),
        "position": found.end.position,
        "began_at": path.began_at,
        "ended_at": path.ended_at,
        "seconds": round(path.seconds, 6),
        "path": [_link_values(found, link) for link in path.links],
        "slack": {job: round(seconds, 6) for job, seconds in found.slack.items()},
        "simulated_seconds": None if found.simulated is None else round(found.simulated, 6),
        "simulation_error": None if error is None else round(error, 6),
        "savings": [
            {"job": s.job, "name": found.name(s.job, build.id), "halved": s.halved, "reused": s.cached}
            for s in found.savings
        ],
    }


def _link_values(found: "Findings", link: Link) -> dict[str, Any]:
    attempt, whole = link.attempt, found.chain.seconds
    begun_at = _begun_at(found.chain, link)
    return {
        "position": attempt.position,
        "build": attempt.build,
        "job": attempt.job,
        "name": found.name(attempt.job, attempt.build),
        "worker": attempt.worker,
        "attempt": attempt.number,
        "result": attempt.result,
        "why": link.why,
        "before": link.before and link.before.job,
        "reason": attempt.reason,
        "begun_at": begun_at,
        "queued_seconds": round(begun_at - attempt.queued_at, 6),
        "gap_seconds": round(link.gap, 6),
        "seconds": round(link.seconds, 6),
        "share": round(link.seconds / whole, 6) if whole else None,
    }


def _begun_at(path: Chain, link: Link) -> float:
    return link.attempt.lasted_until(path.ended_at) - link.seconds


def _links(found: "Findings") -> list[str]:
    header = ("BEGAN", "QUEUED", "RAN", "SHARE", "WORKER", "RESULT", "JOB", "IT BEGAN WHEN")
    return columns(header, [_link(found, link) for link in found.chain.links])


def _link(found: "Findings", link: Link) -> tuple[str, ...]:
    attempt, whole = link.attempt, found.chain.seconds
    begun_at = _begun_at(found.chain, link)
    return (
        f"+{duration(begun_at - found.chain.began_at)}",
        duration(begun_at - attempt.queued_at),
        duration(link.seconds),
        f"{link.seconds / whole:.0%}" if whole else "",
        attempt.worker.removeprefix("http://"),
        attempt.result,
        found.name(attempt.job, attempt.build),
        f"{_why(found, link.why, link.before)}{_gap(link)}",
    )


def _why(found: "Findings", why: str, before: Attempt | None) -> str:
    if why in WHY:
        return WHY[why]
    name = found.name(before.job, before.build) if before else "what it needs"
    if why in ("dependency", "slot"):
        return f"{name} was there" if why == "dependency" else f"{name} left the slot"
    return f"it had been taken back: {REASONS.get(why, why)}"


def _gap(link: Link) -> str:
    """What else it waited for."""
    if link.gap <= GAP_SECONDS:
        return ""
    reason = link.attempt.reason
    because = f": {REASONS[reason]}" if reason.startswith("waited-") else ""
    return f" and {duration(link.gap)} had passed{because}"


def _beside(found: "Findings", top: int) -> list[str]:
    rows = [(duration(s), found.name(job, found.build.id)) for job, s in found.least_slack[:top]]
    return ["", "least slack beside it:", *columns(("SLACK", "JOB"), rows)] if rows else []


def _tried(found: "Findings") -> list[str]:
    if not found.savings:
        return []
    if found.simulated is None:
        return ["", "simulated again it does not end, so nothing can be said of what would help"]
    rows = [(_saved(s.halved), _saved(s.cached), found.name(s.job, found.build.id)) for s in found.savings]
    return [
        "",
        f"simulated again it takes {duration(found.simulated)} {_off(found.error)}; it would save",
        *columns(("HALVED", "REUSED", "JOB"), rows),
    ]


def _off(error: float | None) -> str:
    """How far the simulation is from what happened."""
    if error is None:
        return "in all, if jobs of which nothing is known take as long as others"
    return f"({error:+.1%} of what it took)"


def _saved(seconds: float | None) -> str:
    return "?" if seconds is None else f"{'-' * (seconds <= -0.05)}{duration(abs(seconds))}"
