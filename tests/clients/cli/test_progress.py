"""Progress in pipes: which manner is chosen, and what each of them writes."""

import io
import json

import pytest

from clients.cli import progress
from clients.cli.progress import Display, choose_color, choose_mode, make_display
from clients.cli.view import BuildView
from clients.cli.wording import Farm
from clients.live import Line
from tests.clients.cli.stories import BEGUN, FAILED, A, line


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make(asked: str, stream: io.StringIO, clock: Clock | None = None, *, color: str = "auto") -> Display:
    return make_display(
        asked, color, {}, stream, page=lambda build: f"http://c/{build[:2]}", hint="", clock=clock or Clock()
    )


def show(display: Display, lines: list[Line]) -> BuildView:
    view = BuildView(id="bb" * 20)
    for each in lines:
        display.changed(view, view.fold(each), each)
    return view


@pytest.mark.parametrize(
    ("asked", "environ", "is_tty", "mode"),
    [
        ("auto", {"TERM": "xterm"}, True, "fancy"),
        ("auto", {"TERM": "xterm"}, False, "lines"),
        ("auto", {"TERM": "dumb"}, True, "lines"),
        ("auto", {}, True, "lines"),
        ("auto", {"TERM": "xterm", "CI": "true"}, True, "lines"),
        ("fancy", {"TERM": "dumb", "CI": "true"}, False, "fancy"),
        ("grouped", {"TERM": "xterm"}, True, "grouped"),
        ("json", {"TERM": "xterm"}, True, "json"),
        ("none", {"TERM": "xterm"}, True, "none"),
    ],
)
def test_which_manner(asked: str, environ: dict[str, str], is_tty: bool, mode: str) -> None:
    """Drawing is for a person at a terminal that can be drawn on, unless it is asked for."""
    assert choose_mode(asked, environ, is_tty=is_tty) == mode


@pytest.mark.parametrize(
    ("asked", "environ", "is_tty", "color"),
    [
        ("auto", {"TERM": "xterm"}, True, True),
        ("auto", {"TERM": "xterm"}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {}, True, False),
        ("auto", {"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ("auto", {"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1", "TERM": "xterm"}, True, False),
    ],
)
def test_whether_in_colour(asked: str, environ: dict[str, str], is_tty: bool, color: bool) -> None:
    """The flag beats the environment, a refusal beats a demand, and a pipe gets none by itself."""
    assert choose_color(asked, environ, is_tty=is_tty) is color


def test_lines_for_pipes() -> None:
    """Each line has its job in brackets; output is shown whole and harmless, line by line."""
    stream = io.StringIO()
    display = make("lines", stream)
    view = show(display, FAILED)
    display.output(view.jobs[A], b"out\n", b"\x1b[31mred\x1b[0m \x1b]0;title\x07\nlast")
    display.note("Cancelling")
    display.conclude(["the end"])
    assert stream.getvalue() == (
        "[build] build bbbbbbbb (nightly) started: http://c/bb\n"
        "[build] all source files are there\n"
        "[compile] running on w1:1\n"
        "[compile] queued again: the worker is gone or is a new process\n"
        "[compile] running on w2:1, attempt 2\n"
        "[compile] failed: exit status 3 after 9.0s on w2:1\n"
        "[compile] | out\n"
        "[compile] | red \n"
        "[compile] | last\n"
        "[build] Cancelling\n"
        "[build] the end\n"
    )


def test_a_sign_of_life_when_nothing_happens() -> None:
    """One line after ten seconds of silence, not before, and not again before ten more."""
    stream, clock = io.StringIO(), Clock()
    display = make("lines", stream, clock)
    view = show(display, BEGUN)
    stream.truncate(0)
    stream.seek(0)
    for clock.now in (9.9, 10.0, 15.0, 19.9):
        display.tick(view, Farm(workers=1, slots=1, busy=1), 39.0)
    assert stream.getvalue() == (
        "[build] 0/3 jobs  > 1 · longest running: compile  w1:1  30s"
        " · queued 1: waiting for a free slot: 1/1 busy · blocked 1: waiting for dependencies\n"
    )


def test_what_goes_on_beside_the_build_is_said_once() -> None:
    """A count that grows or a wait that shrinks is not a new line each time, but it is the sign of life."""
    stream, clock = io.StringIO(), Clock()
    display = make("lines", stream, clock)
    for done in range(3):
        display.doing(f"uploading {done}/3 source files")
    display.doing("reconnecting (3.0s): gone")
    display.doing("reconnecting (2.0s): gone")
    clock.now = 10.0
    display.tick(BuildView(id="bb" * 20), None, 0.0)
    assert stream.getvalue().splitlines() == [
        "[build] uploading 0/3 source files",
        "[build] reconnecting (3.0s): gone",
        "[build] reconnecting (2.0s): gone",
    ]


def test_grouped_wants_the_output_of_all() -> None:
    """Whoever fetches output asks the display whether only that of failed jobs is wanted."""
    stream = io.StringIO()
    assert make("grouped", stream).shows_output_of_all
    assert not any(make(mode, stream).shows_output_of_all for mode in ("lines", "json", "none", "fancy"))


def test_json_for_programs() -> None:
    """Every record is a line, whole; so is a note, and nothing else is written."""
    stream = io.StringIO()
    display = make("json", stream)
    view = show(display, [line(1, "BuildStarted", jobs=0, name="é")])
    display.tick(view, None, 0.0)
    display.note("hm")
    display.conclude(["the end"])
    assert [json.loads(text) for text in stream.getvalue().splitlines()] == [
        {
            "schema_version": 1,
            "position": 1,
            "at": 1.0,
            "type": "BuildStarted",
            "build": "bb" * 20,
            "jobs": 0,
            "name": "é",
        },
        {"schema_version": 1, "type": "Note", "text": "hm"},
    ]


def test_none_is_only_what_must_be_read() -> None:
    """No progress and no summary; a note is still said."""
    stream = io.StringIO()
    display = make("none", stream)
    show(display, FAILED)
    display.note("careful")
    display.conclude(["the end"])
    assert stream.getvalue() == "careful\n"
    assert progress.HEARTBEAT_SECONDS == 10.0
