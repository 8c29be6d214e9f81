"""The live display: what it shows, what it leaves behind, and that it fits."""

import io

import pytest

from clients.cli.fancy import LINES_MAX, Fancy, panel
from clients.cli.frame import reflows
from clients.cli.view import BuildView
from clients.cli.wording import Farm, Symbols
from clients.live import Line
from tests.clients.cli.stories import BEGUN, FAILED, A, line, view_of
from tests.clients.cli.terminal import Screen


def many(running: int) -> list[Line]:
    """A build with so many running jobs, and one that waits."""
    jobs = [f"{number:040x}" for number in range(running + 1)]
    added = [line(n + 2, "JobAdded", job=job, name=f"job-{n}") for n, job in enumerate(jobs)]
    lines = [line(1, "BuildStarted", jobs=running + 1), *added, line(200, "SourcesReady")]
    for number, job in enumerate(jobs[:-1]):
        lines.append(line(300 + 2 * number, "JobQueued", job=job))
        lines.append(line(301 + 2 * number, "JobLeased", job=job, worker="http://w:1", attempt=1))
    return lines


class Shown:
    """A display on a screen of this size."""

    def __init__(
        self, columns: int, rows: int, monkeypatch: pytest.MonkeyPatch, *, reflows: bool = True
    ) -> None:
        self.screen = Screen(columns, rows, reflows=reflows)
        self.stream = io.StringIO()
        self._monkeypatch = monkeypatch
        self._size(columns, rows)
        self.display = Fancy(
            self.stream,
            page=lambda build: f"http://127.0.0.1:8470/#/b/{build}",
            hint="Ctrl-C cancels",
            symbols=Symbols(),
            color=False,
            reflows=reflows,
        )

    def _size(self, columns: int, rows: int) -> None:
        self._monkeypatch.setenv("COLUMNS", str(columns))
        self._monkeypatch.setenv("LINES", str(rows))

    def resize(self, columns: int, rows: int) -> None:
        """By the user, between two pictures."""
        self.look()
        self.screen.resize(columns, rows)
        self._size(columns, rows)

    def tell(self, lines: list[Line]) -> BuildView:
        view = BuildView(id="bb" * 20)
        for each in lines:
            self.display.changed(view, view.fold(each), each)
        return view

    def look(self) -> list[str]:
        self.screen.feed(self.stream.getvalue().replace("\n", "\r\n"))  # as a terminal's driver does
        self.stream.truncate(0)
        self.stream.seek(0)
        return self.screen.text.rstrip().splitlines()


def test_the_panel() -> None:
    """How far, what runs and since when, what waits and why, what is being done, where to see more."""
    lines = panel(
        view_of(BEGUN),
        Farm(workers=1, slots=1, busy=1),
        40.0,
        doing="reconnecting (3.0s)",
        hint="Ctrl-C cancels",
        url="http://c/",
        symbols=Symbols(),
        room=80,
    )
    assert [text.plain for text in lines] == [
        "build bbbbbbbb (nightly)  0/3 jobs  ▸ 1  39s",
        "▸ compile  w1:1  31s",
        "reconnecting (3.0s)",
        "queued 1: waiting for a free slot: 1/1 busy · blocked 1: waiting for dependencies",
        "http://c/ · Ctrl-C cancels",
    ]


def test_the_panel_stays_small() -> None:
    """However much runs, ten lines are enough, and what does not fit is counted."""
    lines = [
        text.plain for text in panel(view_of(many(50)), None, 999.0, doing="x", symbols=Symbols(), room=80)
    ]
    assert len(lines) == LINES_MAX
    assert lines[1].startswith("▸ job-0  w:1")
    assert "… 45 more running" in lines


def test_long_names_and_addresses() -> None:
    """A name gives way to where and how long; an address is whole if it has a line of its own."""
    job, url = "test/unit/some_rather_long_name_44", "http://127.0.0.1:8470/#/b/" + "b" * 40
    lines = [
        line(1, "BuildStarted", jobs=1),
        line(2, "JobAdded", job=A, name=job),
        line(3, "SourcesReady"),
        line(4, "JobQueued", job=A),
        line(5, "JobLeased", job=A, worker="http://w1:1", attempt=2),
    ]
    found = panel(view_of(lines), None, 40.0, hint="Ctrl-C cancels", url=url, symbols=Symbols(), room=70)
    assert [text.plain for text in found][1:] == [f"▸ {job}  w1:1  35s  attempt 2", url, "Ctrl-C cancels"]
    found = panel(view_of(lines), None, 40.0, hint="Ctrl-C cancels", url=url, symbols=Symbols(), room=48)
    assert found[1].plain == "▸ test/unit/so…ong_name_44  w1:1  35s  attempt 2"


