"""The live display: what it shows, what it leaves behind, and that it fits."""

import io

import pytest

from clients.cli.fancy import LINES_MAX, Fancy, panel
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

    def __init__(self, columns: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(rows))
        self.screen = Screen(columns, rows)
        self.stream = io.StringIO()
        self.display = Fancy(
            self.stream,
            page=lambda build: f"http://127.0.0.1:8470/#/b/{build}",
            hint="Ctrl-C cancels",
            symbols=Symbols(),
            color=False,
        )

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
    )
    assert [text.plain for text in lines] == [
        "build bbbbbbbb (nightly)  0/3 jobs  ▸ 1  39s",
        "▸ compile  w1:1  31s",
        "reconnecting (3.0s)",
        "queued 1: waiting for a free slot: 1/1 busy · blocked 1: waiting for dependencies",
        "Ctrl-C cancels · http://c/",
    ]


def test_the_panel_stays_small() -> None:
    """However much runs, ten lines are enough, and what does not fit is counted."""
    lines = [text.plain for text in panel(view_of(many(50)), None, 999.0, doing="x", symbols=Symbols())]
    assert len(lines) == LINES_MAX
    assert lines[1].startswith("▸ job-0  w:1")
    assert "… 45 more running" in lines


@pytest.mark.parametrize(("columns", "rows"), [(20, 5), (40, 8), (80, 24), (200, 3)])
def test_it_repaints_in_place(columns: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frame after frame takes the same lines, none wider or higher than the terminal, and none remains."""
    shown = Shown(columns, rows, monkeypatch)
    view = shown.tell(many(30))
    before = len(shown.look())
    for second in range(5):
        shown.display.tick(view, None, 1000.0 + second)
        frame = shown.look()[before:]
        assert len(frame) <= min(LINES_MAX, rows - 1)
        assert max(map(len, frame)) < columns
    shown.display.close()
    assert len(shown.look()) == before
    assert shown.screen.is_cursor_visible


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
        "↻ compile  queued again: worker-lost",
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
    shown.screen.feed("\r\n[1]+  Stopped\r\n$ fg\r\n")
    shown.display.resume()
    shown.display.tick(view, None, 25.0)
    shown.display.tick(view, None, 26.0)
    after = shown.look()
    assert after[: len(before)] == before
    assert after[len(before) : len(before) + 3] == [
        "[1]+  Stopped",
        "$ fg",
        "build bbbbbbbb (nightly)  0/3 jobs  ▸ 1  25s",
    ]
    shown.display.close()
    assert shown.look()[len(before) :] == ["[1]+  Stopped", "$ fg"]


def test_a_large_build_keeps_only_what_took_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand quick successes leave no line behind; a slow one does."""
    shown = Shown(80, 24, monkeypatch)
    lines = many(60)
    quick = line(900, "JobSucceeded", at=420.0, job=f"{59:040x}", lease="1" * 32)
    slow = line(901, "JobSucceeded", at=901.0, job=f"{0:040x}", lease="1" * 32)
    shown.tell([*lines, quick, slow])
    shown.display.close()
    assert [text for text in shown.look() if "job-" in text] == ["✓ job-0  done in 10m 00s on w:1"]
