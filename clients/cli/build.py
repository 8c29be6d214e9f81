"""`terzetto build`: from a graph on disk to what it made on disk."""

from pathlib import Path

import click

from clients.cli import printing
from clients.cli.verbs import Verb, aim, beside_log_lines, client_options, labels, progress_options

EXIT_CODES = """\
Exit codes:
  0 success          1 a job failed           2 usage or configuration
  3 infrastructure   4 cancelled by someone   5 timed out
  6 not allowed      7 unreachable or incompatible coordinator
  8 outcome unknown, never reported as success
  65 corrupt log     74 disk error
  130, 143 ended by Ctrl-C, SIGTERM           141 nobody reads its output

Ctrl-C cancels the build and stays until it has ended; a second one leaves."""


@click.command(
    cls=Verb,
    examples=(
        "terzetto build graph.toml --out made",
        "terzetto build graph.json --detach",
        "generate | terzetto build - --source . --json | jq .state",
    ),
    after=EXIT_CODES,
)
@click.argument("graph")
@click.option(
    "--source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the graph's source paths begin; default: where GRAPH lies.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Receives what jobs made that no other job depends on.",
)
@click.option("--detach", is_flag=True, help="Print the build's id and page, and leave.")
@click.option("--keep-going", is_flag=True, help="After a failure, run what does not depend on it.")
@click.option("--name", help="What people call this build.")
@click.option("--label", multiple=True, metavar="K=V", help="A label to find the build by; repeatable.")
@click.option("--priority", type=int, help="Builds of a higher one are served first; most have 0.")
@progress_options
@client_options
def command(
    *,
    coordinator: str,
    as_json: bool,
    log_level: str,
    progress: str,
    color: str,
    graph: str,
    source: Path | None,
    out: Path | None,
    detach: bool,
    keep_going: bool,
    name: str | None,
    label: tuple[str, ...],
    priority: int | None,
) -> int:
    """Run a build to its end and fetch what it made.

    GRAPH is a file, distbuild's JSON or TOML; `-` reads stdin. Progress goes to stderr, and to stdout the
    paths of what was made, or without --out the build's id.
    """
    with printing.meanwhile("reading the graph"):
        from clients.graphs.files import STDIN, load

        root = source or (Path() if graph == STDIN else Path(graph).parent)
        request = load(graph, source_root=root)
        from attrs import evolve

        from clients.cli import talking
        from clients.cli.building import Wishes, build

    request = evolve(
        request,
        name=name or request.name,
        keep_going=keep_going or request.keep_going,
        labels=request.labels | labels(label),
        priority=request.priority if priority is None else priority,
    )
    wishes = Wishes(
        coordinator=coordinator,
        aim=aim(coordinator),
        source=root,
        out=out,
        detach=detach,
        as_json=as_json,
        progress=beside_log_lines(progress, log_level),
        color=color,
    )
    return talking.run(
        lambda api: build(api, request, wishes), coordinator=coordinator, log_level=log_level, signals=False
    )