@pytest.mark.parametrize(("columns", "rows"), [(20, 5), (40, 8), (80, 24), (200, 3)])
def test_it_repaints_in_place(columns: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frame after frame takes the same lines, none wider or higher than the terminal, and none remains."""
    shown = Shown(columns, rows, monkeypatch)
    view = shown.tell(many(30))
    shown.display.note("-")
    before = len(shown.look())
    for second in range(5):
        shown.display.tick(view, None, 1000.0 + second)
        frame = shown.look()[before:]
        assert len(frame) <= min(LINES_MAX, rows - 1)
        assert max(map(len, frame)) < columns
    shown.display.close()
    assert len(shown.look()) == before
    assert shown.screen.is_cursor_visible


@pytest.mark.parametrize("reflows", [True, False])
@pytest.mark.parametrize(
    "sizes", [[(80, 24), (33, 24)], [(30, 12), (120, 40)], [(200, 50), (20, 30), (79, 24)]]
)
def test_it_keeps_its_place_when_the_terminal_is_resized(
    sizes: list[tuple[int, int]], reflows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the last picture remains, and nothing that was to stay is erased, however lines break."""
    shown = Shown(*sizes[0], monkeypatch, reflows=reflows)
    view = shown.tell(many(30))
    shown.display.note("what is above")
    for second, size in enumerate(sizes):
        shown.resize(*size)
        shown.display.tick(view, None, 1000.0 + second)
        lines = shown.look()
        frame = lines[lines.index("what is above") + 1 :]
        assert len(frame) == min(LINES_MAX, size[1] - 1)
        assert [place for place, text in enumerate(frame) if text.startswith("build bbb")] == [0]
        assert sum("build bbb" in text for text in lines) == 2
    shown.display.close()
    assert shown.look()[-1] == "what is above"


def test_what_is_like_the_last_picture_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent over a slow line that changes nothing."""
    shown = Shown(80, 24, monkeypatch)
    view = shown.tell(many(3))
    shown.display.tick(view, None, 1000.0)
    assert shown.stream.getvalue()
    shown.look()
    shown.display.tick(view, None, 1000.0)
    assert shown.stream.getvalue() == ""


def test_changes_wait_for_the_next_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand of them between two pictures are one write."""
    shown = Shown(80, 24, monkeypatch)
    view = shown.tell(FAILED)
    assert shown.stream.getvalue() == ""
    shown.display.tick(view, None, 24.0)
    assert "✗ compile  failed" in shown.look()[3]


def test_before_there_is_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it waits for, from the beginning."""
    shown = Shown(80, 24, monkeypatch)
    shown.display.tick(None, None, 0.0)
    assert shown.look() == ["waiting for the coordinator to take the build", "Ctrl-C cancels"]
    shown.display.doing("waiting for the coordinator (2.0s): nobody is there")
    shown.display.tick(None, None, 0.0)
    assert shown.look() == ["waiting for the coordinator (2.0s): nobody is there", "Ctrl-C cancels"]


@pytest.mark.parametrize(
    ("environ", "breaks"),
    [
        ({}, True),
        ({"XTERM_VERSION": "XTerm(390)"}, False),
        ({"STY": "1.pts"}, False),
        ({"TERM": "linux"}, False),
    ],
)
def test_which_terminals_break_lines_anew(environ: dict[str, str], breaks: bool) -> None:
    """Known by what they put into the environment."""
    assert reflows(environ) is breaks


def test_what_is_worth_keeping_goes_to_the_scrollback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends and retries stay above the panel, a failed job's output whole and harmless, then the summary."""
    shown = Shown(80, 24, monkeypatch)
    view = shown.tell(FAILED)
    shown.display.tick(view, None, 24.0)
    shown.display.output(view.jobs[A], b"out\n", b"\x1b[2J\x1b[31mred\x1b[0m\r\nlast")
    shown.display.tick(view, None, 25.0)
    shown.display.note("a note")
    shown.display.close()
    shown.display.conclude(["the end"])
    assert shown.look() == [
        "build bbbbbbbb (nightly) started: http://127.0.0.1:8470/#/b/" + "b" * 20,
        "b" * 20,
        "↻ compile  queued again: the worker is gone or is a new process",
        "✗ compile  failed: exit status 3 after 9.0s on w2:1",
        "  | out",
        "  | red",
        "  | last",
        "a note",
        "the end",
    ]
    assert "?1049h" not in shown.screen.sequences


def test_it_draws_anew_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shell wrote while the process was stopped is not drawn over."""
    shown = Shown(80, 24, monkeypatch)
    view = shown.tell(BEGUN)
    shown.display.tick(view, None, 24.0)
    before = shown.look()
    shown.display.pause()
    assert shown.look() == before[:2]
    shown.screen.feed("\r\n[1]+  Stopped\r\n$ fg\r\n")
    shown.display.resume()
    shown.display.tick(view, None, 25.0)
    shown.display.tick(view, None, 26.0)
    after = shown.look()
    between = [*before[:2], "", "[1]+  Stopped", "$ fg"]
    assert after[:6] == [*between, "build bbbbbbbb (nightly)  0/3 jobs  ▸ 1  25s"]
    shown.display.close()
    assert shown.look() == between


def test_a_large_build_keeps_only_what_took_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand quick successes leave no line behind; a slow one does."""
    shown = Shown(80, 24, monkeypatch)
    lines = many(60)
    quick = line(900, "JobSucceeded", at=420.0, job=f"{59:040x}", lease="1" * 32)
    slow = line(901, "JobSucceeded", at=901.0, job=f"{0:040x}", lease="1" * 32)
    shown.tell([*lines, quick, slow])
    shown.display.close()
    assert [text for text in shown.look() if "job-" in text] == ["✓ job-0  done in 10m 00s on w:1"]
