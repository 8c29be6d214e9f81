"""Is this graph a build that can be carried out? Asked by whoever draws it up and by whoever accepts it.

Works on anything shaped like a job, so that the wire's values and the model's are judged alike, and
finds everything that is wrong in one pass, in time linear in the size of the graph.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from events import cycles, template
from events.catalog import Container
from events.containers import problems_of as container_problems
from events.ids import is_hex40
from events.queue import wants

PATH_BYTES_MAX = 1024
COMPONENT_BYTES_MAX = 255
PROBLEMS_SHOWN = 20
# Jobs with other needs wait in a queue of their own, and whoever asks for work looks at every queue.
NEEDS_MAX = 64


class CmdShape(Protocol):
    @property
    def exec(self) -> Sequence[str]: ...
    @property
    def environ(self) -> Sequence[str]: ...
    @property
    def working_directory(self) -> str: ...
    @property
    def cat_template(self) -> str: ...
    @property
    def cat_output(self) -> str: ...


class JobShape(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> Sequence[str]: ...
    @property
    def deps(self) -> Sequence[str]: ...
    @property
    def cmds(self) -> Sequence[CmdShape]: ...
    @property
    def container(self) -> Container | None: ...
    @property
    def needs(self) -> Sequence[str]: ...


class BadGraph(ValueError):
    """The graph cannot be built; `problems` has a sentence for each thing that is wrong with it."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        shown = self.problems[:PROBLEMS_SHOWN]
        hidden = len(self.problems) - len(shown)
        super().__init__("; ".join(shown) + (f"; and {hidden} more" if hidden else ""))


def check(jobs: Sequence[JobShape], source_files: Mapping[str, str]) -> None:
    """Raise `BadGraph` unless the jobs can be built from `source_files` ({id: path}).

    An empty graph is a build with nothing to do, a job without commands makes an empty artifact; a
    command with `exec` runs it, whatever else it says.
    """
    edges = _edges(jobs)
    problems = [
        *_source_problems(source_files),
        *_job_problems(jobs, source_files),
        *_need_problems(jobs),
        *_cycle_problems(jobs, edges, cycles.components(edges)),
    ]
    if problems:
        raise BadGraph(problems)


def topological(jobs: Sequence[JobShape]) -> list[int]:
    """The jobs' indexes, every job after its dependencies; raises `BadGraph` where a cycle forbids that.

    Dependencies that are not among the jobs are passed over.
    """
    edges = _edges(jobs)
    groups = cycles.components(edges)
    if problems := list(_cycle_problems(jobs, edges, groups)):
        raise BadGraph(problems)
    return [index for group in groups for index in group]


def path_problem(path: str) -> str | None:
    """Why a job cannot have a source at `path` below its source directory; None if it can."""
    if not path or path.startswith("/"):
        return "is empty" if not path else "is absolute; write it relative to the source directory"
    if "\0" in path:
        return "contains a NUL character"
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "has an empty, '.' or '..' component; write the plain relative path"
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if max(sizes) > COMPONENT_BYTES_MAX or sum(sizes) + len(parts) - 1 > PATH_BYTES_MAX:
        return f"is longer than {PATH_BYTES_MAX} bytes, or {COMPONENT_BYTES_MAX} in one component"
    return None


def label(job: JobShape) -> str:
    """What people call the job: its name, or its id where it has none."""
    return job.name or job.id


def _edges(jobs: Sequence[JobShape]) -> list[list[int]]:
    places = {job.id: place for place, job in enumerate(jobs)}
    return [[places[dep] for dep in job.deps if dep in places] for job in jobs]


def _cycle_problems(
    jobs: Sequence[JobShape], edges: cycles.Edges, groups: Iterable[Sequence[int]]
) -> Iterator[str]:
    for group in groups:
        if circle := cycles.cycle(group, edges):
            names = [label(jobs[index]) for index in (*circle, circle[0])]
            yield f"jobs wait for one another: {_chain(names)}"


