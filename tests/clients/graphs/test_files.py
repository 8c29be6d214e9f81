"""GRAPH is one argument for every kind of graph; whatever is given, it is checked before it is used."""

import json
import re
from pathlib import Path

import pytest

from clients import codec
from clients.distbuild import BuildRequest, Cmd, Graph, Job
from clients.graphs.files import load
from clients.graphs.toml import BadGraphFile
from events.graphs import BadGraph

A = "aa" * 20
GRAPH = Graph(source_files={"01" * 20: "a.c"}, jobs=(Job(id=A, name="a", inputs=("a.c",)),))
README = Path(__file__).parents[3] / "clients" / "README.md"


def loaded(data: bytes | str, root: Path = Path()) -> BuildRequest:
    raw = data if isinstance(data, bytes) else data.encode()
    return load("-", source_root=root, read_stdin=lambda: raw)


def test_both_shapes_of_json() -> None:
    """A whole build request and a bare graph are both distbuild's JSON."""
    request = BuildRequest(graph=GRAPH, name="n", keep_going=True)
    assert loaded(codec.write(request)) == request
    assert loaded(codec.write(GRAPH)) == BuildRequest(graph=GRAPH)


def test_json_as_go_programs_write_it() -> None:
    """Nulls for empty lists and names in any case are what distbuild's own tools produce and accept."""
    text = json.dumps(
        {"sourcefiles": None, "JOBS": [{"ID": A, "Name": "a", "Inputs": None, "Cmds": [{"Exec": ["x"]}]}]}
    )
    assert loaded(text).graph.jobs == (Job(id=A, name="a", cmds=(Cmd(exec=("x",)),)),)


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    """What is in the file decides how it is read, not what the file is called."""
    (tmp_path / "graph").write_text('[jobs.a]\nrun = "true"')
    assert [job.name for job in load(str(tmp_path / "graph"), source_root=tmp_path).graph.jobs] == ["a"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"{", "stdin: not valid JSON: "),
        (b"{}", 'stdin: has neither "Graph" nor "Jobs", so it is no graph'),
        (b'{"Jobs":[{"Name":"x"}]}', "stdin: lacks the field ID"),
        (b'{"Jobs":5}', "stdin: must be a list"),
        (b"\xff", "stdin: is not UTF-8 text: "),
    ],
)
def test_what_is_no_graph_file(data: bytes, problem: str) -> None:
    """The complaint names the file and the fault."""
    with pytest.raises(BadGraphFile) as refusal:
        loaded(data)
    assert refusal.value.problems[0].startswith(problem)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file is a complaint like any other, not a traceback."""
    with pytest.raises(BadGraphFile, match=r"gone\.toml: cannot be read: No such file"):
        load(str(tmp_path / "gone.toml"), source_root=tmp_path)


def test_whatever_is_loaded_is_checked() -> None:
    """A graph that cannot be built is refused here, from JSON as from TOML."""
    with pytest.raises(BadGraph, match="a -> a"):
        loaded(codec.write(Graph(jobs=(Job(id=A, name="a", deps=(A,)),))))
    with pytest.raises(BadGraph, match=r"\{\{\.Nope\}\} is not known"):
        loaded('[jobs.a]\nrun = "{{.Nope}}"')


def test_the_readme_s_example_is_a_graph(tmp_path: Path) -> None:
    """What the README shows is read by the parser that it documents."""
    example = re.search(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    assert example is not None
    for path in ("hello.c", "greet.c", "hello.h", "include/lib/greet.h"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    request = loaded(example[1], tmp_path)
    jobs = {job.name: job for job in request.graph.jobs}
    assert request.name == "hello"
    assert sorted(jobs) == ["compile/greet.o", "compile/hello.o", "hello", "test"]
    assert jobs["compile/hello.o"].inputs == ("hello.c", "hello.h", "include/lib/greet.h")
    assert set(jobs["hello"].deps) == {jobs["compile/greet.o"].id, jobs["compile/hello.o"].id}
    assert jobs["test"].timeout_seconds == 30.0


def test_the_readme_s_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the builder does what it says."""
    example = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert example is not None
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "hello.c").write_text("")
    (tmp_path / "src" / "hello.h").write_text("")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example[1], str(README), "exec"), names)
    assert "compiled" in names
