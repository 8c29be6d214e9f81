"""What is happening in a build, in words: the same ones for the live display, for pipes and at the end.

Nothing here draws or colours. Every idle second has a reason, and every reason is one of these texts.
"""

import shlex
from collections.abc import Mapping
from typing import TextIO

from attrs import frozen

from clients.cli.texts import count, duration, middle, plain, short
from clients.cli.view import BuildView, JobView
from events.hindsight.words import because
from events.transitions import BuildStatus, JobStatus

# Of so many failed jobs the end of what they printed is repeated.
TAILS_MAX = 3
TAIL_LINES = 20
PATH_JOBS_MAX = 5
# Of a long name at least so much is shown.
NAME_CHARS_MIN = 12
# Where lines may be of any length.
LINE_CHARS = 200


@frozen(kw_only=True)
class Symbols:
    """A mark for each way a job can end; the words beside it say the same."""

    succeeded: str = "✓"
    failed: str = "✗"
    cancelled: str = "⊘"
    reused: str = "⤓"
    running: str = "▸"
    again: str = "↻"
    more: str = "…"
    then: str = " → "


ASCII = Symbols(
    succeeded="+", failed="x", cancelled="-", reused="=", running=">", again="~", more="...", then=" -> "
)


def symbols_for(stream: TextIO) -> Symbols:
    """The marks that the stream's encoding can show."""
    try:
        "".join((Symbols().succeeded, Symbols().reused, Symbols().then)).encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return Symbols()


@frozen(kw_only=True)
class Farm:
    """The workers as last heard of; `slots` and `busy` add up those that are alive."""

    workers: int
    slots: int
    busy: int


def progress(view: BuildView, symbols: Symbols) -> str:
    """`312/1000 jobs  ✓ 298  ⤓ 13  ✗ 1  ▸ 8`."""
    counts = view.counts
    parts = [f"{view.jobs_ended}/{count(view.jobs_total, 'job')}"]
    shown: Mapping[str, int] = {
        symbols.succeeded: counts[JobStatus.SUCCEEDED] - view.reused,
        symbols.reused: view.reused,
        symbols.failed: counts[JobStatus.FAILED],
        symbols.cancelled: counts[JobStatus.CANCELLED],
        symbols.running: counts[JobStatus.RUNNING],
    }
    return "  ".join([*parts, *(f"{mark} {number}" for mark, number in shown.items() if number)])


def waiting(view: BuildView | None, farm: Farm | None) -> str:
    """What waits, and for what; empty if nothing does."""
    if view is None:
        return "waiting for the coordinator to take the build"
    if view.has_ended:
        return f"{view.status}: waiting for what is still to be fetched"
    if view.is_foreign:
        return "waiting for jobs to end; this coordinator tells no more"
    if view.status is BuildStatus.UPLOADING:
        return "waiting for the coordinator to have all source files"
    parts = []
    if queued := view.counts[JobStatus.QUEUED]:
        parts.append(f"queued {queued}: {_why_queued(farm)}")
    if blocked := view.counts[JobStatus.BLOCKED]:
        parts.append(f"blocked {blocked}: waiting for dependencies")
    return " · ".join(parts)


def _why_queued(farm: Farm | None) -> str:
    if farm is None:
        return "waiting for a free slot"
    if not farm.workers:
        return "no worker is there; start one with `terzetto worker`"
    if farm.busy >= farm.slots:
        return f"waiting for a free slot: {farm.busy}/{farm.slots} busy"
    return f"waiting to be fetched by a worker: {farm.busy}/{farm.slots} busy"


def running(job: JobView, now: float, room: int) -> str:
    """`compile  w2  31s`, and which attempt it is where it is not the first; a long name gives way."""
    seconds = duration(now - (job.started_at or now))
    again = f"  attempt {job.attempt}" if job.attempt > 1 else ""
    rest = f"  {worker(job)}  {seconds}{again}"
    return middle(plain(job.label), max(NAME_CHARS_MIN, room - len(rest))) + rest


def worker(job: JobView) -> str:
    """The worker's name without what all of them have in common."""
    return plain(job.worker.removeprefix("http://"))


def change(job: JobView, kind: str) -> str:
    """What the record of type `kind` means for the job, in a few words; empty for what is no news.

    That a job will not even begin is none: there may be thousands, and the summary counts them.
    """
    match kind:
        case "JobLeased":
            again = f", attempt {job.attempt}" if job.attempt > 1 else ""
            return f"running on {worker(job)}{again}"
        case "JobSucceeded":
            return f"done{_ran(job, 'in')}"
        case "JobReused":
            return "reused: the same work was done before"
        case "JobFailed":
            return f"failed: {failure(job)}{_ran(job, 'after')}"
        case "JobReleased":
            return f"queued again: {_because(job)}"
        case "JobReopened" | "JobBlocked":
            return f"{'has to run' if kind == 'JobReopened' else 'blocked'} again: {_because(job)}"
        case "JobCancelled" if job.started_at is not None:
            return f"cancelled: {_because(job)}"
        case _:
            return ""


def _because(job: JobView) -> str:
    return plain(because(job.reason))


def _ran(job: JobView, word: str) -> str:
    return f" {word} {duration(job.seconds)} on {worker(job)}" if job.worker else ""


def failure(job: JobView) -> str:
    """Exit code and error of a failed job, whichever says something."""
    error = plain(job.error)
    if job.exit_code is None or job.exit_code < 0:
        return error
    if str(job.exit_code) in error:
        return error
    return f"exit {job.exit_code}, {error}" if error else f"exit {job.exit_code}"


