"""`terzetto log`: look back through the event log, in its file or from a coordinator.

This module only says what the verbs take; what they do is imported when it is done.
"""

from pathlib import Path

import click

from clients.cli.log import deciding, putting_away
from clients.cli.log.options import LOG, Moment, Source, position_or_time, source_options
from clients.cli.verbs import Verb, json_option


class Verbs(Verb, click.Group):
    """A group of verbs, with help like theirs."""


@click.group(
    name="log",
    cls=Verbs,
    invoke_without_command=True,
    examples=(
        "terzetto log what-failed --build b7f3",
        "terzetto log story job/b7f3/compile",
        "terzetto log verify --log copy.sqlite3",
    ),
)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Look back through the event log.

    The log is that of --log, or else of --coordinator if one is named, or else the one in --data. A log may
    be read while a coordinator writes it. BUILD and JOB are ids, which may be shortened, or names; of builds
    with the same name the latest is meant.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    # What the configuration says of `log` it says of each of its verbs.
    ctx.default_map = dict.fromkeys(ctx.command.list_commands(ctx), ctx.default_map or {})  # type: ignore[attr-defined]  # a group


for verb in deciding.VERBS:
    command.add_command(verb)
command.add_command(putting_away.archive)

build_option = click.option("--build", metavar="BUILD", default="", help="Only what is about this build.")


@command.command(
    cls=Verb,
    examples=(
        "terzetto log show --limit 20",
        "terzetto log show --type JobFailed --type JobReleased --json",
        "terzetto log show --build b7f3 --since 2025-11-22T10:00:00Z",
    ),
)
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only records of this type; repeatable.")
@build_option
@click.option("--job", default="", metavar="JOB", help="Only what is about this job, by id or name.")
@click.option("--worker", default="", metavar="WORKER", help="Only what is about this worker.")
@click.option("--since", type=position_or_time, help="From this position, or UTC time, on.")
@click.option("--until", type=position_or_time, help="Up to this position, or UTC time.")
@click.option("--limit", type=click.IntRange(1), help="At most so many records, the first ones.")
@source_options
@json_option
def show(
    *,
    source: Source,
    types: tuple[str, ...],
    build: str,
    job: str,
    worker: str,
    since: Moment | None,
    until: Moment | None,
    limit: int | None,
    as_json: bool,
) -> int:
    """Print records: position, time, type and what each says."""
    from clients.cli.log import reading, showing

    with reading.opened(source) as reader:
        wanted = reading.Wanted.resolved(
            reader, types=types, build=build, job=job, worker=worker, since=since, until=until
        )
        return showing.show(reader, wanted, limit=limit, as_json=as_json)


@command.command(
    cls=Verb,
    examples=(
        "terzetto log story build/b7f3",
        "terzetto log story job/b7f3/compile",
        "terzetto log story worker/http://w1:9000",
    ),
)
@click.argument("topic")
@source_options
@json_option
def story(*, source: Source, topic: str, as_json: bool) -> int:
    """Tell what happened to one thing, a sentence per record.

    TOPIC is build/BUILD, job/BUILD/JOB, job/JOB (in all builds) or worker/WORKER.
    """
    from clients.cli.log import reading, showing

    with reading.opened(source) as reader:
        return showing.story(reader, reading.find_topic(reader, topic), as_json=as_json)


@command.command(
    cls=Verb,
    examples=("terzetto log why b7f3 compile", "terzetto log why b7f3 link --at 1200 --json"),
)
@click.argument("build")
@click.argument("job")
@click.option("--at", type=position_or_time, help="As of the record at this position, or this UTC time.")
@source_options
@json_option
def why(*, source: Source, build: str, job: str, at: Moment | None, as_json: bool) -> int:
    """Explain what became of a job, at any point.

    Why it is waiting, why it ran where it ran, why it ran again, why no earlier result was reused or why one
    was. Said of a point in the past, it is what was true then.
    """
    from clients.cli.log import explaining, reading

    with reading.opened(source) as reader:
        return explaining.explain(reader, build, job, at, as_json=as_json)


@command.command(
    cls=Verb,
    examples=("terzetto log state", "terzetto log state --at 1200 --build b7f3", "terzetto log state --json"),
)
@click.option("--at", type=position_or_time, help="After the record at this position, or at this UTC time.")
@click.option("--build", metavar="BUILD", default="", help="This build and its jobs.")
@source_options
@json_option
def state(*, source: Source, at: Moment | None, build: str, as_json: bool) -> int:
    """Show what the records add up to, at any point."""
    from clients.cli.log import reading, standing

    with reading.opened(source) as reader:
        return standing.state(reader, at, build, as_json=as_json)


