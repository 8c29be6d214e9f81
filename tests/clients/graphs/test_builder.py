"""The builder's promise: ids follow from the work alone, and a graph it makes can be built."""

import hashlib
import time
from pathlib import Path

import pytest

from clients.distbuild import Cmd, Graph, Job
from clients.graphs import GraphBuilder, artifact, check, output, source, source_id, write
from events.graphs import BadGraph

FILES = {"a.c": b"a", "b.c": b"b", "a.h": b"ah", "common.h": b"common"}


def small(files: dict[str, bytes] | None = None) -> Graph:
    """Two compilations that share a header, a link of both, and a job that reads no source at all."""
    graph = GraphBuilder(Path(), read={**FILES, **(files or {})}.__getitem__)
    a = graph.job("a.o", cmd=["gcc", source("a.c"), "-o", output("a.o")], inputs=["a.c", "a.h", "common.h"])
    b = graph.job("b.o", cmd=["gcc", source("b.c"), "-o", output("b.o")], inputs=["b.c", "common.h"])
    graph.job("link", cmd=["ld", artifact(a, "a.o"), artifact(b, "b.o"), "-o", output("x")])
    graph.job("date", cmds=[write("date", "today")])
    return graph.graph()


def changed(before: Graph, after: Graph) -> set[str]:
    return {old.name for old, new in zip(before.jobs, after.jobs, strict=True) if old.id != new.id}


def test_a_graph_is_what_was_said() -> None:
    """Names, inputs, dependencies and commands arrive in distbuild's shape, ids filled in."""
    graph = small()
    check(graph)
    a, b, link, date = graph.jobs
    assert a.cmds == (Cmd(exec=("gcc", "{{.SourceDir}}/a.c", "-o", "{{.OutputDir}}/a.o")),)
    assert (a.inputs, a.deps) == (("a.c", "a.h", "common.h"), ())
    assert link.deps == (a.id, b.id)
    assert link.cmds[0].exec[1] == f'{{{{index .Deps "{a.id}"}}}}/a.o'
    assert date.cmds == (Cmd(cat_template="today", cat_output="{{.OutputDir}}/date"),)
    assert graph.source_files == {source_id(path, FILES[path]): path for path in FILES}


def test_ids_are_the_first_twenty_bytes_of_sha256() -> None:
    """Whoever has the file and its path can compute a source's id."""
    assert source_id("a.c", b"int x;") == hashlib.sha256(b"a.c\0int x;").hexdigest()[:40]


def test_equal_files_at_two_paths_are_two_sources() -> None:
    """SourceFiles maps an id to one path, so the path must tell equal contents apart."""
    graph = GraphBuilder(Path(), read=lambda _: b"same")
    graph.job("both", cmd=["cmp", source("x"), source("y")], inputs=["x", "y"])
    assert sorted(graph.graph().source_files.values()) == ["x", "y"]


@pytest.mark.parametrize(
    ("path", "jobs"),
    [
        ("common.h", {"a.o", "b.o", "link"}),
        ("a.h", {"a.o", "link"}),
        ("b.c", {"b.o", "link"}),
    ],
)
def test_touching_a_file_changes_exactly_what_depends_on_it(path: str, jobs: set[str]) -> None:
    """New contents mean new ids for the jobs that read the file, directly or through others."""
    assert changed(small(), small({path: b"touched"})) == jobs
    assert changed(small(), small()) == set()


def test_an_id_follows_from_the_work_alone() -> None:
    """Name, time limit and the order of listing do not change an artifact, so they do not change the id."""
    files = {"x": b"1", "y": b"2"}

    def one(name: str = "n", inputs: str = "xy", cmd: str = "true", **rest: object) -> str:
        graph = GraphBuilder(Path(), read=files.__getitem__)
        return graph.job(name, cmd=[cmd], inputs=list(inputs), **rest).id  # type: ignore[arg-type]  # test data

    plain = one()
    assert {one(name="other"), one(inputs="yx"), one(timeout_seconds=9.0), one(env={})} == {plain}
    different = {one(inputs="x"), one(cmd="false"), one(env={"A": "1"}), one(working_directory="/tmp")}
    assert len(different | {plain}) == 5


def test_words_are_not_run_together() -> None:
    """`a bc` and `ab c` are different commands, and so are a word and an environment entry."""
    graph = GraphBuilder(Path())
    ids = {
        graph.job("1", cmd=["a", "bc"]).id,
        graph.job("2", cmd=["ab", "c"]).id,
        graph.job("3", cmds=[["a"], ["bc"]]).id,
        graph.job("4", cmd=["a"], env={"bc": ""}).id,
    }
    assert len(ids) == 4


def test_dependencies_are_listed_once() -> None:
    """A job that is both listed and mentioned is one dependency; one that is only listed counts, too."""
    graph = GraphBuilder(Path())
    first, second = graph.job("first", cmd=["1"]), graph.job("second", cmd=["2"])
    third = graph.job("third", cmd=["cat", artifact(second), artifact(second, "x")], deps=[first, second])
    assert third.deps == (first.id, second.id)


def test_sources_are_read_once_from_below_the_root(tmp_path: Path) -> None:
    """By default sources come from the disk, and a source that many jobs share is read once."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "f").write_bytes(b"content")
    graph = GraphBuilder(tmp_path)
    graph.job("one", cmd=["1"], inputs=["dir/f"])
    (tmp_path / "dir" / "f").unlink()
    graph.job("two", cmd=["2"], inputs=["dir/f"])
    assert graph.graph().source_files == {source_id("dir/f", b"content"): "dir/f"}
    with pytest.raises(FileNotFoundError):
        graph.job("three", cmd=["3"], inputs=["gone"])


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a//b", "", "a\0b"])
def test_a_source_outside_is_refused_before_it_is_read(path: str) -> None:
    """No file beyond the source directory is opened, let alone sent away."""

    def read(path: str) -> bytes:
        raise AssertionError(f"read {path!r}")

    with pytest.raises(BadGraph, match="job 'j': its input"):
        GraphBuilder(Path(), read=read).job("j", cmd=["true"], inputs=[path])


def test_mistakes_are_named_where_they_are_made() -> None:
    """A bad template, a twin, a stranger's job and a command given as text are refused at once."""
    graph = GraphBuilder(Path())
    first = graph.job("first", cmd=["true"])
    with pytest.raises(BadGraph, match=r"job 'j': \{\{\.Nope\}\} is not known"):
        graph.job("j", cmd=["echo", "{{.Nope}}"])
    with pytest.raises(BadGraph, match="job 'twin': the job 'first' already does exactly the same"):
        graph.job("twin", cmd=["true"])
    with pytest.raises(BadGraph, match=r"job 'j': its dependency 0{40} was not added to this graph"):
        graph.job("j", cmd=["x"], deps=[Job(id="0" * 40)])
    with pytest.raises(TypeError, match="a command is a list of words"):
        graph.job("j", cmd="gcc -c")
    assert graph.graph().jobs == (first,)


def test_a_hundred_thousand_jobs() -> None:
    """Large graphs are drawn up and checked in linear time, without recursion."""
    graph = GraphBuilder(Path(), read=lambda _: b"")
    started = time.process_time()
    job = graph.job("0", cmd=["true"], inputs=["f"])
    for number in range(1, 100_000):
        job = graph.job(str(number), cmd=["cat", artifact(job, "f"), source("f")], inputs=["f"])
    check(graph.graph())
    assert time.process_time() - started < 30