def mark(job: JobView, symbols: Symbols) -> str:
    if job.is_reused:
        return symbols.reused
    return {
        JobStatus.SUCCEEDED: symbols.succeeded,
        JobStatus.FAILED: symbols.failed,
        JobStatus.CANCELLED: symbols.cancelled,
        JobStatus.RUNNING: symbols.running,
    }.get(job.status, symbols.again)


def heartbeat(view: BuildView | None, now: float, farm: Farm | None, symbols: Symbols) -> str:
    """One line for whoever sees nothing else: how far, what runs, what waits."""
    if view is None:
        return waiting(None, farm)
    longest = next(iter(view.running.values()), None)
    parts = [progress(view, symbols)]
    if longest:
        parts.append(f"longest running: {running(longest, now, LINE_CHARS)}")
    return " · ".join([*parts, *filter(None, [waiting(view, farm)])])


def critical_path(view: BuildView) -> list[JobView]:
    """The chain of jobs, each needing the one before, that took longest to run."""
    total: dict[str, float] = {}
    via: dict[str, str] = {}
    ran = [job for job in view.jobs.values() if job.seconds and job.status is not JobStatus.CANCELLED]
    for job in sorted(ran, key=lambda job: (job.ended_at or 0.0, job.started_at or 0.0)):
        before = max((dep for dep in job.deps if dep in total), key=lambda dep: total[dep], default="")
        total[job.id] = job.seconds + total.get(before, 0.0)
        via[job.id] = before
    path: list[JobView] = []
    last = max(total, key=lambda job: total[job], default="")
    while last:
        path.append(view.jobs[last])
        last = via[last]
    return path[::-1]


def failures(view: BuildView, tails: Mapping[str, str], symbols: Symbols) -> list[str]:
    """What failed, with the last lines of its output, which `tails` has by job id."""
    lines: list[str] = []
    failed = _failed(view)
    for job in failed[:TAILS_MAX]:
        lines.append(f"{symbols.failed} {plain(job.label)}: {failure(job)}")
        tail = tails.get(job.id, "").splitlines()[-TAIL_LINES:]
        lines += [f"    | {line}" for line in tail]
    if len(failed) > TAILS_MAX:
        lines.append(f"{symbols.more} and {len(failed) - TAILS_MAX} more failed")
    return lines


def _failed(view: BuildView) -> list[JobView]:
    return [job for job in view.jobs.values() if job.status is JobStatus.FAILED]


def summary(view: BuildView, *, url: str, aim: str | None, coordinator: str, symbols: Symbols) -> list[str]:
    """The last word: at most twelve lines.

    `aim` is what a verb needs to be told to find this coordinator, None if it is about to go; `log` has to
    be told its address.
    """
    lines = [_result(view, symbols), f"  {_counts(view)}"]
    path = critical_path(view)
    if len(path) > 1:
        lines.append(f"  {_path(path, symbols)}")
    commands = [] if view.is_foreign or aim is None else _next(view, path, aim, coordinator)
    lines += [f"  {'      ' if place else 'next: '}{text}" for place, text in enumerate(commands)]
    return [*lines, *([f"  {url}"] if url else [])]


def _next(view: BuildView, path: list[JobView], aim: str, coordinator: str) -> list[str]:
    """What one may want to type now."""
    if failed := _failed(view):
        job = f"{short(view.id)} {shlex.quote(plain(failed[0].label))}{aim}"
        return [f"terzetto output {job}", f"terzetto why {job}"]
    if view.status is BuildStatus.SUCCEEDED and len(path) > 1:
        return [f"terzetto log critical-path {short(view.id)} --coordinator {shlex.quote(coordinator)}"]
    return []


def _result(view: BuildView, symbols: Symbols) -> str:
    marks = {BuildStatus.SUCCEEDED: symbols.succeeded, BuildStatus.FAILED: symbols.failed}
    wall = duration((view.ended_at or view.at) - (view.started_at or view.at))
    why = f": {plain(view.reason)}" if view.reason else ""
    return f"{marks.get(view.status, symbols.cancelled)} {title(view)} {view.status} in {wall}{why}"


def title(view: BuildView) -> str:
    """`build b7f3a1c2 (nightly)`."""
    return f"build {short(view.id)}" + (f" ({plain(view.name)})" if view.name else "")


def _counts(view: BuildView) -> str:
    reused = view.reused
    parts = {
        "done": view.counts[JobStatus.SUCCEEDED] - reused,
        "reused": reused,
        "failed": view.counts[JobStatus.FAILED],
        "cancelled": view.counts[JobStatus.CANCELLED],
        "not ended": view.jobs_total - view.jobs_ended,
    }
    told = ", ".join(f"{number} {word}" for word, number in parts.items() if number)
    again = f"; {count(view.releases, 'attempt')} lost and made again" if view.releases else ""
    return f"{count(view.jobs_total, 'job')}" + (f": {told}" if told else "") + again


def _path(path: list[JobView], symbols: Symbols) -> str:
    total = duration(sum(job.seconds for job in path))
    longest = sorted(path, key=lambda job: -job.seconds)[:PATH_JOBS_MAX]
    shown = [f"{plain(job.label)} {duration(job.seconds)}" for job in path if job in longest]
    more = f" (and {len(path) - len(shown)} shorter)" if len(path) > len(shown) else ""
    return f"critical path {total}: {symbols.then.join(shown)}{more}"
