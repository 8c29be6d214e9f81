"""Where something breaks, as a user sees it; other versions are real ones, in processes of their own."""

import shutil
import sys
from pathlib import Path

import pytest

import events
from clients.cli.log.versions import differences
from events.catalog import BuildSucceeded, JobReleased, Record
from events.folding.jobs import LOSSES
from events.hindsight.bisect import INVARIANTS
from events.ids import Position
from tests.clients.cli.log.logs import LOSE, history, made, objects, said
from tests.events.story import BUILD, A, Story, beat, job, start
from tests.golden.scenarios import READY

ROOT = Path(events.__file__).parents[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return made(tmp_path / "log.sqlite3", history(LOSE))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The build is said to have succeeded although its job has not run."""
    story = Story().given(start(job(A)), READY, beat(free=0))
    end = Record(Position(len(story.records) + 1), 0.0, BuildSucceeded(build=BUILD))
    return made(tmp_path / "log.sqlite3", [*story.records, end])


def checkout(tmp_path: Path, old: str = "", new: str = "") -> Path:
    """A version of its own, with one text of `folding/jobs.py` changed for another."""
    shutil.copytree(ROOT / "events", tmp_path / "other" / "events")
    module = tmp_path / "other" / "events" / "folding" / "jobs.py"
    text = module.read_text()
    if old:
        assert text.count(old) == 1
        module.write_text(text.replace(old, new))
    return tmp_path / "other"


@pytest.mark.parametrize("name", INVARIANTS)
def test_what_holds_is_said_to(path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    [line], _ = said(capsys, "bisect", "--invariant", name, "--log", path)
    assert line.startswith(f"{name}: no break seen, {len(history(LOSE))} records, ")


def test_a_break_is_shown_with_its_problems(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = said(capsys, "bisect", "--invariant", "builds", "--log", broken, code=1)
    assert lines == [
        "builds breaks at 8, with the command whose records begin at 6",
        f"  build {BUILD} has succeeded, some of its jobs have not ended",
    ]
    flags = ("bisect", "--invariant", "builds", "--thorough", "--json")
    [found] = objects(said(capsys, *flags, "--log", broken, code=1)[0])
    assert (found["holds"], found["thorough"], found["began_at"], found["position"]) == (False, True, 6, 8)
    assert found["problems"] == [lines[1].strip()]


def test_the_invariants_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without any log."""
    lines, _ = said(capsys, "bisect", "--invariant", "list")
    assert [line.split()[0] for line in lines[1:]] == list(INVARIANTS)
    [listed] = objects(said(capsys, "bisect", "--invariant", "list", "--json")[0])
    assert listed == {"invariants": dict(INVARIANTS)}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "looks for one thing"),
        (("--invariant", "time", "--against", "."), "looks for one thing"),
        (("--invariant", "peace"), "there is no invariant 'peace'"),
        (("--against", ".", "--thorough"), "--thorough is for --invariant"),
    ],
)
def test_one_thing_is_looked_for(
    path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], words: str
) -> None:
    assert words in said(capsys, "bisect", *flags, "--log", path, code=2)[1]


def test_versions_that_agree(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One in a checkout, and our own by its interpreter."""
    line = f"no difference seen: {len(history(LOSE))} records"
    for other in (checkout(tmp_path), Path(sys.executable)):
        assert said(capsys, "bisect", "--against", other, "--log", path) == ([line], "")


def test_where_versions_part(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One does not count losses: they part with the first of them."""
    records = history(LOSE)
    lost = next(r for r in records if isinstance(r.event, JobReleased) and r.event.reason in LOSSES)
    other = checkout(tmp_path, "if reason not in LOSSES:", "if reason:")
    lines, _ = said(capsys, "bisect", "--against", other, "--log", path, code=1)
    assert lines[0] == f"the versions part at {lost.position}"
    assert lines[2].split()[-2:] == ["1", "null"]
    [found] = objects(said(capsys, "bisect", "--against", other, "--log", path, "--json", code=1)[0])
    assert (found["agrees"], found["position"]) == (False, lost.position)
    [place] = found["differences"]
    assert place["path"].endswith("/losses")


def test_a_version_that_cannot_follow(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its error is where they part."""
    other = checkout(tmp_path, "    result = Result(", "    raise ValueError('no')\n    result = Result(")
    first = next(r for r in history(LOSE) if type(r.event).__name__ == "JobSucceeded")
    lines, _ = said(capsys, "bisect", "--against", other, "--log", path, code=1)
    assert lines[0] == f"the versions part at {first.position}"
    assert "ValueError: no" in lines[-1]


def test_what_is_no_version_is_refused(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty directory; a program that is no Python."""
    assert "no version of terzetto" in said(capsys, "bisect", "--against", tmp_path, "--log", path, code=2)[1]
    err = said(capsys, "bisect", "--against", "/bin/false", "--log", path, code=2)[1]
    assert "cannot be asked" in err


def test_differences_name_their_places() -> None:
    """Dicts in another order differ as a whole."""
    assert differences({"a": [["k", 1], ["l", 2]]}, {"a": [["k", 1], ["l", 3]]}) == [('/a/"l"', 2, 3)]
    assert differences({"a": [["k", 1]]}, {}) == [("/a", [["k", 1]], None)]
    turned = [["l", 2], ["k", 1]], [["k", 1], ["l", 2]]
    assert differences(*turned) == [("/", *turned)]
    assert differences(1, 1) == ()
