"""`terzetto workers`: which workers there are, and what they are doing."""

import click

from clients.cli.verbs import Verb, client_options


@click.command(cls=Verb, examples=("terzetto workers", "terzetto workers --json"))
@client_options
def command(*, coordinator: str, as_json: bool, log_level: str) -> int:
    """List the workers."""
    from clients.cli import asking, talking

    return talking.run(
        lambda api: asking.workers(api, as_json=as_json), coordinator=coordinator, log_level=log_level
    )
