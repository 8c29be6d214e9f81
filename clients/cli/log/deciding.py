"""The verbs that decide again: what determined the end, what would be decided today, where it went wrong.

As its package, this module only says what the verbs take.
"""

import click

from clients.cli.log.options import Source, source_options
from clients.cli.verbs import Verb, json_option


@click.command(
    "critical-path",
    cls=Verb,
    examples=("terzetto log critical-path", "terzetto log critical-path b7f3 --top 10 --json"),
    after="What a change would save is found by simulating the build again.",
)
@click.argument("build", default="", metavar="[BUILD]")
@click.option(
    "--top",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    metavar="N",
    help="Try to speed up the N longest jobs of the path, and show as many beside it.",
)
@source_options
@json_option
def critical_path(*, source: Source, build: str, top: int, as_json: bool) -> int:
    """Show the chain of jobs that determined when a build ended.

    BUILD is the latest if nothing is said. Each job of the chain began when the one before it ended: it
    needed it, or its slot, or was tried again. A job beside it has slack: so much longer it could have
    taken.
    """
    from clients.cli.log import critical, reading

    with reading.opened(source) as reader:
        return critical.show(reader, build, top, as_json=as_json)


VERBS = (critical_path,)
