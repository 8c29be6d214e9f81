"""Every graph that cannot be built is refused, with a sentence for each thing that is wrong."""

import time
from typing import Any

import pytest
from attrs import evolve, frozen

from events.catalog import Container
from events.graphs import NEEDS_MAX, BadGraph, check, path_problem, topological

A, B, C, D = ("aa" * 20, "bb" * 20, "cc" * 20, "dd" * 20)
S, T = ("01" * 20, "02" * 20)


@frozen(kw_only=True)
class Cmd:
    exec: tuple[str, ...] = ()
    environ: tuple[str, ...] = ()
    working_directory: str = ""
    cat_template: str = ""
    cat_output: str = ""


@frozen(kw_only=True)
class Job:
    id: str
    name: str = ""
    inputs: tuple[str, ...] = ()
    deps: tuple[str, ...] = ()
    cmds: tuple[Cmd, ...] = ()
    container: Container | None = None
    needs: tuple[str, ...] = ()


def problems(*jobs: Job, sources: dict[str, str] | None = None) -> tuple[str, ...]:
    try:
        check(jobs, sources or {})
    except BadGraph as refusal:
        return refusal.problems
    return ()


def test_a_sound_graph_passes() -> None:
    """Inputs that are declared, dependencies that exist, templates that are known: nothing to say."""
    compile_ = Job(
        id=A,
        name="compile",
        inputs=("src/a.c", "src/a.h"),
        cmds=(
            Cmd(
                exec=("gcc", "-c", "{{.SourceDir}}/src/a.c", "-o", "{{ .OutputDir }}/a.o"),
                environ=("PATH=/usr/bin", "EMPTY=", "HOME={{.OutputDir}}"),
                working_directory="{{.SourceDir}}",
            ),
            Cmd(cat_template="made in {{.OutputDir}}", cat_output="{{.OutputDir}}/note"),
        ),
    )
    link = Job(id=B, deps=(A, A), cmds=(Cmd(exec=("ld", f'{{{{index .Deps "{A}"}}}}/a.o')),))
    assert problems(link, compile_, sources={S: "src/a.c", T: "src/a.h"}) == ()


def test_nothing_to_do_is_no_error() -> None:
    """An empty graph, a job without commands, and one that both runs and writes are all accepted."""
    assert problems() == ()
    assert problems(Job(id=A), Job(id=B, cmds=(Cmd(exec=("true",), cat_output="unused"),))) == ()


def test_a_cycle_is_named_by_its_jobs() -> None:
    """Whoever reads the refusal can walk the cycle; a job that leads into it is no part of it."""
    jobs = (
        Job(id=A, name="a", deps=(B,)),
        Job(id=B, name="b", deps=(A,)),
        Job(id=C, name="bystander", deps=(A,)),
    )
    assert problems(*jobs) == ("jobs wait for one another: a -> b -> a",)


def test_each_separate_cycle_is_named() -> None:
    """Mending one cycle must not bring the next to light: a loop of one is among those told at once."""
    jobs = (
        Job(id=A, name="a", deps=(C, B)),
        Job(id=B, name="b", deps=(A,)),
        Job(id=C, name="c", deps=(C,)),
    )
    assert problems(*jobs) == (
        "jobs wait for one another: c -> c",
        "jobs wait for one another: a -> b -> a",
    )


def test_a_long_cycle_is_abbreviated() -> None:
    """A cycle of a hundred thousand jobs is still one readable line."""
    size = 100_000
    ids = [f"{number:040x}" for number in range(size)]
    jobs = [Job(id=ids[n], name=f"j{n}", deps=(ids[(n + 1) % size],)) for n in range(size)]
    (problem,) = problems(*jobs)
    assert problem == (
        "jobs wait for one another: j0 -> j1 -> j2 -> j3 -> j4 -> j5 -> … 99990 more … -> "
        "j99996 -> j99997 -> j99998 -> j99999 -> j0"
    )


def test_ids_and_references_must_hold() -> None:
    """Malformed, repeated and dangling ids are each named, by the job's name where it has one."""
    jobs = (
        Job(id="AA" * 20, name="loud"),
        Job(id=A, name="one"),
        Job(id=A, name="two", deps=(D,)),
        Job(id=B, inputs=("gone.c",)),
    )
    assert problems(*jobs) == (
        f"job 'loud': its id '{'AA' * 20}' is not 40 lower-case hex digits",
        f"job 'two': the job 'one' has the same id {A}",
        f"job 'two': its dependency '{D}' is no job of this graph",
        f"job '{B}': its input 'gone.c' is not among the source files",
    )


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a//b",
        "./a",
        "a/",
        "a/.",
        "a\0b",
        "\ud800",
        "x" * 256,
        "x/" * 600 + "x",
    ],
)
def test_paths_that_leave_or_confuse_the_source_directory(path: str) -> None:
    """A source path is a plain relative path: only so does it mean one place on every worker."""
    assert path_problem(path) is not None
    (problem,) = problems(sources={S: path})
    assert problem.startswith(f"the source path {path!r} ")


