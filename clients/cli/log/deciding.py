"""The verbs that decide again: what determined the end, what would be decided today, where it went wrong.

As its package, this module only says what the verbs take.
"""

from pathlib import Path

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


@click.command(
    cls=Verb,
    examples=("terzetto log redecide", "terzetto log redecide --from 120000 --json"),
    after="Exit code 0 if no decision differs, 1 if one does.",
)
@click.option(
    "--from",
    "since",
    type=click.IntRange(1),
    default=1,
    metavar="POSITION",
    help="Compare from the command on that has this record.",
)
@source_options
@json_option
def redecide(*, source: Source, since: int, as_json: bool) -> int:
    """Find the first decision that would be another one today.

    Each recorded command is decided again, on the state as it was recorded. At the first difference that
    ends, since the states part there; what it does to the builds of that moment is simulated.
    """
    from clients.cli.log import reading, redeciding

    with reading.opened(source) as reader:
        return redeciding.show(reader, since, as_json=as_json)


@click.command(
    cls=Verb,
    examples=(
        "terzetto log bisect --invariant list",
        "terzetto log bisect --invariant leases --thorough",
        "terzetto log bisect --against ~/terzetto-0.1/.venv",
    ),
    after="Exit code 0 if nothing is found, 1 if something is.",
)
@click.option("--invariant", default="", metavar="NAME", help="What must hold; `list` lists the names.")
@click.option(
    "--against",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Another version: its virtual environment, interpreter or checkout.",
)
@click.option("--thorough", "is_thorough", is_flag=True, help="Look after every command; slow.")
@source_options
@json_option
def bisect(*, source: Source, invariant: str, against: Path | None, is_thorough: bool, as_json: bool) -> int:
    """Find the first position where something breaks.

    Either where an invariant stops to hold, or where another version makes something else of the log. The
    code of that version is run. A break that heals between two looks is missed, unless --thorough.
    """
    from clients.cli.log import bisecting, reading

    if invariant == "list":
        return bisecting.list_all(as_json=as_json)
    bisecting.check(invariant, against, is_thorough=is_thorough)
    with reading.opened(source) as reader:
        if against is not None:
            return bisecting.against(reader, against, as_json=as_json)
        return bisecting.invariant(reader, invariant, is_thorough=is_thorough, as_json=as_json)


@click.command(
    cls=Verb,
    examples=(
        "terzetto log minimize --invariant leases -o leases.jsonl",
        "terzetto log minimize --invariant fold -o fold.jsonl --redact",
        "terzetto log minimize --command ./shows-it -o odd.jsonl",
    ),
    after="Beside FIXTURE, a text of the same name says what it shows.",
)
@click.option("--invariant", default="", metavar="NAME", help="What breaks; see `bisect --invariant list`.")
@click.option(
    "--command",
    "program",
    default="",
    metavar="COMMAND",
    help="A shell command that fails if the log, whose path it gets, still shows it.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FIXTURE",
    help="The JSON lines to make; must not exist.",
)
@click.option("--redact", "is_redacted", is_flag=True, help="Replace names, paths, commands and other texts.")
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    help="Take what there is after so long; also the limit of each run of COMMAND.",
)
@source_options
@json_option
def minimize(
    *,
    source: Source,
    invariant: str,
    program: str,
    output: Path,
    is_redacted: bool,
    seconds: float,
    as_json: bool,
) -> int:
    """Shrink a log to the fewest records that show a fault.

    The fault is that an invariant breaks, or that COMMAND fails. The result is a log for a replay test.
    """
    from clients.cli.log import minimizing, reading

    wanted = minimizing.Wanted(
        invariant=invariant, program=program, output=output, is_redacted=is_redacted, seconds=seconds
    )
    minimizing.check(wanted)
    with reading.opened(source) as reader:
        return minimizing.minimize(reader, wanted, as_json=as_json)


VERBS = (critical_path, redecide, bisect, minimize)
