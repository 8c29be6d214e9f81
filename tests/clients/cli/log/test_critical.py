"""The critical path of a build as a user sees it."""

from pathlib import Path
from typing import Any

import pytest

from events.catalog import Record
from events.hindsight.whatif import simulate
from events.state import State
from tests.clients.cli.log.logs import FAIL, history, made, objects, said
from tests.events.farms import past, shift
from tests.events.story import BUILD, A, B, C, D, Story, V, W, beat, job, start
from tests.golden.scenarios import READY, done

DIAMOND = start(job(A), job(B, A), job(C, A), job(D, B, C))


def diamond() -> list[Record]:
    """A, B beside C, and D: 7 s, with two workers that have artifacts to wait for."""
    farm = shift(V, since=1.0), shift(W, since=1.2)
    return list(simulate(State(), past(DIAMOND, {A: 1.0, B: 2.0, C: 3.5, D: 1.0}, *farm), [BUILD]).records)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return made(tmp_path / "log.sqlite3", diamond())


def test_the_path_is_shown_with_what_would_help(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the latest build, if none is named."""
    assert said(capsys, "critical-path", "--log", path) == (
        [
            "build 00000000 succeeded in 7.0s",
            "critical path: 3 runs in 5.5s, 1.5s between them",
            "BEGAN  QUEUED  RAN   SHARE  WORKER  RESULT     JOB  IT BEGAN WHEN",
            "+1.0s  1.0s    1.0s  14%    v       succeeded  a    its sources were there and 1.0s had passed",
            "+2.5s  0.5s    3.5s  50%    w       succeeded  c    a was there and 0.5s had passed: "
            "no holder of a dependency came in time",
            "+6.0s  0.0s    1.0s  14%    w       succeeded  d    c was there",
            "",
            "least slack beside it:",
            "SLACK  JOB",
            "2.0s   b",
            "",
            "simulated again it takes 7.0s (+0.0% of what it took); it would save",
            "HALVED  REUSED  JOB",
            "1.8s    2.0s    c",
            "0.5s    1.0s    d",
            "0.5s    1.3s    a",
        ],
        "",
    )


def test_programs_get_all_of_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [found] = objects(said(capsys, "critical-path", BUILD[:12] + "0" * 27, "--log", path, "--json")[0])
    assert (found["state"], found["seconds"], found["simulation_error"]) == ("succeeded", 7.0, 0.0)
    assert [(link["job"], link["why"], link["before"]) for link in found["path"]] == [
        (A, "sources-ready", None),
        (C, "dependency", A),
        (D, "dependency", C),
    ]
    assert found["slack"] == {A: 0.0, B: 2.0, C: 0.0, D: 0.0}
    assert [(saving["name"], saving["halved"]) for saving in found["savings"]] == [
        ("c", 1.75),
        ("d", 0.5),
        ("a", 0.5),
    ]


def test_nothing_need_be_tried(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = said(capsys, "critical-path", "--log", path, "--top", "0")
    assert len(lines) == 6


def test_a_running_build_is_looked_at_up_to_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it will take is a guess, and called one."""
    story = Story().given(start(job(A), job(B, A), job(C, B)), READY, beat())
    story.when(beat(finished=(done(A, 1),)), at=2.0).when(beat(V), at=3.0)
    path = made(tmp_path / "log.sqlite3", story.records)
    lines, _ = said(capsys, "critical-path", "--log", path)
    assert lines[0] == "build 00000000 has been running for 3.0s"
    assert lines[-4] == (
        "simulated again it takes 6.0s in all, if jobs of which nothing is known take as long as others; "
        "it would save"
    )


def test_there_may_be_nothing_to_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No build, one that uploads, one that was cancelled."""
    path = made(tmp_path / "none.sqlite3", Story().given(beat()).records)
    assert "the log knows no build" in said(capsys, "critical-path", "--log", path, code=2)[1]
    path = made(tmp_path / "one.sqlite3", Story().given(start(job(A))).records)
    lines = ["build 00000000 waits for its upload", "no job of it ran"]
    assert said(capsys, "critical-path", "--log", path)[0] == lines
    path = made(tmp_path / "golden.sqlite3", history(FAIL))
    lines, _ = said(capsys, "critical-path", f"{4:040x}", "--log", path)
    assert lines[0] == "build 00000000 was cancelled after 0.0s"
    assert not any("simulated" in line for line in lines)


def test_a_job_that_was_lost_is_told_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[Any]
) -> None:
    """And a job of another build that had the slot, with its build."""
    story = Story().given(start(job(A)), READY, beat(), start(job(B))).when(beat(session="2"), at=4.0)
    story.when(beat(session="2", finished=(done(A, 2),)), at=6.0)
    path = made(tmp_path / "log.sqlite3", story.records)
    lines, _ = said(capsys, "critical-path", BUILD, "--log", path)
    assert lines[4].endswith("a    it had been taken back: the worker is gone or is a new process")
