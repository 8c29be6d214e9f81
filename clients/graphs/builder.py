"""Graphs drawn up in Python: say what each job runs and reads, and get distbuild's graph with ids.

    graph = GraphBuilder(Path("src"))
    compile_ = graph.job(
        "compile/foo.o",
        cmd=["/usr/bin/gcc", "-c", source("foo.c"), "-o", output("foo.o")],
        inputs=["foo.c", "foo.h"],
    )
    graph.job("link", cmd=["/usr/bin/gcc", artifact(compile_, "foo.o"), "-o", output("foo")])
    check(graph.graph())

An id is the key under which a job's result is kept, so it is the hash of all that the result follows
from (commands, inputs, dependencies) and of nothing else (not the name people give the job, not its
time limit): the same work has the same id in every build, and touching a file gives new ids to exactly
the jobs that read it, directly or through others.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clients.codec import unstructure
from clients.distbuild import Cmd, Container, Graph, Job
from events import graphs, template
from events.graphs import BadGraph

Line = Sequence[str] | Cmd


def source(path: str = "") -> str:
    """How a command names the input at `path` (or the directory that holds all inputs)."""
    return _below("{{.SourceDir}}", path)


def output(path: str = "") -> str:
    """How a command names `path` in the artifact it makes (or the artifact's directory)."""
    return _below("{{.OutputDir}}", path)


def artifact(job: Job, path: str = "") -> str:
    """How a command names `path` in the artifact of a job it depends on (or the artifact's directory)."""
    return _below(f'{{{{index .Deps "{job.id}"}}}}', path)


def write(path: str, text: str) -> Cmd:
    """A command that writes `text`, whose variables are filled in, to `path` in the artifact."""
    return Cmd(cat_template=text, cat_output=output(path))


def source_id(path: str, content: bytes) -> str:
    """A source's id: the first 20 bytes of SHA-256 over path, NUL and content, in hex.

    The path is part of it because distbuild's SourceFiles maps each id to one path: were it the hash of
    the content alone, two equal files at two paths could not both be sources of one graph.
    """
    digest = hashlib.sha256(path.encode() + b"\0")
    digest.update(content)
    return digest.hexdigest()[:40]


def job_id(
    cmds: Iterable[Cmd],
    source_ids: Iterable[str],
    deps: Iterable[str],
    container: Container | None = None,
) -> str:
    """A job's id: the first 20 bytes of SHA-256 over what determines its artifact, in hex."""
    runs = [[c.exec, c.environ, c.working_directory, c.cat_template, c.cat_output] for c in cmds]
    whole = ["terzetto job 1", runs, sorted(set(source_ids)), sorted(set(deps))]
    text = json.dumps(
        whole if container is None else [*whole, unstructure(container)],
        separators=(",", ":"),
        ensure_ascii=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def typed_job_id(job_type: str, channel: str, args: str, deps: Iterable[str]) -> str:
    """The same of a typed job; the order of its dependencies is that of the results it is told."""
    text = json.dumps(["terzetto typed job 1", job_type, channel, args, *deps], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def check(graph: Graph) -> None:
    """Raise `BadGraph`, naming every problem, unless the graph can be built."""
    graphs.check(graph.jobs, graph.source_files)


class GraphBuilder:
    """Collects jobs, dependencies first; `read` gives a source's bytes (default: from `source_root`).

    `environ` is in the environment of every job, unless that says otherwise.
    """

    def __init__(
        self,
        source_root: Path,
        *,
        read: Callable[[str], bytes] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = dict(environ or {})
        self._read = read or (lambda path: (source_root / path).read_bytes())
        self._source_ids: dict[str, str] = {}
        self._jobs: dict[str, Job] = {}

    def job(
        self,
        name: str,
        *,
        cmd: Sequence[str] = (),
        cmds: Iterable[Line] = (),
        inputs: Iterable[str] = (),
        deps: Iterable[Job] = (),
        env: Mapping[str, str] | None = None,
        working_directory: str = "",
        timeout_seconds: float = 0.0,
        container: Container | None = None,
        needs: Mapping[str, str] | None = None,
    ) -> Job:
        """Add a job that runs `cmd`, then each of `cmds`, in `env` and nothing but `env`.

        Jobs whose `artifact(…)` a command names are dependencies without being listed in `deps`.
        In a `container`, that is; without one, as plain processes. A `timeout_seconds` of 0 is no limit.
        `needs` are labels that a worker must have. Raises `BadGraph` for a path that cannot be a source, a
        template that cannot be rendered or a job that was added before; OSError for an unreadable input.
        """
        environ = tuple(f"{key}={value}" for key, value in sorted({**self._environ, **(env or {})}.items()))
        lines: list[Line] = [cmd, *cmds] if cmd else [*cmds]
        commands = tuple(_command(line, environ, working_directory) for line in lines)
        paths = tuple(dict.fromkeys(inputs))
        dep_ids = tuple(dict.fromkeys([dep.id for dep in deps] + _mentioned(name, commands)))
        job = Job(
            id=job_id(commands, [self._source(name, path) for path in paths], dep_ids, container),
            name=name,
            inputs=paths,
            deps=dep_ids,
            cmds=commands,
            timeout_seconds=timeout_seconds,
            container=container,
            needs=tuple(f"{key}={value}" for key, value in sorted((needs or {}).items())),
        )
        return self._add(job)

    def typed(
        self,
        name: str,
        job_type: str,
        *,
        channel: str = "",
        args: Any = None,
        deps: Iterable[Job] = (),
        after_failure: bool = False,
        needs: Mapping[str, str] | None = None,
    ) -> Job:
        """Add a job for workers that ask for this type in this channel; `args` are JSON values, None is none.

        It is told the results of `deps`, in this order; with `after_failure` also if they failed, in a build
        that keeps going. Raises `BadGraph` for a job that was added before.
        """
        text = "" if args is None else json.dumps(args, separators=(",", ":"), ensure_ascii=True)
        dep_ids = tuple(dict.fromkeys(dep.id for dep in deps))
        job = Job(
            id=typed_job_id(job_type, channel, text, dep_ids),
            name=name,
            deps=dep_ids,
            needs=tuple(f"{key}={value}" for key, value in sorted((needs or {}).items())),
            job_type=job_type,
            channel=channel,
            args=text,
            after_failure=after_failure,
        )
        return self._add(job)

    def graph(self) -> Graph:
        """All jobs in the order in which they were added, with the sources they read."""
        sources = {source: path for path, source in self._source_ids.items()}
        return Graph(source_files=sources, jobs=tuple(self._jobs.values()))

    def _source(self, job: str, path: str) -> str:
        if path not in self._source_ids:
            if problem := graphs.path_problem(path):
                raise BadGraph([f"job {job!r}: its input {path!r} {problem}"])
            self._source_ids[path] = source_id(path, self._read(path))
        return self._source_ids[path]

    def _add(self, job: Job) -> Job:
        if twin := self._jobs.get(job.id):
            same = f"the job {twin.name!r} already does exactly the same"
            raise BadGraph([f"job {job.name!r}: {same}; use that one, or make their commands differ"])
        for dep in job.deps:
            if dep not in self._jobs:
                raise BadGraph([f"job {job.name!r}: its dependency {dep} was not added to this graph"])
        self._jobs[job.id] = job
        return job


def _below(directory: str, path: str) -> str:
    return f"{directory}/{path}" if path else directory


def _command(line: Line, environ: tuple[str, ...], working_directory: str) -> Cmd:
    if isinstance(line, Cmd):
        return line
    if isinstance(line, str):
        raise TypeError(f"a command is a list of words, not the text {line!r}")
    return Cmd(exec=tuple(line), environ=environ, working_directory=working_directory)


def _mentioned(name: str, cmds: Iterable[Cmd]) -> list[str]:
    found: list[str] = []
    for cmd in cmds:
        for text in (*cmd.exec, *cmd.environ, cmd.working_directory, cmd.cat_template, cmd.cat_output):
            try:
                found += template.dependencies(template.parse(text))
            except template.TemplateError as error:
                raise BadGraph([f"job {name!r}: {error}"]) from error
    return found
