"""Decisions made again, as a user sees them."""

from pathlib import Path

import pytest

from clients.cli.log.redeciding import SHOWN
from events.catalog import Record, SignalReceived
from events.commands import FinishUpload
from events.hindsight.whatif import simulate
from events.ids import JobId
from events.state import State
from tests.clients.cli.log.logs import FAIL, LOSE, history, made, objects, said
from tests.events.farms import past, shift
from tests.events.hindsight.test_redecide import GRAPH, TOOK, newest_first
from tests.events.story import BUILD, A, C, D, Story, W, heard, job, joined, leased, start
from tests.golden.scenarios import READY


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log whose coordinator gave the newest jobs out first."""
    with monkeypatch.context() as patched:
        patched.setattr("events.decide.workers.schedule", newest_first)
        records = simulate(State(), past(GRAPH, TOOK, shift(W, 2)), [BUILD]).records
    return made(tmp_path / "log.sqlite3", records)


@pytest.mark.parametrize("name", [FAIL, LOSE])
def test_what_would_be_decided_the_same_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path, end = made(tmp_path / "log.sqlite3", history(name)), len(history(name))
    [found] = objects(said(capsys, "redecide", "--log", path, "--json")[0])
    commands = found["commands"]
    assert found == {"differs": False, "commands": commands, "position": end, "is_cut_off": False}
    lines = [f"no decision differs: {commands} commands up to position {end}"]
    assert said(capsys, "redecide", "--log", path) == (lines, "")
    lines = [f"no decision differs: 1 command up to position {end}"]
    assert said(capsys, "redecide", "--log", path, "--from", f"{end}") == (lines, "")
    _, err = said(capsys, "redecide", "--log", path, "--from", f"{end + 1}", code=2)
    assert f"the log ends at position {end}" in err


def test_the_first_difference_is_shown_side_by_side(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what it does to the builds of that moment."""
    why = "nobody was nearer to the job"
    assert said(capsys, "redecide", "--log", path, code=1) == (
        [
            "today's decision differs at 14, after 3 commands alike",
            "1970-01-01T00:00:00.000Z  Heartbeat, records from 12 on: worker w joined: 2 slots",
            f"POSITION  RECORDED{' ' * 54}TODAY",
            f"12        worker w joined: 2 slots{' ' * 38}worker w joined: 2 slots",
            f"13        worker w reported: 2 slots free{' ' * 31}worker w reported: 2 slots free",
            f"14        job d was given to worker w: {why}  ≠  job a was given to worker w: {why}",
            f"15        job c was given to worker w: {why}     job c was given to worker w: {why}",
            "1 build was active: 00000000",
            "  the last of them ended 9.0s later",
            "  simulated from the recorded decision on: 9.0s later",
            "  simulated from today's decision on: 8.0s later, 1.0s sooner than that",
            "what follows rests on another state and was not compared",
        ],
        "",
    )


def test_programs_get_both_decisions(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [found] = objects(said(capsys, "redecide", "--log", path, "--json", code=1)[0])
    assert (found["differs"], found["commands"], found["position"]) == (True, 3, 14)
    assert (found["command"]["type"], found["command"]["worker"]) == ("Heartbeat", "w")
    assert [record.get("job") for record in found["recorded"]] == [None, None, D, C]
    assert [record.get("job") for record in found["today"]] == [None, None, A, C]
    assert found["makespan"] == {"logged": 9.0, "recorded": 9.0, "today": 8.0}
    assert found["builds"] == [BUILD]


def test_a_refusal_is_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a build that nobody would simulate to its end: its sources are missing."""
    story = Story().given(start(job(A, inputs=("s",))), SignalReceived(build=BUILD, signal="upload-done"))
    lines, _ = said(capsys, "redecide", "--log", made(tmp_path / "log.sqlite3", story.records), code=1)
    assert "refused: source files are missing: 1 source files were not uploaded" in lines[3]
    assert lines[-3:-1] == [
        "  simulated from the recorded decision on: never",
        "  simulated from today's decision on: never",
    ]


def test_a_log_that_is_cut_off_is_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story = Story().given(start(job(A)), READY, joined(), heard())
    path = made(tmp_path / "log.sqlite3", story.records)
    lines, err = said(capsys, "redecide", "--log", path)
    assert lines == ["no decision differs: 2 commands up to position 7"]
    assert err == "the log ends in the midst of a command\n"


def test_of_very_many_records_those_near_the_difference_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And of a command that would decide nothing today, what was recorded."""
    jobs = [job(JobId(f"{number:040x}")) for number in range(50)]
    story = Story().given(start(*jobs), READY, joined(), heard(), leased(jobs[30].id))
    lines, _ = said(capsys, "redecide", "--log", made(tmp_path / "log.sqlite3", story.records), code=1)
    assert len(lines) == 11
    story = Story().given(start(*jobs), FinishUpload(build=BUILD))
    swapped = [*story.records[:-30], *_swapped(story.records[-30:])]
    lines, _ = said(capsys, "redecide", "--log", made(tmp_path / "other.sqlite3", swapped), code=1)
    assert sum("is queued" in line for line in lines) == 2 * SHOWN + 1


def _swapped(records: list[Record]) -> list[Record]:
    """The first two facts in each other's place."""
    first, second, *rest = records
    return [first._replace(event=second.event), second._replace(event=first.event), *rest]
