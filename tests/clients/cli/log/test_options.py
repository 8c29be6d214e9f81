"""Which log a verb reads, and what people may write for a point in it."""

from pathlib import Path

import click
import pytest

from clients.cli.log import command
from clients.cli.log.options import Moment, position_or_time
from clients.cli.root import run
from tests.clients.cli.log.logs import FAIL, LOSE, SHARE, history, made, said


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the surroundings counts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("TERZETTO_DATA", "TERZETTO_COORDINATOR"):
        monkeypatch.delenv(name, raising=False)


def records_in(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> int:
    [line], _ = said(capsys, "verify", *arguments)
    return int(line.split()[1])


def test_the_nearest_word_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--log before --data before TERZETTO_DATA before the configuration before where logs lie by default."""
    sizes = {}
    for name, log in (("state/terzetto", LOSE), ("configured", SHARE), ("named", FAIL)):
        (tmp_path / name).mkdir(parents=True)
        made(tmp_path / name / "log.sqlite3", history(log))
        sizes[name] = len(history(log))
    other = made(tmp_path / "other.sqlite3", history(SHARE)[:1])
    assert records_in(capsys) == sizes["state/terzetto"]
    (tmp_path / "terzetto.toml").write_text('[server]\ndata = "configured"')
    assert records_in(capsys) == sizes["configured"]
    monkeypatch.setenv("TERZETTO_DATA", "named")
    assert records_in(capsys) == sizes["named"]
    assert records_in(capsys, "--data", "state/terzetto") == sizes["state/terzetto"]
    assert records_in(capsys, "--log", other) == 1


def test_a_coordinator_is_asked_if_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the environment or the configuration, too; but a file on the command line is what is wanted."""
    path = made(tmp_path / "log.sqlite3", history(SHARE))
    (tmp_path / "terzetto.toml").write_text('coordinator = "http://127.0.0.1:2"')
    assert "127.0.0.1:2 takes no connection" in said(capsys, "verify", code=7)[1]
    monkeypatch.setenv("TERZETTO_COORDINATOR", "http://127.0.0.1:3")
    assert "127.0.0.1:3 takes no connection" in said(capsys, "verify", code=7)[1]
    said(capsys, "verify", "--log", path)
    said(capsys, "verify", "--data", tmp_path)


def test_two_logs_at_once_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody can tell which was meant."""
    _, err = said(capsys, "show", "--log", "a", "--coordinator", "http://x", code=2)
    assert "--log and --coordinator name different logs" in err


def test_a_log_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The path is named, with what to do, and no file is made."""
    _, err = said(capsys, "show", "--log", tmp_path / "gone.sqlite3", code=2)
    assert f"there is no log at {tmp_path / 'gone.sqlite3'}\nfix: name the log with --log" in err
    assert not list(tmp_path.iterdir())


def test_without_a_verb_it_tells_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """As `terzetto` itself does."""
    lines, err = said(capsys)
    assert (lines[0], err) == ("Examples:", "")


def test_a_typo_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean `show`?" in said(capsys, "shwo", code=2)[1]


@pytest.mark.parametrize("verb", list(command.commands))
def test_every_verb_helps(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """Examples first, at most 80 columns; the group names the verb."""
    assert run(["log", verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Examples:\n  terzetto log {verb}")
    assert max(map(len, out.splitlines())) <= 80
    assert run(["log", "--help"]) == 0
    out = capsys.readouterr().out
    assert f"\n  {verb} " in out
    assert "..." not in out.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("17", Moment(17, None)),
        ("1970-01-01T00:01:00Z", Moment(None, 60.0)),
        ("1970-01-01T01:01:00+01:00", Moment(None, 60.0)),
        ("1970-01-01T00:01", Moment(None, 60.0)),
        ("1970-01-02", Moment(None, 86400.0)),
    ],
)
def test_a_point_in_a_log(text: str, moment: Moment) -> None:
    """A position, or a time, which is in UTC unless it says otherwise."""
    assert position_or_time(text) == moment


@pytest.mark.parametrize("text", ["", "-1", "yesterday", "1.5", "²"])
def test_what_is_no_point_in_a_log(text: str) -> None:
    with pytest.raises(click.BadParameter, match="neither a position nor a time"):
        position_or_time(text)
