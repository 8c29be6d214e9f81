"""`terzetto why`: what became of a job and for what reasons, in plain words."""

import click

from clients.cli.verbs import Verb, client_options


@click.command(
    cls=Verb,
    examples=("terzetto why b7f3 compile", "terzetto why b7f3 link --at 1200 --json"),
    after="In a log's file, or at a point in time: terzetto log why.",
)
@click.argument("build")
@click.argument("job")
@click.option("--at", type=click.IntRange(1), metavar="POSITION", help="As of the record at this position.")
@client_options
def command(*, coordinator: str, as_json: bool, log_level: str, build: str, job: str, at: int | None) -> int:
    """Explain what became of a job.

    How long it waited and for what, where it ran and why there, why it ran again, how it ended. BUILD is a
    build's id, or the beginning of it; JOB is a job's name or id, or the beginning of it.
    """
    from clients.cli import asking, talking

    return talking.run(
        lambda api: asking.why(api, build, job, at=at, as_json=as_json),
        coordinator=coordinator,
        log_level=log_level,
    )
