"""`terzetto cancel`: end a build that nobody needs any more."""

import click

from clients.cli.verbs import Verb, client_options


@click.command(cls=Verb, examples=("terzetto cancel b7f3", "terzetto cancel b7f3 --reason 'wrong branch'"))
@click.argument("build")
@click.option("--reason", default="cancelled with `terzetto cancel`", help="Recorded in the log.")
@client_options
def command(*, coordinator: str, as_json: bool, log_level: str, build: str, reason: str) -> int:
    """Cancel a build.

    BUILD is a build's id, or the beginning of it.
    """
    from clients.cli import asking, talking

    return talking.run(
        lambda api: asking.cancel(api, build, reason=reason, as_json=as_json),
        coordinator=coordinator,
        log_level=log_level,
    )
