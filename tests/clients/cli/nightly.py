"""A small build for tests of the command: its graph in a file, and what a coordinator tells of it."""

from pathlib import Path

from clients.graphs.files import load
from tests.clients.coordinators import record

TOML = """\
[build]
name = "nightly"
[jobs.compile]
run = "cat ${src}/name.txt > ${out}/hello"
inputs = ["name.txt"]
[jobs."bin/app"]
run = "cp ${dep:compile}/hello ${out}/app"
"""


def write(directory: Path) -> Path:
    """The graph and its source file, on disk."""
    (directory / "name.txt").write_text("world")
    (directory / "g.toml").write_text(TOML)
    return directory / "g.toml"


def ids(file: Path) -> dict[str, str]:
    """The ids of the graph's jobs by name."""
    return {job.name: job.id for job in load(str(file), source_root=file.parent).graph.jobs}


def sources(file: Path) -> tuple[str, ...]:
    """The ids of the graph's source files."""
    return tuple(load(str(file), source_root=file.parent).graph.source_files)


def begun(jobs: dict[str, str]) -> list[dict[str, object]]:
    compile_, app = jobs["compile"], jobs["bin/app"]
    return [
        record(5, "BuildStarted", name="nightly", jobs=2),
        record(6, "JobAdded", job=compile_, name="compile"),
        record(7, "JobAdded", job=app, name="bin/app", deps=[compile_]),
        record(8, "SourcesReady"),
        record(9, "JobQueued", job=compile_),
        record(10, "JobLeased", job=compile_, worker="http://w1:1", attempt=1, reason="free"),
    ]


def ended_well(jobs: dict[str, str]) -> list[dict[str, object]]:
    app = jobs["bin/app"]
    return [
        *begun(jobs),
        record(12, "JobSucceeded", job=jobs["compile"]),
        record(13, "JobQueued", job=app),
        record(14, "JobLeased", job=app, worker="http://w1:1", attempt=1, reason="free"),
        record(15, "JobSucceeded", job=app),
        record(16, "BuildSucceeded"),
    ]


def ended_badly(jobs: dict[str, str]) -> list[dict[str, object]]:
    return [
        *begun(jobs),
        record(11, "JobFailed", job=jobs["compile"], exit_code=2, error="exit status 2", stderr_bytes=12),
        record(12, "JobCancelled", job=jobs["bin/app"], reason="build-failed"),
        record(13, "BuildFailed", error="job compile failed: exit status 2"),
    ]
