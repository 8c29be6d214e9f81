"""`terzetto agent`: carries out buildapi's requests."""

from functools import partial
from pathlib import Path

import click

from clients.cli.verbs import Verb, coordinator_option, log_level_option


@click.command(
    cls=Verb,
    examples=("terzetto agent --amqp amqp://rabbit --coordinator http://build:8470",),
    after="One line on stdout, `ready URL`, says that it listens. SIGTERM stops it.",
)
@coordinator_option
@click.option(
    "--amqp", metavar="URL", envvar="TERZETTO_AMQP", required=True, help="The coordinator's broker."
)
@click.option(
    "--builders",
    type=click.Path(dir_okay=False, resolve_path=True, path_type=Path),
    envvar="TERZETTO_BUILDERS",
    help="Branches and their builders (TOML); the coordinator is given the same file.",
)
@log_level_option("info")
def command(*, coordinator: str, amqp: str, builders: Path | None, log_level: str) -> int:
    """Carry out buildapi's requests, as a broker tells of them.

    Any number of agents may run; each request is carried out by one of them, and once in effect.
    """
    from clients.cli import agency, serving
    from clients.cli.errors import usage

    try:
        settings = agency.Settings.read(coordinator, amqp, builders)
    except (ValueError, OSError) as error:
        raise usage(str(error)) from error
    return serving.run(partial(agency.serve, settings), log_level=log_level)
