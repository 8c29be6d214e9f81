"""`terzetto worker`: one worker."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from clients.cli.directories import state
from clients.cli.verbs import Verb, coordinator_option, labels, log_level_option


@click.command(
    cls=Verb,
    examples=(
        "terzetto worker --coordinator http://build.example:8470",
        "terzetto worker --engine unix:///run/podman/podman.sock",
        "terzetto worker --slots 8 --label gpu=yes --advertise http://w1:9000",
    ),
    after="One line on stdout, `ready URL`, says that it serves. SIGTERM stops it.",
)
@coordinator_option
@click.option(
    "--bind",
    metavar="HOST:PORT",
    envvar="TERZETTO_BIND",
    default="127.0.0.1:0",
    show_default=True,
    help="Where to offer artifacts; port 0 is any free one.",
)
@click.option(
    "--advertise",
    metavar="URL",
    envvar="TERZETTO_ADVERTISE",
    help="Where other machines reach what --bind listens on.",
)
@click.option(
    "--slots",
    type=click.IntRange(1, 10_000),
    envvar="TERZETTO_SLOTS",
    show_default="the processors it may use",
    help="How many jobs at once.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
    envvar="TERZETTO_DATA",
    show_default="~/.local/state/terzetto/worker",
    help="Workspaces and cached artifacts; each worker needs its own.",
)
@click.option("--id", envvar="TERZETTO_ID", help="What people call it.")
@click.option(
    "--label",
    multiple=True,
    metavar="K=V",
    envvar="TERZETTO_LABELS",
    help="Something to know it by; may be repeated.",
)
@click.option(
    "--cache-bytes-max",
    type=click.IntRange(0),
    envvar="TERZETTO_CACHE_BYTES_MAX",
    show_default="20 GiB",
    help="Beyond this, what was not used for longest is dropped.",
)
@click.option(
    "--engine",
    metavar="unix:///PATH",
    envvar="TERZETTO_ENGINE",
    help="Run jobs that name an image in containers of this Docker or Podman.",
)
@click.option(
    "--dialect",
    type=click.Choice(["distbuild", "composer"]),
    envvar="TERZETTO_DIALECT",
    default="distbuild",
    show_default=True,
    help="How to speak to the coordinator; over composer it asks for jobs of the type terzetto.",
)
@click.option(
    "--composer-base-path",
    metavar="/PATH",
    envvar="TERZETTO_COMPOSER_BASE_PATH",
    default="/api/worker/v1",
    show_default=True,
    help="Where the composer worker API is, below --coordinator.",
)
@click.option("--until-eof", is_flag=True, hidden=True)
@log_level_option("info")
def command(
    *,
    log_level: str,
    until_eof: bool,
    data: Path | None,
    label: tuple[str, ...],
    dialect: str,
    composer_base_path: str,
    **settings: Any,
) -> int:
    """Run one worker."""
    from clients.cli import serving

    settings["data"] = data or state() / "worker"
    settings["labels"] = labels(label)
    settings = {name: value for name, value in settings.items() if value is not None}
    serve = _serve if dialect == "distbuild" else partial(_serve_composer, base_path=composer_base_path)
    return serving.run(partial(serve, settings), log_level=log_level, until_eof=until_eof)


async def _serve(settings: dict[str, Any], **kwargs: Any) -> None:
    from workers import app

    await app.run(_config(settings), **kwargs)


async def _serve_composer(settings: dict[str, Any], **kwargs: Any) -> None:
    from workers import composer

    await composer.run(_config(settings), **kwargs)


def _config(settings: dict[str, Any]) -> Any:
    from clients.cli.errors import usage
    from workers.config import WorkerConfig

    try:
        return WorkerConfig(**settings)
    except ValueError as error:
        raise usage(str(error)) from error
