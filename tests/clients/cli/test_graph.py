"""`terzetto graph` as a user meets it: what is printed where, and with which exit code."""

import io
import json
from pathlib import Path

import pytest

from clients import codec
from clients.cli.graph import dot, text
from clients.cli.root import run
from clients.distbuild import BuildRequest, Graph, Job
from clients.graphs import GraphBuilder, artifact, check, output, source, write

TOML = """\
[jobs.hello]
run = "cat ${src}/name.txt > ${out}/hello"
inputs = ["name.txt"]
[jobs."use it"]
cmd = ["cat", "${dep:hello}/hello"]
timeout = "1.5s"
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "name.txt").write_text("world")
    (tmp_path / "g.toml").write_text(TOML)
    return str(tmp_path / "g.toml")


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert run(["graph", *arguments]) == code
    out, err = capsys.readouterr()
    return out, err


def test_check_says_that_a_graph_is_sound(capsys: pytest.CaptureFixture[str], file: str) -> None:
    """One line for people, one object for programs; sources are looked for beside the file."""
    assert said(capsys, "check", file) == ("ok: 2 jobs, 1 source\n", "")
    out, _ = said(capsys, "check", file, "--json")
    assert json.loads(out) == {"schema_version": 1, "ok": True, "jobs": 2, "sources": 1}


def test_check_tells_everything_that_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each problem has a line on stderr, nothing goes to stdout, and the exit code is 2."""
    bad = Graph(jobs=(Job(id="aa" * 20, name="a", deps=("aa" * 20, "bb" * 20), inputs=("gone",)),))
    (tmp_path / "g.json").write_bytes(codec.write(bad))
    out, err = said(capsys, "check", str(tmp_path / "g.json"), code=2)
    assert out == ""
    assert "job 'a': its input 'gone' is not among the source files\n" in err
    assert f"job 'a': its dependency '{'bb' * 20}' is no job of this graph\n" in err
    assert "jobs wait for one another: a -> a\n" in err


def test_check_looks_for_the_sources(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A graph in JSON brings ids, not files; those that are not there are named."""
    sound = Graph(
        source_files={"01" * 20: "a.c", "02" * 20: "b.c"}, jobs=(Job(id="aa" * 20, inputs=("a.c",)),)
    )
    (tmp_path / "g.json").write_bytes(codec.write(sound))
    _, err = said(capsys, "check", str(tmp_path / "g.json"), code=2)
    assert f"the source 'a.c' is no file below {tmp_path}\n" in err
    assert "the source 'b.c' is no file below" in err
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "a.c").touch()
    (other / "b.c").touch()
    assert (
        said(capsys, "check", str(tmp_path / "g.json"), "--source", str(other))[0] == "ok: 1 job, 2 sources\n"
    )


def test_complaints_about_toml_name_the_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As JSON, too, an error says what is wrong and what to do."""
    file = tmp_path / "g.toml"
    file.write_text('[jobs.a]\nrnu = "true"')
    out, err = said(capsys, "check", str(file), "--json", code=2)
    assert err == ""
    assert json.loads(out)["cause"] == f"{file}:2: jobs.a.rnu: is not known; did you mean 'run'?"


def test_ids_are_listed_dependencies_first(capsys: pytest.CaptureFixture[str], file: str) -> None:
    """An id and a name per line, which is what two graphs are compared by."""
    out, _ = said(capsys, "ids", file)
    (first, hello), (second, use) = (line.split("  ") for line in out.splitlines())
    assert (hello, use) == ("hello", "use it")
    objects = json.loads(said(capsys, "ids", file, "--json")[0])["jobs"]
    assert objects == [{"id": first, "name": "hello"}, {"id": second, "name": "use it"}]


def test_show_as_json_is_a_graph_again(capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path) -> None:
    """What `show --json` prints is a GRAPH with the same ids: TOML becomes distbuild's JSON."""
    (tmp_path / "again.json").write_text(said(capsys, "show", file, "--json")[0])
    assert said(capsys, "ids", str(tmp_path / "again.json")) == said(capsys, "ids", file)
    assert said(capsys, "check", str(tmp_path / "again.json"))[0] == "ok: 2 jobs, 1 source\n"


def test_show_prints_what_would_run(capsys: pytest.CaptureFixture[str], file: str) -> None:
    """Commands are shown with names instead of ids, and with quotes where a shell would need them."""
    lines = said(capsys, "show", file)[0].splitlines()
    ids = [line.split("  ")[0] for line in said(capsys, "ids", file)[0].splitlines()]
    assert lines == [
        f"hello  {ids[0]}",
        "  reads  name.txt",
        "  runs   /bin/sh -ec 'cat ${src}/name.txt > ${out}/hello'",
        f"use it  {ids[1]}",
        "  needs  hello",
        "  runs   cat ${dep:hello}/hello",
        "  within 1.5 s",
    ]


def test_two_formats_at_once_are_refused(capsys: pytest.CaptureFixture[str], file: str) -> None:
    """--json asks for one thing and --format for another."""
    assert "say two different things" in said(capsys, "show", file, "--json", "--format", "dot", code=2)[0]


def test_dot_draws_arrows_to_those_who_wait() -> None:
    """Names are quoted for Graphviz, nodes are told apart by id, an arrow follows what is made."""
    builder = GraphBuilder(Path())
    first = builder.job('say "hi"\\', cmd=["true"])
    second = builder.job("second", cmd=["cat", artifact(first)])
    assert [*dot(builder.graph())] == [
        "digraph build {",
        '  rankdir=LR; node [shape=box, style=rounded, fontname="sans-serif"];',
        f'  "{first.id}" [label="say \\"hi\\"\\\\"];',
        f'  "{second.id}" [label="second"];',
        f'  "{first.id}" -> "{second.id}";',
        "}",
    ]


def test_jobs_that_share_a_name_are_told_apart() -> None:
    """Names are for people and need not be unique; then a part of the id goes with them."""
    builder = GraphBuilder(Path(), read=lambda _: b"")
    twins = [builder.job("twin", cmds=[write("f", str(number)), ["cat", output("f")]]) for number in (1, 2)]
    last = builder.job("", cmd=["cmp", source("x"), *map(artifact, twins)], inputs=["x"])
    lines = [*text(builder.graph())]
    names = [f"twin#{job.id[:12]}" for job in twins]
    assert lines[0] == f"{names[0]}  {twins[0].id}"
    assert lines[1:3] == ["  writes ${out}/f", "  runs   cat ${out}/f"]
    assert lines[-4:] == [
        f"#{last.id[:12]}  {last.id}",
        "  reads  x",
        f"  needs  {' '.join(names)}",
        f"  runs   cmp ${{src}}/x ${{dep:{names[0]}}} ${{dep:{names[1]}}}",
    ]


def test_names_cannot_play_tricks() -> None:
    """A name from a stranger's graph is one line of printable text, whatever it contains."""
    hostile = Graph(jobs=(Job(id="aa" * 20, name="\x1b[2Jx\ny"),))
    check(hostile)
    assert [*text(hostile)] == [f"\N{REPLACEMENT CHARACTER}[2Jx\N{REPLACEMENT CHARACTER}y  {'aa' * 20}"]


def test_standard_input_is_a_graph(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` reads the graph from a pipe."""
    data = codec.write(BuildRequest(graph=Graph(jobs=(Job(id="aa" * 20, name="piped"),))))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert said(capsys, "ids", "-")[0] == f"{'aa' * 20}  piped\n"
