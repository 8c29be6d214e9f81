"""Records, stories and runs as a user sees them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clients.cli.log.showing import moment
from events.catalog import BuildStarted, HeartbeatReceived, Record, SourceDropped, WorkerJoined
from events.ids import BuildId, Position, SourceId, WorkerId
from tests.clients.cli.command import environ
from tests.clients.cli.log.logs import FAIL, SHARE, build, history, made, objects, said
from tests.golden.scenarios import HERE

MANY = 100_000
CROWD_BYTES = 32 << 20


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("log") / "log.sqlite3", history(FAIL))


def shown(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> list[Any]:
    return objects(said(capsys, "show", "--log", path, "--json", *arguments)[0])


def positions(records: list[Any]) -> list[int]:
    return [record["position"] for record in records]


def test_records_as_json_are_the_log(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object per line, as on every stream, with the version of its schema."""
    lines = (HERE / f"{FAIL}.jsonl").read_text().splitlines()
    assert shown(capsys, path) == [json.loads(line) for line in lines]


def test_records_for_people(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Position, time, type, and what each says."""
    lines, err = said(capsys, "show", "--log", path, "--since", "18", "--limit", "2")
    job = "a" * 40
    assert (lines, err) == (
        [
            "     18  2025-11-22T00:06:41.000Z  HeartbeatReceived  worker=v  slots_free=1  "
            f'finished=["{1:032x}"]',
            f"     19  2025-11-22T00:06:41.000Z  JobFailed          build={build(1)}  job={job}  "
            f'lease={1:032x}  exit_code=1  error="exit status 1"  stdout_bytes=12  stderr_bytes=3',
        ],
        "",
    )


def test_filters_narrow_down(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each alone, and together."""
    records = history(FAIL)
    failed = [r.position for r in records if type(r.event).__name__ in ("JobFailed", "BuildFailed")]
    assert positions(shown(capsys, path, "--type", "JobFailed", "--type", "BuildFailed")) == failed
    of_second = [r.position for r in records if getattr(r.event, "build", "") == build(2)]
    assert positions(shown(capsys, path, "--build", build(2))) == of_second
    of_a = [r.position for r in records if getattr(r.event, "job", "") == "a" * 40]
    assert positions(shown(capsys, path, "--job", "a")) == of_a
    of_v = [r.position for r in records if getattr(r.event, "worker", "") == "v"]
    assert positions(shown(capsys, path, "--worker", "v")) == of_v
    assert positions(shown(capsys, path, "--since", "5", "--until", "7")) == [5, 6, 7]
    second = [r.position for r in records if r.at == 1763770001.0]
    assert positions(shown(capsys, path, "--since", "2025-11-22T00:06:41Z")) == second
    assert positions(shown(capsys, path, "--until", "2025-11-22T00:06:40Z"))[-1] == second[0] - 1
    assert positions(shown(capsys, path, "--until", "1", "--limit", "9")) == [1]
    both = sorted({*of_second} & {*of_a} & {*of_v})
    assert positions(shown(capsys, path, "--build", build(2), "--job", "a" * 40, "--worker", "v")) == both


def test_what_is_not_there_is_said(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2, rather than showing nothing."""
    for flag in ("build", "job", "worker"):
        assert (
            f"the log knows no {flag} 'zz'"
            in said(capsys, "show", "--log", path, f"--{flag}", "zz", code=2)[1]
        )
    assert "did you mean JobFailed?" in said(capsys, "show", "--log", path, "--type", "JobFail", code=2)[1]


def test_a_story_for_people(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Position, time, how long after the first, and a sentence."""
    lines, _ = said(capsys, "story", f"job/{build(1)}/a", "--log", path)
    assert lines[0] == "      7  2025-11-22T00:06:40.000Z     +0.0s  job a was added"
    assert lines[-1] == (
        "     19  2025-11-22T00:06:41.000Z     +1.0s  "
        "job a failed on worker v after 1.0 s: exit 1, exit status 1"
    )
    as_json = objects(said(capsys, "story", f"job/{build(1)}/a", "--log", path, "--json")[0])
    assert as_json[0] == {
        "position": 7,
        "at": 1763770000.0,
        "time": "2025-11-22T00:06:40.000Z",
        "text": "job a was added",
    }
    assert len(as_json) == len(lines)


def test_what_ran(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line per run; with --build, of that build."""
    lines, err = said(capsys, "what-ran", "--log", path)
    assert (len(lines), err) == (6, "")
    assert lines[0] == (
        "     16  2025-11-22T00:06:40.000Z  00000000     1.0s  failed: exit status 1  v  a  echo a"
    )
    lines, _ = said(capsys, "what-ran", "--log", path, "--build", build(2), "--json")
    assert [(run["job"][0], run["result"], run["seconds"]) for run in objects(lines)] == [
        ("a", "failed", 0.0),
        ("c", "succeeded", 0.0),
        ("d", "succeeded", 0.0),
    ]


def test_what_failed(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only that; and where nothing did, stdout is empty and stderr says so."""
    lines, _ = said(capsys, "what-failed", "--log", path, "--json")
    assert [(run["job"][0], run["exit_code"], run["error"]) for run in objects(lines)] == [
        ("a", 1, "exit status 1"),
        ("a", 1, "exit status 2"),
    ]
    fine = made(tmp_path / "fine.sqlite3", history(SHARE))
    assert said(capsys, "what-failed", "--log", fine) == ([], "nothing failed\n")


def test_names_cannot_play_tricks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a stranger calls his build, it is one line of printable text."""
    event = BuildStarted(build=BuildId(build(1)), name="\x1b[2J\nx", jobs=0)
    path = made(tmp_path / "log.sqlite3", [Record(Position(1), 1e300, event)])
    for verb in ("show", f"story build/{build(1)}"):
        [line], _ = said(capsys, *verb.split(), "--log", path)
        assert line.isprintable()
        assert "1e+300" in line


def test_no_calendar_has_every_time() -> None:
    assert moment(1763770000.25) == "2025-11-22T00:06:40.250Z"
    assert moment(1e300) == "1e+300"


def crowd() -> Any:
    """A log of some 50 MB."""
    yield Record(Position(1), 1.0, WorkerJoined(worker=WorkerId("w"), slots=1, native=True))
    for place in range(2, MANY + 1):
        beat = HeartbeatReceived(worker=WorkerId("w"), slots_free=place % 2)
        dropped = SourceDropped(source=SourceId("s"), reason="x" * 500)
        yield Record(Position(place), float(place), beat if place % 5 == 0 else dropped)


MEASURED = """
import resource, sys
from clients.cli.root import run
code = run(sys.argv[1:])
sys.stdout.flush()
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)
"""


def measured(*arguments: str | Path) -> tuple[bytes, int]:
    """What a verb prints, and the most memory that its process had, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "log", *map(str, arguments)],
        capture_output=True,
        check=True,
        timeout=60,
        env=environ(),
    )
    code, peak = done.stderr.split()
    assert code == b"0"
    return done.stdout, int(peak)


def test_a_long_log_is_read_in_pages(tmp_path: Path) -> None:
    """100 000 records, 50 MB: no verb needs much more memory than for one record."""
    long, one = (
        made(tmp_path / "long.sqlite3", crowd()),
        made(tmp_path / "one.sqlite3", [*history(SHARE)[:3]]),
    )
    for verb, lines in (
        (("export",), MANY),
        (("show", "--json"), MANY),
        (("story", "worker/w"), 2),
        (("verify",), 1),
    ):
        topic = ("story", "worker/v") if verb[0] == "story" else verb
        out, peak = measured(*verb, "--log", long)
        _, least = measured(*topic, "--log", one)
        assert out.count(b"\n") == lines
        assert peak - least < CROWD_BYTES, verb