@command.command(
    cls=Verb,
    examples=(
        "terzetto log diff 1200 1300",
        "terzetto log diff 1200 2025-11-22T10:00:00Z --build b7f3 --json",
    ),
)
@click.argument("first", metavar="P", type=position_or_time)
@click.argument("second", metavar="Q", type=position_or_time)
@build_option
@click.option("--all", "show_all", is_flag=True, help="Show everything that changed, however much it is.")
@source_options
@json_option
def diff(*, source: Source, first: Moment, second: Moment, build: str, show_all: bool, as_json: bool) -> int:
    """Show what changed in the state between two points.

    P and Q are positions or times in UTC. Builds, jobs, leases, workers, artifacts, sources and settings: how
    many of each, then which; + is new, - is gone.
    """
    from clients.cli.log import differing, reading

    with reading.opened(source) as reader:
        return differing.diff(reader, first, second, build, show_all=show_all, as_json=as_json)


@command.command(
    cls=Verb, examples=("terzetto log trace -o farm.json", "terzetto log trace --build b7f3 -o b7f3.json")
)
@build_option
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write; else stdout."
)
@source_options
def trace(*, source: Source, build: str, output: Path | None) -> int:
    """Write a trace that Perfetto and Chrome draw.

    A process per worker, a thread per slot, a slice per attempt; builds, and jobs in the queue, as spans;
    lost workers and starts of the coordinator as instants.
    """
    from clients.cli.log import reading, tracing

    with reading.opened(source) as reader:
        return tracing.write(reader, build, output)


@command.command(cls=Verb, examples=("terzetto log verify", "terzetto log verify --log copy.sqlite3 --json"))
@source_options
@json_option
def verify(*, source: Source, as_json: bool) -> int:
    """Check that the log is whole and unaltered.

    Positions, the chain of hashes, each record, what they add up to, and the file. Exit code 65 if anything
    is wrong; the first bad record is named and nothing is changed.
    """
    from clients.cli.log import keeping, reading

    with reading.opened(source) as reader:
        return keeping.verify(reader, as_json=as_json)


@command.command(
    cls=Verb,
    examples=("terzetto log export > log.jsonl", "terzetto log export --build b7f3 | jq -c 'select(.job)'"),
)
@build_option
@source_options
def export(*, source: Source, build: str) -> int:
    """Print the log as JSON lines.

    Each line is a record's text with its chain hash as one more field. Only an export of all records can
    be imported.
    """
    from clients.cli.log import keeping, reading

    with reading.opened(source) as reader:
        return keeping.export(reader, build)


@command.command(
    "import",
    cls=Verb,
    examples=(
        "terzetto log import log.jsonl --log copy.sqlite3",
        "terzetto log import archive/*.jsonl.gz --log old.sqlite3",
        "ssh farm terzetto log export | terzetto log import - --log farm.sqlite3",
    ),
    after="A line that was altered, moved or removed is refused with exit code 65.",
)
@click.argument("lines", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--log", type=LOG, required=True, help="The log to make; must not exist.")
@json_option
def import_(*, lines: tuple[str, ...], log: Path, as_json: bool) -> int:
    """Make a log from an export.

    SOURCE is a file of JSON lines, `-` reads stdin; or archived segments, in order.
    """
    from clients.cli.log import keeping

    return keeping.import_(lines, log, as_json=as_json)


@command.command(
    "what-ran", cls=Verb, examples=("terzetto log what-ran", "terzetto log what-ran --build b7f3 --json")
)
@build_option
@source_options
@json_option
def what_ran(*, source: Source, build: str, as_json: bool) -> int:
    """List every time a worker was given a job, and how it ended.

    In the order of their ends; those that have not ended come last.
    """
    from clients.cli.log import reading, showing

    with reading.opened(source) as reader:
        return showing.what_ran(reader, build, as_json=as_json)


@command.command(
    "what-failed",
    cls=Verb,
    examples=("terzetto log what-failed", "terzetto log what-failed --build b7f3 --json"),
)
@build_option
@source_options
@json_option
def what_failed(*, source: Source, build: str, as_json: bool) -> int:
    """List the jobs that failed, where and how."""
    from clients.cli.log import reading, showing

    with reading.opened(source) as reader:
        return showing.what_ran(reader, build, only=("failed",), as_json=as_json)
