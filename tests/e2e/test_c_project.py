"""A real project as a graph: every header declared, and touched headers rebuild exactly what they must."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import evolve

from clients.distbuild import Graph
from clients.graphs import check
from events.catalog import JobAdded, JobLeased, JobReused
from tests.clients.local_builder import LocalBuilder
from tests.e2e import logs
from tests.e2e.c_project import PROGRAMS, REPORT_JOB, Project, build_graph, inspect
from tests.e2e.debian_source import Offline, source_entries, unpacked
from tests.e2e.farm import Farm

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


@pytest.fixture(scope="module")
def project() -> Project:
    if shutil.which("gcc") is None:
        pytest.skip("there is no C compiler here")
    try:
        root = unpacked("lua5.4")
    except Offline as reason:
        pytest.skip(f"Lua's source is not here and cannot be fetched: {reason}")
    return inspect(root)


def included_in(root: Path, path: str) -> set[str]:
    """The headers a file includes, found by reading the text: an answer that owes nothing to a compiler."""
    found: set[str] = set()
    todo = [path]
    while todo:
        for name in _INCLUDE.findall((root / todo.pop()).read_text()):
            header = f"src/{name}"
            if header not in found:
                found.add(header)
                todo.append(header)
    return found


def downstream(made: Graph, names: set[str]) -> set[str]:
    """The jobs named, and all that wait for them directly or through others."""
    ids = {job.id for job in made.jobs if job.name in names}
    for job in made.jobs:  # dependencies come first
        if ids & set(job.deps):
            ids.add(job.id)
    return {job.name for job in made.jobs if job.id in ids}


def touched(project: Project, path: str) -> Graph:
    """The graph after a comment was added to the file."""
    return build_graph(project, read=lambda one: (project.root / one).read_bytes() + b"/**/" * (one == path))


def changed(before: Graph, after: Graph) -> set[str]:
    return {old.name for old, new in zip(before.jobs, after.jobs, strict=True) if old.id != new.id}


def test_the_graph_is_a_real_one(project: Project) -> None:
    """A job for each of more than thirty files, two programs, and checks that run what was made."""
    made = build_graph(project)
    check(made)
    names = {job.name for job in made.jobs}
    assert len([name for name in names if name.startswith("compile/")]) == len(project.headers) >= 30
    assert {f"link/{program}" for program in PROGRAMS} < names
    used = {dep for job in made.jobs for dep in job.deps}
    assert {job.name for job in made.jobs if job.id not in used} == {REPORT_JOB}
    assert build_graph(project) == made


def test_every_included_header_is_declared(project: Project) -> None:
    """What the compiler says it read is what the text says it includes."""
    found: Mapping[str, set[str]] = {path: included_in(project.root, path) for path in project.headers}
    assert {path: set(headers) for path, headers in project.headers.items()} == found


def test_touching_a_file_changes_exactly_its_dependents(project: Project) -> None:
    """For every file of the project: the jobs that compile it or include it, and what waits for those."""
    before = build_graph(project)
    every = sorted(
        {header for headers in project.headers.values() for header in headers} | {*project.headers}
    )
    assert len(every) >= 55
    for path in every:
        compiled = {
            f"compile/{Path(one).stem}.o"
            for one, headers in project.headers.items()
            if path in {one, *headers}
        }
        after = touched(project, path)
        assert changed(before, after) == downstream(before, compiled), path


def test_one_touched_header_leaves_most_compilations_alone(project: Project) -> None:
    """The declarations are worth their trouble: few files know the opcodes' names."""
    before = build_graph(project)
    again = changed(before, touched(project, "src/lopnames.h"))
    assert [name for name in sorted(again) if name.startswith("compile/")] == ["compile/luac.o"]
    assert "link/lua" not in again


@pytest.mark.e2e
def test_the_graph_builds_lua(project: Project, tmp_path: Path) -> None:
    """Run job by job, each with its declared inputs alone, the graph makes an interpreter that works."""
    made = LocalBuilder(project.root, tmp_path).build(build_graph(project))
    report = (made[REPORT_JOB] / "report").read_text()
    assert report.splitlines()[0] == "3\t-2\t1024.0\t4611686018427387904\t32.0\t5.0"
    assert report.splitlines()[-1] == "compiled\tonce"


@pytest.mark.e2e
def test_an_undeclared_header_is_not_there(project: Project, tmp_path: Path) -> None:
    """A graph that leaves out one header cannot compile: nothing leaks in from the source tree."""
    headers = {
        path: tuple(one for one in found if one != "src/lprefix.h") for path, found in project.headers.items()
    }
    made = build_graph(evolve(project, headers=headers))
    with pytest.raises(subprocess.CalledProcessError):
        LocalBuilder(project.root, tmp_path).run(made.jobs[0])


async def built(farm: Farm, root: Path, *options: str | Path) -> tuple[set[str], set[str]]:
    """Build the project as it lies in `root`; returns the names of jobs that ran and that were reused."""
    client = farm.build(build_graph(inspect(root)), *options, source=root)
    assert await client.ended() == 0, client.stderr
    said = json.loads(client.stdout)
    assert (said["state"], said["counts"]["succeeded"]) == ("succeeded", said["jobs"])
    log = farm.log()
    names = {event.job: event.name for event in logs.events(log, JobAdded, build=said["id"])}
    ran = {names[event.job] for event in logs.events(log, JobLeased, build=said["id"])}
    reused = {names[event.job] for event in logs.events(log, JobReused, build=said["id"])}
    assert ran | reused == set(names.values())
    return ran, reused


@pytest.mark.e2e
async def test_a_farm_builds_lua_and_never_the_same_twice(project: Project, farm: Farm) -> None:
    """Two workers share the work, the same again runs no job, and a touched header what depends on it."""
    await farm.coordinator()
    workers = {(await farm.worker(name)).url for name in ("one", "two")}
    ran, reused = await built(farm, project.root, "--out", farm.directory / "out")
    report = (farm.directory / "out" / REPORT_JOB / "report").read_text()
    assert report.splitlines()[-1] == "compiled\tonce"
    assert {event.worker for event in logs.events(farm.log(), JobLeased)} == workers
    every = {job.name for job in build_graph(project).jobs}
    assert (ran, reused) == (every, set())

    ran, reused = await built(farm, project.root, "--out", farm.directory / "again")
    assert (ran, reused) == (set(), every)
    assert (farm.directory / "again" / REPORT_JOB / "report").read_text() == report

    tree = Path(shutil.copytree(project.root, farm.directory / "touched"))
    with (tree / "src" / "lopnames.h").open("a") as header:
        header.write("/* touched */\n")
    ran, reused = await built(farm, tree)
    assert ran == downstream(build_graph(project), {"compile/luac.o"})
    assert reused == every - ran
    assert {"compile/luac.o", "link/luac", REPORT_JOB} <= ran
    assert "link/lua" in reused


def test_source_entries_mirror_the_machine_s(tmp_path: Path) -> None:
    """Both of apt's formats are turned round, options kept; other files in the directory are left alone."""
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb comment\ndeb [arch=amd64] http://mirror/debian stable main\n"
    )
    (tmp_path / "sources.list.d" / "a.sources").write_text("Types: deb deb-src\nURIs: http://mirror/debian\n")
    (tmp_path / "sources.list.d" / "b.list.disabled").write_text("deb http://elsewhere stable main\n")
    assert source_entries(tmp_path) == {
        "sources.list": "# deb comment\ndeb-src [arch=amd64] http://mirror/debian stable main\n",
        "a.sources": "Types: deb-src\nURIs: http://mirror/debian\n",
    }