def _chain(names: list[str]) -> str:
    if len(names) > 12:
        names = [*names[:6], f"… {len(names) - 11} more …", *names[-5:]]
    return " -> ".join(names)


def _source_problems(source_files: Mapping[str, str]) -> Iterator[str]:
    holders: dict[str, str] = {}
    for source, path in source_files.items():
        if not is_hex40(source):
            yield f"the id {source!r} of the source {path!r} is not 40 lower-case hex digits"
        if problem := path_problem(path):
            yield f"the source path {path!r} {problem}"
        elif path in holders:
            yield f"the sources {holders[path]} and {source} are both at the path {path!r}"
        holders.setdefault(path, source)
    for path in holders:
        # A path is judged against its parents only, so that the work is linear in the paths' lengths.
        for parent in _parents(path):
            if parent in holders:
                yield f"the source {parent!r} is a file, yet {path!r} needs it to be a directory"


def _parents(path: str) -> Iterator[str]:
    end = path.find("/", 1)
    while 0 < end <= PATH_BYTES_MAX:
        yield path[:end]
        end = path.find("/", end + 1)


def _job_problems(jobs: Sequence[JobShape], source_files: Mapping[str, str]) -> Iterator[str]:
    paths = set(source_files.values())
    known = {job.id for job in jobs}
    seen: dict[str, JobShape] = {}
    for job in jobs:
        if not is_hex40(job.id):
            yield f"{_who(job)}: its id {job.id!r} is not 40 lower-case hex digits"
        if job.id in seen:
            yield f"{_who(job)}: the job {label(seen[job.id])!r} has the same id {job.id}"
        seen.setdefault(job.id, job)
        for path in job.inputs:
            if path not in paths:
                yield f"{_who(job)}: its input {path!r} is not among the source files"
        for dep in job.deps:
            if dep not in known:
                yield f"{_who(job)}: its dependency {dep!r} is no job of this graph"
        yield from _command_problems(job)
        if job.container is not None:
            yield from (f"{_who(job)}: {problem}" for problem in container_problems(job.container))


def _need_problems(jobs: Sequence[JobShape]) -> Iterator[str]:
    different = {(frozenset(job.needs), wants(job.container)) for job in jobs}
    if len(different) > NEEDS_MAX:
        yield f"the jobs have {len(different)} different needs; at most {NEEDS_MAX} are possible in a build"
    for job in jobs:
        for need in job.needs:
            if "=" not in need[1:]:
                yield f"{_who(job)}: its need {need!r} is not a label NAME=VALUE"


def _who(job: JobShape) -> str:
    return f"job {label(job)!r}"


def _command_problems(job: JobShape) -> Iterator[str]:
    deps = frozenset(job.deps)
    for number, cmd in enumerate(job.cmds, start=1):
        for problem in _problems_of(cmd, deps):
            yield f"{_who(job)}, command {number}: {problem}"


def _problems_of(cmd: CmdShape, deps: frozenset[str]) -> Iterator[str]:
    if not cmd.exec and not cmd.cat_output:
        yield "neither runs a program nor writes a file"
    if cmd.exec and not cmd.exec[0]:
        yield "the program's name is empty"
    for entry in cmd.environ:
        if "=" not in entry[1:]:
            yield f"the environment entry {entry!r} is not NAME=VALUE"
    rest = (cmd.working_directory,) if cmd.exec else (cmd.cat_template, cmd.cat_output)
    for text in (*cmd.exec, *cmd.environ, *rest):
        if "{{" in text or "\0" in text:  # most texts are plain, and graphs are large
            yield from _text_problems(text, deps)


def _text_problems(text: str, deps: frozenset[str]) -> Iterator[str]:
    if "\0" in text:
        yield f"contains a NUL character: {text[:80]!r}"
    try:
        used = template.dependencies(template.parse(text))
    except template.TemplateError as error:
        yield str(error)
        return
    for dep in used:
        if dep not in deps:
            yield f"uses the artifact of {dep}, which is not among the job's dependencies"
