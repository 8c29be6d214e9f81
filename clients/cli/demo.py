"""`terzetto demo`: everything at work, from nothing to a picture."""

from pathlib import Path

import click

from clients.cli.verbs import Verb, beside_log_lines, log_level_option, progress_options


@click.command(
    cls=Verb,
    examples=("terzetto demo", "terzetto demo --keep    # and look around afterwards"),
    after="Everything stays in ./demo-data and ./demo-out; delete them when you like.",
)
@click.option("--keep", is_flag=True, help="Keep serving after the end, until Ctrl-C.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default="demo-data",
    show_default=True,
    help="What the coordinator and the workers keep.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="demo-out",
    show_default=True,
    help="Receives the picture.",
)
@progress_options
@log_level_option("critical")
def command(*, keep: bool, data: Path, out: Path, progress: str, color: str, log_level: str) -> int:
    """Build a picture from nothing, with the live page.

    Starts a coordinator and two workers on a free port, builds a picture in a hundred jobs, and prints
    the path of the picture.
    """
    from clients.cli import demonstrating

    wishes = demonstrating.Wishes(
        keep=keep, data=data, out=out, progress=beside_log_lines(progress, log_level), color=color
    )
    return demonstrating.run(wishes, log_level=log_level)
