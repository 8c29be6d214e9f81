"""`terzetto doctor`: is this installation able to work, and if not, what is to be done?"""

from pathlib import Path

import click

from clients.cli.directories import state
from clients.cli.verbs import Verb, client_options


@click.command(
    cls=Verb,
    examples=("terzetto doctor", "terzetto doctor --data /var/lib/terzetto --json"),
    after="Exit code 0 if all is well, 3 if anything is marked ✗.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="TERZETTO_DATA",
    default=state,
    show_default="~/.local/state/terzetto",
    help="The data directory to examine.",
)
@client_options
def command(*, coordinator: str, as_json: bool, log_level: str, data: Path) -> int:
    """Find out whether this installation is able to work."""
    from clients.cli import examining, talking

    return talking.run(
        lambda api: examining.examine(api, data, as_json=as_json),
        coordinator=coordinator,
        log_level=log_level,
    )
