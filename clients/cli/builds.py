"""`terzetto builds`: which builds there are, newest first."""

import click

from clients.cli.verbs import Verb, client_options, labels

STATES = ("uploading", "running", "succeeded", "failed", "cancelled")


@click.command(
    cls=Verb,
    examples=("terzetto builds", "terzetto builds --state failed --limit 5", "terzetto builds --json"),
)
@click.option("--state", type=click.Choice(STATES), help="Only builds in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="So many.")
@click.option("--label", multiple=True, metavar="K=V", help="Only builds with this label; repeatable.")
@client_options
def command(
    *, coordinator: str, as_json: bool, log_level: str, state: str | None, limit: int, label: tuple[str, ...]
) -> int:
    """List the builds."""
    from clients.cli import asking, talking

    wanted = labels(label)
    return talking.run(
        lambda api: asking.builds(api, state=state or "", labels=wanted, limit=limit, as_json=as_json),
        coordinator=coordinator,
        log_level=log_level,
    )
