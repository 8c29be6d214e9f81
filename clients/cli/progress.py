"""How a build's progress is shown on stderr: which manner suits, and the manners for pipes and programs.

A display is told of each change after it was folded into the view; it never asks the network anything.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TextIO

from clients.cli import wording
from clients.cli.sanitise import sanitise
from clients.cli.texts import plain
from clients.cli.view import BuildView, JobView
from clients.cli.wording import Farm, Symbols
from clients.live import Line

Mode = Literal["fancy", "lines", "grouped", "json", "none"]
# A pipe's reader is told at least so often that something is still going on.
HEARTBEAT_SECONDS = 10.0


def choose_mode(asked: str, environ: Mapping[str, str], *, is_tty: bool) -> Mode:
    """`auto` draws only for a person at a terminal that can be drawn on."""
    match asked:
        case "fancy" | "lines" | "grouped" | "json" | "none":
            return asked
        case _:
            draws = is_tty and environ.get("TERM", "") not in ("", "dumb") and not environ.get("CI")
            return "fancy" if draws else "lines"


def choose_color(asked: str, environ: Mapping[str, str], *, is_tty: bool) -> bool:
    """The flag before the environment, a refusal before a demand, and else what the terminal can do."""
    if asked in ("always", "never"):
        return asked == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") != "0" or environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return is_tty and environ.get("TERM", "") not in ("", "dumb")


def as_json(record: Line) -> dict[str, object]:
    """A record as a line of a JSON stream of this command."""
    place = {"schema_version": 1, "position": record.position, "at": record.at, "type": record.type}
    return place | record.fields


def make_display(
    asked: str,
    color: str,
    environ: Mapping[str, str],
    stream: TextIO,
    *,
    page: Callable[[str], str],
    hint: str,
    clock: Callable[[], float] = time.monotonic,
) -> "Display":
    """The display that suits; `page` gives the address of a build's page, `hint` says what Ctrl-C does."""
    is_tty = stream.isatty()
    mode = choose_mode(asked, environ, is_tty=is_tty)
    colored = choose_color(color, environ, is_tty=is_tty)
    symbols = wording.symbols_for(stream)
    match mode:
        case "fancy":
            from clients.cli import fancy, frame  # drawing is slow to import, and mostly not needed

            reflows = frame.reflows(environ)
            return fancy.Fancy(stream, page=page, hint=hint, symbols=symbols, color=colored, reflows=reflows)
        case "lines" | "grouped":
            return Lines(
                stream, page=page, clock=clock, symbols=symbols, color=colored, grouped=mode == "grouped"
            )
        case "json":
            return JsonLines(stream, symbols)
        case "none":
            return Silent(stream, symbols)


class Display(Protocol):
    """Where progress goes. `now` is the coordinator's time in seconds since 1970."""

    shows_output_of_all: bool
    tick_seconds: float
    symbols: Symbols

    def changed(self, view: BuildView, job: JobView | None, record: Line, /) -> None:
        """The record was folded."""

    def output(self, job: JobView, stdout: bytes, stderr: bytes, /) -> None:
        """What an ended job printed."""

    def note(self, text: str) -> None:
        """Something the user should read once."""

    def doing(self, text: str) -> None:
        """What is going on beside the build's own progress, such as an upload; empty: nothing."""

    def tick(self, view: BuildView | None, farm: Farm | None, now: float, /) -> None:
        """Called a few times per second, also when nothing happens; there may be no build yet."""

    def pause(self) -> None:
        """The process is about to be stopped, and somebody else will use the terminal."""

    def resume(self) -> None:
        """The process was stopped, and somebody else used the terminal."""

    def close(self) -> None:
        """Leave the terminal as it was found."""

    def conclude(self, lines: Sequence[str]) -> None:
        """The last words, after `close`."""


class Silent:
    """For `none`: no progress, only what the user should read."""

    shows_output_of_all = False
    tick_seconds = 1.0

    def __init__(self, stream: TextIO, symbols: Symbols) -> None:
        self._stream = stream
        self.symbols = symbols

    def changed(self, view: BuildView, job: JobView | None, record: Line, /) -> None: ...
    def output(self, job: JobView, stdout: bytes, stderr: bytes, /) -> None: ...
    def doing(self, text: str) -> None: ...
    def tick(self, view: BuildView | None, farm: Farm | None, now: float, /) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...
    def conclude(self, lines: Sequence[str], /) -> None: ...

    def note(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class JsonLines(Silent):
    """For programs: every record as a line of JSON, notes too."""

    def changed(self, _view: BuildView, _job: JobView | None, record: Line, /) -> None:
        self._write(as_json(record))

    def note(self, text: str) -> None:
        self._write({"schema_version": 1, "type": "Note", "text": text})

    def _write(self, value: Mapping[str, object]) -> None:
        print(json.dumps(value, ensure_ascii=False), file=self._stream, flush=True)


class Lines:
    """For pipes: whole lines, each with its job in brackets, and a sign of life when nothing happens."""

    tick_seconds = 1.0

    def __init__(
        self,
        stream: TextIO,
        *,
        page: Callable[[str], str],
        clock: Callable[[], float],
        symbols: Symbols,
        color: bool,
        grouped: bool,
    ) -> None:
        self.shows_output_of_all = grouped
        self._stream = stream
        self._page = page
        self._clock = clock
        self.symbols = symbols
        self._color = color
        self._wrote_at = clock()
        self._doing = ""

    def changed(self, view: BuildView, job: JobView | None, record: Line, /) -> None:
        if job is None:
            if record.type == "BuildStarted":
                self._line("build", f"{wording.title(view)} started: {self._page(view.id)}")
            elif record.type == "SourcesReady":
                self._line("build", "all source files are there")
        elif text := wording.change(job, record.type):
            self._line(job.label, text)

    def output(self, job: JobView, stdout: bytes, stderr: bytes, /) -> None:
        for data in (stdout, stderr):
            for line in sanitise(data, colour=self._color).splitlines():
                self._line(job.label, f"| {line}")

    def note(self, text: str) -> None:
        self._line("build", text)

    def doing(self, text: str) -> None:
        if text and text.split(maxsplit=1)[:1] != self._doing.split(maxsplit=1)[:1]:
            self._line("build", text)
        self._doing = text

    def tick(self, view: BuildView | None, farm: Farm | None, now: float, /) -> None:
        if self._clock() - self._wrote_at >= HEARTBEAT_SECONDS:
            self._line("build", self._doing or wording.heartbeat(view, now, farm, self.symbols))

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...

    def conclude(self, lines: Sequence[str], /) -> None:
        for line in lines:
            self._line("build", line)

    def _line(self, label: str, text: str) -> None:
        self._wrote_at = self._clock()
        # In one piece, so that nobody who writes to the same pipe comes in between.
        self._stream.write(f"[{plain(label)}] {text}\n")
        self._stream.flush()
