"""The live display for a person at a terminal: a few lines that repaint, below everything worth keeping.

What ended goes to the scrollback for good, together with the next picture, and only the last lines move.
"""

from collections.abc import Callable, Sequence
from typing import TextIO

from clients.cli import wording
from clients.cli.frame import Drawn, Frame
from clients.cli.ink import Ink
from clients.cli.sanitise import sanitise
from clients.cli.texts import duration, plain
from clients.cli.view import BuildView, JobView
from clients.cli.wording import Farm, Symbols
from clients.live import Line
from events.transitions import JobStatus

LINES_MAX = 10
REPAINT_SECONDS = 0.1
# Room for the `^C` that the terminal itself writes: did it wrap, we would lose our place.
ECHO_COLUMNS = 3
# In a small build every job's end is told, in a large one only those that took their time.
SMALL_BUILD_JOBS = 50
SLOW_SECONDS = 2.0
_STYLES = {
    JobStatus.SUCCEEDED: "green",
    JobStatus.FAILED: "bold red",
    JobStatus.CANCELLED: "magenta",
    JobStatus.RUNNING: "blue",
}


class Fancy:
    """Shows one build on `stream`; `page` tells where its page is, `hint` what Ctrl-C does."""

    shows_output_of_all = False
    tick_seconds = REPAINT_SECONDS

    def __init__(
        self,
        stream: TextIO,
        *,
        page: Callable[[str], str],
        hint: str,
        symbols: Symbols,
        color: bool,
        reflows: bool = True,
    ) -> None:
        self._stream = stream
        self._color = color
        self.symbols = symbols
        self._page = page
        self._hint = hint
        self._doing = ""
        self._frame = Frame(stream, reflows=reflows)
        self._lines: list[Drawn] = []
        self._kept: list[str] = []

    def changed(self, view: BuildView, job: JobView | None, record: Line, /) -> None:
        kind = record.type
        if kind == "BuildStarted":
            self._keep(Ink.of(f"{wording.title(view)} started: {self._page(view.id)}"))
        if job is None or not self._is_worth_keeping(view, job, kind):
            return
        ink = Ink.of(f"{wording.mark(job, self.symbols)} ", _STYLES.get(job.status, "yellow"))
        ink = ink.then(plain(job.label), "bold" if job.status is JobStatus.FAILED else "")
        self._keep(ink.then(f"  {wording.change(job, kind)}"))

    def output(self, _job: JobView, stdout: bytes, stderr: bytes, /) -> None:
        # In one piece, past the drawing: a megabyte of lines one by one would take minutes.
        text = "".join(sanitise(data, colour=self._color) for data in (stdout, stderr))
        self._kept += [f"  | {line}\n" for line in text.splitlines()]
        self._draw()

    def note(self, text: str) -> None:
        self._keep(Ink.of(text, "yellow"))
        self._draw()

    def doing(self, text: str) -> None:
        self._doing = text

    def tick(self, view: BuildView | None, farm: Farm | None, now: float, /) -> None:
        size = self._frame.size
        url = self._page(view.id) if view and not view.is_foreign else ""
        room = max(1, size.columns - ECHO_COLUMNS)
        lines = panel(
            view, farm, now, doing=self._doing, hint=self._hint, url=url, symbols=self.symbols, room=room
        )
        lines = [line.cut(room) for line in lines[: max(1, min(LINES_MAX, size.lines - 1))]]
        self._lines = [Drawn(line.painted(color=self._color), line.columns) for line in lines]
        self._draw()

    def pause(self) -> None:
        self._frame.draw([])

    def resume(self) -> None:
        self._frame.forget()

    def close(self) -> None:
        self._lines = []
        self._draw()

    def conclude(self, lines: Sequence[str], /) -> None:
        for line in lines:
            self._keep(Ink.of(line))
        self._draw()

    def _keep(self, ink: Ink) -> None:
        self._kept.append(ink.painted(color=self._color) + "\n")

    def _draw(self) -> None:
        self._frame.draw(self._lines, above="".join(self._kept))
        self._kept = []

    def _is_worth_keeping(self, view: BuildView, job: JobView, kind: str) -> bool:
        match kind:
            case "JobFailed" | "JobReleased" | "JobReopened":
                return True
            case "JobSucceeded" | "JobReused":
                return view.jobs_total <= SMALL_BUILD_JOBS or job.seconds >= SLOW_SECONDS
            case _:
                return False


def panel(
    view: BuildView | None,
    farm: Farm | None,
    now: float,
    *,
    doing: str = "",
    hint: str = "",
    url: str = "",
    symbols: Symbols,
    room: int,
) -> list[Ink]:
    """The moving lines: how far, what runs (longest first), what waits and why, where to see more.

    None of them needs more than `room` columns, if that can be had.
    """
    foot = [Ink.of(text, "dim") for text in _foot(url, hint, room)]
    if view is None:
        return [Ink.of(doing or wording.waiting(None, farm), "yellow"), *foot]
    elapsed = duration(now - view.started_at) if view.started_at else ""
    how_far = "  ".join(filter(None, [wording.progress(view, symbols), elapsed]))
    head = Ink.of(wording.title(view), "bold").then(f"  {how_far}")
    waits = wording.waiting(view, farm)
    tail = [Ink.of(doing, "yellow")] * bool(doing) + [Ink.of(waits)] * bool(waits)
    jobs = _running(view, now, symbols, lines_max=LINES_MAX - 1 - len(tail) - len(foot), room=room)
    return [head, *jobs, *tail, *foot]


def _foot(url: str, hint: str, room: int) -> list[str]:
    """The page's address is whole wherever it can be, so that it can be clicked."""
    parts = [part for part in (url, hint) if part]
    line = " · ".join(parts)
    return [line] if len(line) <= room else parts


def _running(view: BuildView, now: float, symbols: Symbols, *, lines_max: int, room: int) -> list[Ink]:
    running = list(view.running.values())
    shown = running if len(running) <= lines_max else running[: lines_max - 1]
    mark = f"{symbols.running} "
    lines = [Ink.of(mark + wording.running(job, now, room - len(mark)), "blue") for job in shown]
    if len(shown) < len(running):
        lines.append(Ink.of(f"{symbols.more} {len(running) - len(shown)} more running", "dim"))
    return lines
