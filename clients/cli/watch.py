"""`terzetto watch`: a build's progress for whoever did not start it, or left it."""

import click

from clients.cli import printing
from clients.cli.verbs import Verb, aim, beside_log_lines, client_options, progress_options


@click.command(
    cls=Verb,
    examples=("terzetto watch b7f3", "terzetto watch b7f3 --json | jq .type"),
    after="The exit code is the build's, as `terzetto build --help` lists them.\n"
    "Ctrl-C stops watching; the build goes on.",
)
@click.argument("build")
@progress_options
@client_options
def command(*, coordinator: str, as_json: bool, log_level: str, progress: str, color: str, build: str) -> int:
    """Follow a build, live or after the fact.

    BUILD is a build's id, or the beginning of it. All that happened is told first.
    """

    from clients.cli import talking, watching
    from clients.cli.api import Api

    progress, elsewhere = beside_log_lines(progress, log_level), aim(coordinator)

    async def verb(api: Api) -> int:
        with printing.meanwhile("looking for it"):
            identifier = await api.find_build(build)
        if as_json:
            return await watching.pass_on(api, identifier)
        return await watching.show(
            api, identifier, coordinator=coordinator, aim=elsewhere, progress=progress, color=color
        )

    return talking.run(verb, coordinator=coordinator, log_level=log_level)