@pytest.mark.parametrize("path", ["a", "a/b.c", "...", "..a", "a b ", "-o", "CON", "ünï", "a\\b", "x" * 255])
def test_paths_that_are_merely_unusual(path: str) -> None:
    """What a Linux file system can hold below a directory is allowed."""
    assert path_problem(path) is None
    assert problems(sources={S: path}) == ()


def test_sources_must_fit_into_one_directory() -> None:
    """Two sources cannot share a path, and a file cannot be another's directory."""
    assert problems(sources={S: "a", T: "a"}) == (f"the sources {S} and {T} are both at the path 'a'",)
    assert problems(sources={S: "a/b/c", T: "a"}) == (
        "the source 'a' is a file, yet 'a/b/c' needs it to be a directory",
    )
    assert problems(sources={"xyz": "a"}) == (
        "the id 'xyz' of the source 'a' is not 40 lower-case hex digits",
    )


@pytest.mark.parametrize("field", ["exec", "environ", "working_directory", "cat_template", "cat_output"])
def test_templates_are_read_everywhere_a_worker_renders_them(field: str) -> None:
    """An unknown variable or a foreign artifact is found in whichever text it hides."""
    plain = Cmd(exec=("true",)) if field in ("environ", "working_directory") else Cmd(cat_output="out")
    for text, words in [
        ("X={{.Home}}", "{{.Home}} is not known"),
        (f'X={{{{index .Deps "{C}"}}}}', f"uses the artifact of {C}, which is not among"),
        ("X=\0", "contains a NUL character"),
    ]:
        changes: dict[str, Any] = {field: (text,) if field in ("exec", "environ") else text}
        cmd = evolve(plain, **changes)
        (problem,) = problems(Job(id=A, name="a", deps=(B,), cmds=(cmd,)), Job(id=B))
        assert problem.startswith("job 'a', command 1: ")
        assert words in problem


def test_commands_that_cannot_be_carried_out() -> None:
    """A command must run or write something, and its environment must be one."""
    cmds = (Cmd(), Cmd(exec=("", "x")), Cmd(exec=("true",), environ=("NOVALUE", "=x")))
    assert problems(Job(id=A, name="a", cmds=cmds)) == (
        "job 'a', command 1: neither runs a program nor writes a file",
        "job 'a', command 2: the program's name is empty",
        "job 'a', command 3: the environment entry 'NOVALUE' is not NAME=VALUE",
        "job 'a', command 3: the environment entry '=x' is not NAME=VALUE",
    )


def test_a_refusal_has_every_problem_and_says_the_first() -> None:
    """The text stays readable however much is wrong; nothing is kept from a program that asks."""
    with pytest.raises(BadGraph, match=r"; and 980 more$") as refusal:
        check([Job(id=f"{n:040x}", deps=(D,)) for n in range(1000)], {})
    assert len(refusal.value.problems) == 1000


def test_topological_puts_dependencies_first() -> None:
    """The order of jobs in the graph does not matter, nor do dependencies from elsewhere."""
    jobs = [Job(id=A, deps=(B, D)), Job(id=B, deps=(C,)), Job(id=C)]
    assert topological(jobs) == [2, 1, 0]


def test_needs_are_labels_and_few() -> None:
    """A queue for each is looked through whenever somebody asks for work."""
    assert problems(Job(id=A, name="a", needs=("gpu=", "os=linux"))) == ()
    wrong = problems(Job(id=A, name="a", needs=("gpu", "=yes")))
    assert wrong == tuple(f"job 'a': its need {need!r} is not a label NAME=VALUE" for need in ("gpu", "=yes"))
    many = [Job(id=f"{n:040x}", needs=(f"n={n}",)) for n in range(NEEDS_MAX)]
    assert problems(*many) == ()
    assert problems(*many, Job(id=A)) == (
        f"the jobs have {NEEDS_MAX + 1} different needs; at most {NEEDS_MAX} are possible in a build",
    )


def test_topological_refuses_a_cycle_and_nothing_else() -> None:
    """There is no order for jobs that wait for one another; other faults are not its business."""
    assert topological([Job(id=A, inputs=("undeclared",))]) == [0]
    with pytest.raises(BadGraph) as refusal:
        topological([Job(id=A, name="a", deps=(A,), inputs=("undeclared",))])
    assert refusal.value.problems == ("jobs wait for one another: a -> a",)


def test_a_large_graph_is_judged_in_linear_time() -> None:
    """A hundred thousand jobs, each on two others, take seconds even here; quadratic work would not."""
    size = 100_000
    ids = [f"{number:040x}" for number in range(size)]
    cmd = Cmd(exec=("gcc", "-c", "{{.SourceDir}}/a.c", "-o", "{{.OutputDir}}/a.o"), environ=("PATH=/bin",))
    jobs = [
        Job(id=ids[n], inputs=("a.c",), deps=tuple(ids[max(0, n - 2) : n]), cmds=(cmd,)) for n in range(size)
    ]
    started = time.process_time()
    check(jobs, {S: "a.c"})
    assert time.process_time() - started < 20
