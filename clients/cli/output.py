"""`terzetto output`: what a job printed, or is printing."""

import click

from clients.cli.verbs import Verb, client_options


@click.command(
    cls=Verb,
    examples=(
        "terzetto output b7f3 compile/foo.o",
        "terzetto output b7f3 test --follow",
        "terzetto output b7f3 test --stream stderr > errors.txt",
    ),
)
@click.argument("build")
@click.argument("job")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended.")
@click.option(
    "--stream",
    type=click.Choice(("both", "stdout", "stderr")),
    default="both",
    show_default=True,
    help="One stream goes to stdout; both go where the job sent them.",
)
@client_options
def command(
    *, coordinator: str, as_json: bool, log_level: str, build: str, job: str, follow: bool, stream: str
) -> int:
    """Show what a job printed.

    BUILD is a build's id or the beginning of it; JOB is a job's name or id, or the beginning of it. At a
    terminal, colours pass and other control sequences are dropped; elsewhere the bytes are as they were.
    """

    from clients.cli import copying, talking

    streams = ("stdout", "stderr") if stream == "both" else (stream,)
    return talking.run(
        lambda api: copying.copy(api, build, job, streams, follow=follow, as_json=as_json),
        coordinator=coordinator,
        log_level=log_level,
    )
