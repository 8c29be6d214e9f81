"""Flags before environment before project file before user file before default."""

import importlib
from pathlib import Path

import click
import pytest

import clients
from clients.cli import config
from clients.cli.exits import Failure
from clients.cli.root import VERBS, run


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_project_counts_more_than_the_user(tmp_path: Path) -> None:
    """Files are merged key by key, also within tables; dashes and underscores are the same."""
    user = write(
        tmp_path / "u.toml",
        'coordinator = "http://user"\ncolor = "never"\n[server]\nbind = "u:1"\nlease-seconds = 5',
    )
    project = write(tmp_path / "p.toml", 'coordinator = "http://project"\n[server]\nlease_seconds = 7.5')
    values = config.read([user, tmp_path / "none.toml", project])
    assert values == {
        "coordinator": "http://project",
        "color": "never",
        "server": {"bind": "u:1", "lease_seconds": 7.5},
    }
    defaults = config.defaults(values)
    assert defaults["up"]["lease_seconds"] == 7.5
    assert defaults["build"] == {"coordinator": "http://project", "color": "never"}
    assert "bind" not in defaults["worker"]


def test_where_the_files_are(tmp_path: Path) -> None:
    """The user's file is where XDG says, else below ~/.config; without a home there is none."""
    here = tmp_path / "terzetto.toml"
    assert config.places({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, tmp_path) == [
        Path("/x/terzetto/config.toml"),
        here,
    ]
    assert config.places({"HOME": "/h"}, tmp_path) == [Path("/h/.config/terzetto/config.toml"), here]
    assert config.places({}, tmp_path) == [here]


@pytest.mark.parametrize(
    ("text", "cause", "fix"),
    [
        ('coordinater = "x"', "unknown key 'coordinater'", "did you mean coordinator?"),
        ("[worker]\nslot = 3", "unknown key 'worker.slot'", "did you mean worker.slots?"),
        (
            "zzz = 1",
            "unknown key 'zzz'",
            "known here: coordinator, progress, color, log_level, server, up, worker",
        ),
        ('[up]\nworkers = "2"', "up.workers must be an integer", "correct the file that is named"),
        ("[up]\nworkers = true", "up.workers must be an integer", "correct the file that is named"),
        ("[worker]\nlabel = [1]", "worker.label must be a list of texts", "correct the file that is named"),
        ("server = 3", "server must be a table", "correct the file that is named"),
        ("a = ", "Invalid value (at end of document)", "correct the file that is named"),
    ],
)
def test_what_no_verb_would_read_is_an_error(tmp_path: Path, text: str, cause: str, fix: str) -> None:
    """Each complaint names the file and the key; a near miss is guessed."""
    file = write(tmp_path / "terzetto.toml", text)
    with pytest.raises(Failure) as caught:
        config.read([file])
    assert caught.value.cause == f"{file}: {cause}"
    assert caught.value.fix == fix
    assert caught.value.exit == 2


@pytest.mark.parametrize(
    ("arguments", "environ", "files", "asked"),
    [
        ([], {}, {}, "http://127.0.0.1:8470"),
        ([], {}, {"user": "http://127.0.0.1:1"}, "http://127.0.0.1:1"),
        ([], {}, {"user": "http://127.0.0.1:1", "project": "http://127.0.0.1:2"}, "http://127.0.0.1:2"),
        (
            [],
            {"TERZETTO_COORDINATOR": "http://127.0.0.1:3"},
            {"project": "http://127.0.0.1:2"},
            "http://127.0.0.1:3",
        ),
        (
            ["--coordinator", "http://127.0.0.1:4"],
            {"TERZETTO_COORDINATOR": "http://127.0.0.1:3"},
            {"project": "http://127.0.0.1:2"},
            "http://127.0.0.1:4",
        ),
    ],
)
def test_precedence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    environ: dict[str, str],
    files: dict[str, str],
    asked: str,
) -> None:
    """Whichever speaks first names the coordinator; nobody listens there, so the error tells which it was."""
    places = {"user": tmp_path / "xdg/terzetto/config.toml", "project": tmp_path / "terzetto.toml"}
    for name, url in files.items():
        write(places[name], f'coordinator = "{url}"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("TERZETTO_COORDINATOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    code = run(["workers", *arguments])
    err = capsys.readouterr().err
    assert code == 7, err
    assert f"cause: {asked} takes no connection" in err


def test_every_key_is_an_option() -> None:
    """What a table holds, its verbs take; what every verb may have, some verb has."""
    takes = {verb: {param.name for param in command_of(verb).params} for verb in VERBS if verb != "graph"}
    log = command_of("log")
    assert isinstance(log, click.Group)
    takes["log"] = {param.name for param in log.commands["show"].params}
    for verb, tables in config.READS.items():
        for table in tables:
            wanted = {"doctor": {"data"}, "log": {"data"}, "agent": {"builders", "amqp"}}.get(
                verb, set(config.TABLES[table])
            )
            assert wanted <= takes[verb], (verb, table)
    assert set(config.SHARED) <= set().union(*takes.values())


def test_the_manual_shows_every_key(tmp_path: Path) -> None:
    """The example in the README can be read, and nothing is missing from it."""
    manual = (Path(clients.__file__).parent / "README.md").read_text()
    example = manual.partition("**Configuration.**")[2].partition("```toml\n")[2].partition("```")[0]
    values = config.read([write(tmp_path / "terzetto.toml", example)])
    assert values.keys() == {*config.SHARED, *config.TABLES}
    for table, keys in config.TABLES.items():
        assert values[table].keys() == keys.keys()
    for verb in VERBS:
        for param in getattr(command_of(verb), "params", []):
            if name := getattr(param, "envvar", None):
                assert name in example, f"{verb} heeds {name}"


def command_of(verb: str) -> click.Command:
    command = importlib.import_module(f"clients.cli.{verb}").command
    assert isinstance(command, click.Command)
    return command
