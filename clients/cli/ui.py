"""`terzetto ui`: the live page on a log from elsewhere, without its coordinator."""

from pathlib import Path

import click

from clients.cli.verbs import Verb, log_level_option


@click.command(
    cls=Verb,
    examples=("terzetto ui log.sqlite3", "terzetto ui export.jsonl --bind 127.0.0.1:0"),
    after="One line on stdout, `ready URL`, says that it serves. The log is only read.",
)
@click.argument("log", type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path))
@click.option(
    "--bind",
    metavar="HOST:PORT",
    default="127.0.0.1:8471",
    show_default=True,
    help="Where to listen; port 0 is any free one.",
)
@log_level_option("warning")
def command(*, log: Path, bind: str, log_level: str) -> int:
    """Look at a log in a browser: every build, at every moment.

    LOG is a log's file, also while a coordinator writes it, or JSON lines of `terzetto log export`.
    """
    from clients.cli import looking

    return looking.run(log, bind, log_level=log_level)
