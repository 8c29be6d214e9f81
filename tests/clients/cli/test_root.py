"""The command as a whole: help, typos, errors for people and for programs, and how fast it answers."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clients.cli import config
from clients.cli.exits import Exit
from clients.cli.root import VERBS, run

QUICK = """
import sys, clients.cli
sys.argv = ["terzetto", *{arguments}]
code = clients.cli.main()
slow = sorted(set(sys.modules) & {{"trio", "quart", "rich", "cattrs", "attrs", "msgspec", "structlog"}})
print(code, slow, file=sys.stderr)
"""


def test_without_arguments_it_tells_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """At most 25 lines of at most 80 columns: what it is, three examples, every verb."""
    assert run([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("  terzetto ") for line in lines) == 3
    for verb, text in VERBS.items():
        assert f"  {verb:<13}{text}" in lines


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_helps(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """Examples first, at most 80 columns; the line in the list is the verb's own."""
    assert run([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert VERBS[verb] in out
    if verb != "graph":  # a group: each of its own verbs has examples
        assert out.startswith(f"Examples:\n  terzetto {verb}")


def test_the_exit_codes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, where scripts' authors look first."""
    assert run(["build", "--help"]) == 0
    told = capsys.readouterr().out.partition("Exit codes:\n")[2].partition("\n\n")[0]
    assert {int(number) for number in re.findall(r"\b\d+\b", told)} == {int(code) for code in Exit}


def test_a_typo_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest verb or option is named, and the exit code is 2."""
    assert run(["buidl"]) == 2
    assert capsys.readouterr().err == (
        "error[TZ-2001]: the command line is wrong\n"
        "cause: there is no verb 'buidl'\n"
        "fix: did you mean `build`?\n"
    )
    assert run(["builds", "--statee", "failed"]) == 2
    assert "fix: did you mean `--state`?" in capsys.readouterr().err


def test_errors_are_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """Under --json even a wrong command line is one object on stdout, with nothing on stderr."""
    assert run(["builds", "--state", "lost", "--json"]) == 2
    out, err = capsys.readouterr()
    assert err == ""
    error = json.loads(out)
    assert error.pop("cause").startswith("Invalid value for '--state': 'lost' is not one of")
    assert error == {
        "schema_version": 1,
        "kind": "Error",
        "code": "TZ-2001",
        "message": "the command line is wrong",
        "fix": "see `terzetto builds --help`",
        "exit_code": 2,
    }


def test_a_json_that_is_an_argument_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands behind `--` is not an option."""
    assert run(["watch", "--", "--json", "more"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.partition("\n")[0]) == ("", "error[TZ-2001]: the command line is wrong")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], [], ["build", "--help"], ["up", "--help"]])
def test_nothing_heavy_is_imported_to_answer_at_once(arguments: list[str]) -> None:
    """Neither trio nor quart nor rich is needed to say what there is."""
    done = subprocess.run(
        [sys.executable, "-c", QUICK.format(arguments=arguments)], capture_output=True, text=True, check=True
    )
    assert done.stderr == "0 []\n"


def test_a_bug_leaves_its_traceback_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The user sees one sentence and where the rest is."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fails(files: object) -> None:
        raise KeyError("gone")

    monkeypatch.setattr(config, "read", fails)
    assert run(["builds"]) == 3
    err = capsys.readouterr().err
    [file] = tmp_path.iterdir()
    assert err == (
        f"error[TZ-2999]: a bug in terzetto\ncause: KeyError: 'gone'\nfix: report it together with {file}\n"
    )
    assert "Traceback (most recent call last)" in file.read_text()


def test_a_reader_that_leaves_is_no_error() -> None:
    """Output into a pipe that nobody reads ends the command without a word, as SIGPIPE would."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "clients.cli", "--help"], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
