"""A real C project as a graph: Lua's own source, compiled file by file with exactly the headers each needs.

    project = inspect(unpacked("lua5.4"))
    graph = build_graph(project)

The compiler is asked once which headers each file includes (`gcc -MM`); those and nothing else become
the job's inputs, so a worker that offers less, or a graph that declares less, fails to compile. Commands
run in the source directory and name sources by relative paths, so that what they make does not depend on
where a worker keeps its directories.
"""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from clients.distbuild import Graph, Job
from clients.graphs import GraphBuilder, artifact, output, source, write
from tests.e2e.lua_checks import CHECKS, Check

FLAGS = ("-std=gnu99", "-O2", "-Wall", "-DLUA_COMPAT_5_3", "-DLUA_USE_POSIX", "-DLUA_USE_DLOPEN")
LIBRARIES = ("-Wl,-E", "-lm", "-ldl")
PROGRAMS = ("lua", "luac")  # the files with a main; all others go into the library
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}
JOB_SECONDS_MAX = 120.0
LIBRARY_JOB, REPORT_JOB = "liblua", "report"


@frozen(kw_only=True)
class Project:
    """What there is to compile: for each source file of `root`, by its path, the headers it includes."""

    root: Path
    compiler: str
    archiver: str
    headers: Mapping[str, tuple[str, ...]] = field(factory=dict)


def inspect(root: Path, *, compiler: str = "gcc", archiver: str = "ar") -> Project:
    """Ask the compiler what each file below `root`/src includes; raises FileNotFoundError without tools."""
    project = Project(root=root, compiler=tool(compiler), archiver=tool(archiver))
    files = sorted(f"src/{path.name}" for path in (root / "src").glob("*.c"))
    return evolve(project, headers={path: includes(project, path) for path in files})


def tool(name: str) -> str:
    """The absolute path of a program, which is what a job with an environment of its own needs."""
    if found := shutil.which(name):
        return found
    raise FileNotFoundError(f"there is no {name} on this machine")


def includes(project: Project, path: str) -> tuple[str, ...]:
    """The project's own headers that the file includes, directly or through others, sorted."""
    command = [project.compiler, *FLAGS, "-MM", path]
    rule = subprocess.run(command, cwd=project.root, check=True, stdout=subprocess.PIPE, text=True).stdout
    _target, _colon, words = rule.partition(":")
    return tuple(sorted(word for word in words.split() if word not in ("\\", path)))


def build_graph(project: Project, *, read: Callable[[str], bytes] | None = None) -> Graph:
    """Compile every file, archive, link, and run the result; `read` may give other contents for a path."""
    graph = GraphBuilder(project.root, read=read)
    objects = {Path(path).stem: _compile(graph, project, path) for path in project.headers}
    parts = [artifact(job, f"{name}.o") for name, job in objects.items() if name not in PROGRAMS]
    library = graph.job(LIBRARY_JOB, cmd=[project.archiver, "rcsD", output("liblua.a"), *parts], env=ENV)
    programs = {name: _link(graph, project, name, objects[name], library) for name in PROGRAMS}
    checks = [_check(graph, programs["lua"], check) for check in CHECKS]
    version = graph.job("check/version", cmd=[artifact(programs["lua"], "lua"), "-v"], env=ENV)
    bytecode = _bytecode(graph, programs)
    logs = [artifact(job, "log") for job in [*checks, bytecode]]
    report = '/bin/cat "$@" > "$0"'
    graph.job(REPORT_JOB, cmd=["/bin/sh", "-ec", report, output("report"), *logs], deps=[version], env=ENV)
    return graph.graph()


def _compile(graph: GraphBuilder, project: Project, path: str) -> Job:
    name = Path(path).stem
    return graph.job(
        f"compile/{name}.o",
        cmd=[project.compiler, *FLAGS, "-c", path, "-o", output(f"{name}.o")],
        inputs=[path, *project.headers[path]],
        env=ENV,
        working_directory=source(),
        timeout_seconds=JOB_SECONDS_MAX,
    )


def _link(graph: GraphBuilder, project: Project, name: str, main: Job, library: Job) -> Job:
    parts = [artifact(main, f"{name}.o"), artifact(library, "liblua.a")]
    command = [project.compiler, "-o", output(name), *parts, *LIBRARIES]
    return graph.job(f"link/{name}", cmd=command, env=ENV, timeout_seconds=JOB_SECONDS_MAX)


def _check(graph: GraphBuilder, lua: Job, check: Check) -> Job:
    run = '"$0" program.lua > log; cmp log expected'
    return graph.job(
        f"check/{check.name}",
        cmds=[
            write("program.lua", f"{check.program}\n"),
            write("expected", f"{check.prints}\n"),
            ["/bin/sh", "-ec", run, artifact(lua, "lua")],
        ],
        env=ENV,
        working_directory=output(),
        timeout_seconds=JOB_SECONDS_MAX,
    )


def _bytecode(graph: GraphBuilder, programs: Mapping[str, Job]) -> Job:
    """What luac compiles, lua runs."""
    lua, luac = artifact(programs["lua"], "lua"), artifact(programs["luac"], "luac")
    return graph.job(
        "check/bytecode",
        cmds=[
            write("program.lua", "print('compiled', ...)\n"),
            [luac, "-s", "-o", "program.luac", "program.lua"],
            ["/bin/sh", "-ec", '"$0" program.luac once > log', lua],
        ],
        env=ENV,
        working_directory=output(),
        timeout_seconds=JOB_SECONDS_MAX,
    )
