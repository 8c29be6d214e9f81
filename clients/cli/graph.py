"""`terzetto graph`: look at a graph without building it; no coordinator is asked."""

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import click

from clients.cli import printing
from clients.cli.errors import usage
from clients.cli.texts import count, plain
from clients.cli.verbs import Verb, json_option
from clients.distbuild import BuildRequest, Cmd, Graph, Job

_PLAIN_WORD = re.compile(r"[\w@%+=:,./${}#-]+")


@click.group(name="graph")
def command() -> None:
    """Check and show graphs.

    GRAPH is a file, distbuild's JSON or TOML as clients/README.md describes it; `-` reads stdin.
    """


def graph_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The argument GRAPH and what goes with it; the verb gets the loaded `request` in their place."""

    @click.argument("graph")
    @click.option(
        "--source",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Where the graph's source paths begin; default: where GRAPH lies.",
    )
    @json_option
    @wraps(function)
    def loaded(*, graph: str, source: Path | None, **rest: Any) -> Any:
        from clients.graphs.files import STDIN, load

        root = source or (Path() if graph == STDIN else Path(graph).parent)
        return function(request=load(graph, source_root=root), source=root, **rest)

    return loaded


@command.command(cls=Verb, examples=("terzetto graph check graph.toml", "generate | terzetto graph check -"))
@graph_options
def check(*, request: BuildRequest, source: Path, as_json: bool) -> int:
    """Find everything that is wrong with a graph.

    Names cycles, references to nothing, paths and templates that no worker can use, and sources that are
    not below the source directory.
    """
    from events.graphs import BadGraph

    graph = request.graph
    if missing := [path for path in graph.source_files.values() if not (source / path).is_file()]:
        raise BadGraph(f"the source {path!r} is no file below {source}" for path in sorted(missing))
    if as_json:
        printing.as_json({"ok": True, "jobs": len(graph.jobs), "sources": len(graph.source_files)})
    else:
        printing.line(f"ok: {count(len(graph.jobs), 'job')}, {count(len(graph.source_files), 'source')}")
    return 0


@command.command(
    cls=Verb,
    examples=("terzetto graph show graph.toml", "terzetto graph show graph.toml --format dot | dot -Tsvg"),
)
@click.option(
    "--format", "form", type=click.Choice(("text", "dot")), help="For people, or for Graphviz; default: text."
)
@graph_options
def show(*, request: BuildRequest, source: Path, as_json: bool, form: str | None) -> int:  # noqa: ARG001
    """Show what a graph would run, dependencies first.

    With --json it is distbuild's JSON, which every verb takes as GRAPH: a way to turn TOML into it.
    """
    if as_json and form:
        raise usage("--json and --format say two different things", fix="keep one of them")
    if as_json:
        from clients import codec

        printing.as_json(codec.unstructure(request))
    else:
        printing.lines([*(dot(request.graph) if form == "dot" else text(request.graph))])
    return 0


@command.command(cls=Verb, examples=("terzetto graph ids graph.toml", "terzetto graph ids graph.toml --json"))
@graph_options
def ids(*, request: BuildRequest, source: Path, as_json: bool) -> int:  # noqa: ARG001
    """Print each job's id and name, dependencies first.

    A job whose id is unchanged since it was last built is not run again.
    """
    jobs = in_order(request.graph)
    if as_json:
        printing.as_json({"jobs": [{"id": job.id, "name": job.name} for job in jobs]})
    else:
        printing.lines([f"{job.id}  {plain(job.name)}" for job in jobs])
    return 0


def in_order(graph: Graph) -> list[Job]:
    """The jobs, each after its dependencies."""
    from events.graphs import topological

    return [graph.jobs[index] for index in topological(graph.jobs)]


def text(graph: Graph) -> Iterator[str]:
    """Lines for people: what each job reads, needs and runs."""
    names = _names(graph)
    for job in in_order(graph):
        yield f"{names[job.id]}  {job.id}"
        if job.inputs:
            yield f"  reads  {' '.join(plain(path) for path in job.inputs)}"
        if job.deps:
            yield f"  needs  {' '.join(names[dep] for dep in job.deps)}"
        for cmd in job.cmds:
            yield f"  {_command(cmd, names)}"
        if job.timeout_seconds:
            yield f"  within {job.timeout_seconds:g} s"


def dot(graph: Graph) -> Iterator[str]:
    """Graphviz: an arrow from each job to those that need it."""
    names = _names(graph)
    yield "digraph build {"
    yield '  rankdir=LR; node [shape=box, style=rounded, fontname="sans-serif"];'
    for job in in_order(graph):
        yield f'  "{job.id}" [label={_quoted(names[job.id])}];'
        for dep in dict.fromkeys(job.deps):
            yield f'  "{dep}" -> "{job.id}";'
    yield "}"


def _names(graph: Graph) -> dict[str, str]:
    """What to call each job, by id; names that several jobs share, or that are missing, get the id added."""
    uses = Counter(job.name for job in graph.jobs)
    return {
        job.id: plain(job.name) if job.name and uses[job.name] == 1 else f"{plain(job.name)}#{job.id[:12]}"
        for job in graph.jobs
    }


def _command(cmd: Cmd, names: dict[str, str]) -> str:
    if not cmd.exec:
        return f"writes {_filled(cmd.cat_output, names)}"
    return f"runs   {' '.join(_shown(_filled(word, names)) for word in cmd.exec)}"


def _shown(word: str) -> str:
    """The word as a shell would want it, but for our own variables, which need no quotes to be read."""
    return word if _PLAIN_WORD.fullmatch(word) else shlex.quote(word)


def _filled(template: str, names: dict[str, str]) -> str:
    """The template in the variables of hand-written graphs, which are easier to read than ids."""
    from events.template import DepDir, OutputDir, SourceDir, parse

    pieces = []
    for part in parse(template):
        match part:
            case SourceDir():
                pieces.append("${src}")
            case OutputDir():
                pieces.append("${out}")
            case DepDir():
                pieces.append(f"${{dep:{names[part.job]}}}")
            case _:
                pieces.append(plain(part))
    return "".join(pieces)


def _quoted(name: str) -> str:
    """A DOT string."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
