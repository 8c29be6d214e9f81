"""`terzetto log archive`: what it takes."""

from pathlib import Path

import click

from clients.cli.directories import state
from clients.cli.log.options import LOG
from clients.cli.verbs import Verb, json_option

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def age(text: str) -> float:
    """An age as people write it, in seconds; click shows the name of this function in help."""
    number, unit = text[:-1], text[-1:]
    try:
        seconds = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise click.BadParameter(f"{text!r} is no age such as 30d, 12h, 45m or 10s")
    return seconds


@click.command(
    cls=Verb,
    examples=(
        "terzetto log archive --older-than 7d",
        "terzetto log archive --before 1000000 --dry-run",
    ),
    after="A coordinator does this by itself; this is for a log on which none runs.",
)
@click.option("--before", type=click.IntRange(1), metavar="POSITION", help="Only records before this one.")
@click.option("--older-than", type=age, help="Only records that are older than this: 30d, 12h, 45m, 10s.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be archived.")
@click.option("--log", type=LOG, help="The log's file; default: log.sqlite3 in --data.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="TERZETTO_DATA",
    default=state,
    show_default="~/.local/state/terzetto",
    help="The data directory of a coordinator.",
)
@json_option
def archive(
    *,
    log: Path | None,
    data: Path,
    before: int | None,
    older_than: float | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Move old records into compressed files beside the log.

    Positions never change, and every verb reads the archive and the log as one. Records of builds that are
    still known stay in the log as well.
    """
    from clients.cli.log import archiving

    path = log or data / "log.sqlite3"
    return archiving.archive(path, before, older_than, is_dry_run=dry_run, as_json=as_json)
