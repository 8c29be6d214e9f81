"""`terzetto up`: a whole farm for one machine, in one command."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import click

from clients.cli.coordinator import server_options
from clients.cli.verbs import Verb, log_level_option


@click.command(
    cls=Verb,
    examples=("terzetto up", "terzetto up --workers 4 --slots 1 --bind 127.0.0.1:0 --data ./farm"),
    after="One line on stdout, `ready URL`, says that all of it serves. Ctrl-C stops it.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 1000),
    envvar="TERZETTO_WORKERS",
    default=2,
    show_default=True,
    help="How many workers.",
)
@click.option(
    "--slots",
    type=click.IntRange(1, 10_000),
    envvar="TERZETTO_SLOTS",
    help="Jobs at once per worker; default: the processors, shared out.",
)
@server_options
@click.option("--until-eof", is_flag=True, hidden=True)
@log_level_option("warning")
def command(
    *, workers: int, slots: int | None, until_eof: bool, log_level: str, data: Path, **settings: Any
) -> int:
    """Run coordinator, workers and live page on this machine."""
    from clients.cli import farm, serving

    farmed = farm.Farm(
        workers=workers,
        slots=slots or max(1, len(os.sched_getaffinity(0)) // max(1, workers)),
        data=data,
        log_level=log_level,
        settings=settings,
    )
    return serving.run(partial(farm.serve, farmed), log_level=log_level, until_eof=until_eof)
