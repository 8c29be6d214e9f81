"""The live display for a person at a terminal: a few lines that repaint, below everything worth keeping.

There is no alternate screen: what ended goes to the scrollback for good, and only the last lines move.
The terminal's cursor stays visible, so that even a killed process leaves nothing to be repaired.
"""

from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from clients.cli import wording
from clients.cli.sanitise import sanitise
from clients.cli.texts import duration, plain
from clients.cli.view import BuildView, JobView
from clients.cli.wording import Farm, Symbols
from clients.live import Line
from events.transitions import JobStatus

LINES_MAX = 10
REPAINT_SECONDS = 0.1
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
    ) -> None:
        self._stream = stream
        self._color = color
        self._symbols = symbols
        self._page = page
        self._hint = hint
        self._doing = ""
        self.resume()

    def resume(self) -> None:
        """Begin to draw at the cursor, wherever it is, as if nothing had been drawn before."""
        self._console = Console(
            file=self._stream,
            force_terminal=True,
            color_system="standard" if self._color else None,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._start()

    def changed(self, view: BuildView, job: JobView | None, record: Line, /) -> None:
        kind = record.type
        if kind == "BuildStarted":
            self._console.print(Text(f"{wording.title(view)} started: {self._page(view.id)}"), soft_wrap=True)
        if job is None or not self._is_worth_keeping(view, job, kind):
            return
        text = Text(f"{wording.mark(job, self._symbols)} ", style=_STYLES.get(job.status, "yellow"))
        text.append(plain(job.label), style="bold" if job.status is JobStatus.FAILED else "default")
        text.append(f"  {wording.change(job, kind)}", style="default")
        self._console.print(text, soft_wrap=True)

    def output(self, _job: JobView, stdout: bytes, stderr: bytes, /) -> None:
        # In one piece, past the drawing: a megabyte of lines one by one would take minutes.
        text = "".join(sanitise(data, colour=self._color) for data in (stdout, stderr))
        self._stop()
        self._stream.write("".join(f"  | {line}\n" for line in text.splitlines()))
        self._stream.flush()
        self._start()

    def note(self, text: str) -> None:
        self._console.print(Text(text, style="yellow"), soft_wrap=True)

    def doing(self, text: str) -> None:
        self._doing = text

    def tick(self, view: BuildView, farm: Farm | None, now: float, /) -> None:
        size = self._console.size
        # Room for the `^C` that the terminal itself writes: did it wrap, we would lose our place.
        url = "" if view.is_foreign else self._page(view.id)
        lines = panel(view, farm, now, doing=self._doing, hint=self._hint, url=url, symbols=self._symbols)
        lines = lines[: max(1, min(LINES_MAX, size.height - 1))]
        for line in lines:
            line.truncate(max(1, size.width - ECHO_COLUMNS), overflow="ellipsis")
        self._live.update(Group(*lines), refresh=True)

    def close(self) -> None:
        self._stop()

    def conclude(self, lines: Sequence[str], /) -> None:
        for line in lines:
            self._console.print(Text(line), soft_wrap=True)

    def _start(self) -> None:
        self._live.start()
        self._console.show_cursor(True)

    def _stop(self) -> None:
        self._live.update(Text(""))
        self._live.stop()

    def _is_worth_keeping(self, view: BuildView, job: JobView, kind: str) -> bool:
        match kind:
            case "JobFailed" | "JobReleased" | "JobReopened":
                return True
            case "JobSucceeded" | "JobReused":
                return view.jobs_total <= SMALL_BUILD_JOBS or job.seconds >= SLOW_SECONDS
            case _:
                return False


def panel(
    view: BuildView,
    farm: Farm | None,
    now: float,
    *,
    doing: str = "",
    hint: str = "",
    url: str = "",
    symbols: Symbols,
) -> list[Text]:
    """The moving lines: how far, what runs (longest first), what waits and why, where to see more."""
    elapsed = duration(now - view.started_at) if view.started_at else ""
    head = Text("  ".join(filter(None, [wording.title(view), wording.progress(view, symbols), elapsed])))
    head.stylize("bold", 0, len(wording.title(view)))
    waits = wording.waiting(view, farm)
    tail = [Text(doing, style="yellow")] * bool(doing) + [Text(waits)] * bool(waits)
    foot = Text(" · ".join(filter(None, [hint, url])), style="dim")
    room = LINES_MAX - 2 - len(tail)
    running = list(view.running.values())
    shown = running if len(running) <= room else running[: room - 1]
    lines = [Text(f"{symbols.running} {wording.running(job, now)}", style="blue") for job in shown]
    if len(shown) < len(running):
        lines.append(Text(f"{symbols.more} {len(running) - len(shown)} more running", style="dim"))
    return [head, *lines, *tail, foot]
