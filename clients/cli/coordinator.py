"""`terzetto coordinator`: the coordinator alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from clients.cli.directories import state
from clients.cli.verbs import Verb, log_level_option

F = TypeVar("F", bound=Callable[..., Any])


def server_options(function: F) -> F:
    """What every verb takes that runs a coordinator."""
    options = (
        click.option(
            "--bind",
            metavar="HOST:PORT",
            envvar="TERZETTO_BIND",
            default="127.0.0.1:8470",
            show_default=True,
            help="Where to listen; port 0 is any free one.",
        ),
        click.option(
            "--data",
            type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
            envvar="TERZETTO_DATA",
            default=state,
            show_default="~/.local/state/terzetto",
            help="Holds everything that must survive.",
        ),
        click.option(
            "--base-path",
            metavar="/PATH",
            envvar="TERZETTO_BASE_PATH",
            default="",
            help="Serve below this path.",
        ),
        click.option(
            "--lease-seconds",
            type=click.FloatRange(0, min_open=True),
            envvar="TERZETTO_LEASE_SECONDS",
            default=30.0,
            show_default=True,
            help="A lease not renewed for so long runs out.",
        ),
        click.option(
            "--worker-silence-seconds",
            type=click.FloatRange(0, min_open=True),
            envvar="TERZETTO_WORKER_SILENCE_SECONDS",
            default=30.0,
            show_default=True,
            help="A worker silent for so long is lost.",
        ),
        click.option(
            "--snapshot-records",
            type=click.IntRange(1),
            envvar="TERZETTO_SNAPSHOT_RECORDS",
            default=100_000,
            show_default=True,
            help="After so many records keep the state, for a quick start.",
        ),
        click.option(
            "--builds-kept",
            type=click.IntRange(0),
            envvar="TERZETTO_BUILDS_KEPT",
            default=1000,
            show_default=True,
            help="Of more builds that have ended, forget the oldest; the log keeps them.",
        ),
        click.option(
            "--jobs-kept",
            type=click.IntRange(0),
            envvar="TERZETTO_JOBS_KEPT",
            default=100_000,
            show_default=True,
            help="Likewise, if these have more jobs in all.",
        ),
        click.option(
            "--days-kept",
            type=click.FloatRange(0, min_open=True),
            envvar="TERZETTO_DAYS_KEPT",
            default=30.0,
            show_default=True,
            help="Likewise, if they ended more days ago.",
        ),
        click.option(
            "--fresh-megabytes",
            type=click.IntRange(1),
            envvar="TERZETTO_FRESH_MEGABYTES",
            default=32,
            show_default=True,
            help="Of the log, archive (compress) what is older than so much of it.",
        ),
        click.option(
            "--fresh-days",
            type=click.FloatRange(0, min_open=True),
            envvar="TERZETTO_FRESH_DAYS",
            default=1.0,
            show_default=True,
            help="Likewise, once a day, what is older than this.",
        ),
        click.option(
            "--placement",
            type=click.Choice(["roundrobin", "greedy", "epvm"]),
            envvar="TERZETTO_PLACEMENT",
            show_default="whoever asks first",
            help="Which worker has a job.",
        ),
        click.option(
            "--health-seconds",
            type=click.FloatRange(0, min_open=True),
            envvar="TERZETTO_HEALTH_SECONDS",
            default=60.0,
            show_default=True,
            help="How often to ask what serves whether all is well.",
        ),
        click.option(
            "--composer-base-path",
            metavar="/PATH",
            envvar="TERZETTO_COMPOSER_BASE_PATH",
            default="/api/worker/v1",
            show_default=True,
            help="The composer worker API's, below --base-path.",
        ),
        click.option(
            "--composer-request-seconds",
            type=click.FloatRange(0),
            envvar="TERZETTO_COMPOSER_REQUEST_SECONDS",
            default=0.0,
            show_default="for ever",
            help="So long a composer worker's request for a job waits for one.",
        ),
        click.option(
            "--composer-job-seconds",
            type=click.FloatRange(0, min_open=True),
            envvar="TERZETTO_COMPOSER_JOB_SECONDS",
            default=120.0,
            show_default=True,
            help="A composer job not heard of for so long is given to another worker.",
        ),
        click.option(
            "--composer-worker-seconds",
            type=click.FloatRange(0, min_open=True),
            envvar="TERZETTO_COMPOSER_WORKER_SECONDS",
            default=3600.0,
            show_default=True,
            help="A composer worker without a job, silent for so long, is lost.",
        ),
        click.option(
            "--builders",
            type=click.Path(dir_okay=False, resolve_path=True, path_type=Path),
            envvar="TERZETTO_BUILDERS",
            help="Branches and their builders (TOML), for buildapi's requests.",
        ),
        click.option(
            "--amqp",
            metavar="URL",
            envvar="TERZETTO_AMQP",
            default="",
            help="The broker that `terzetto agent` hears of requests from; default: carried out here.",
        ),
        click.option(
            "--auth-override",
            metavar="USER",
            envvar="TERZETTO_AUTH_OVERRIDE",
            default="",
            help="Take every request for this user's.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command(
    cls=Verb,
    examples=(
        "terzetto coordinator",
        "terzetto coordinator --bind 0.0.0.0:8470 --data /var/lib/terzetto",
    ),
    after="One line on stdout, `ready URL`, says that it serves. SIGTERM stops it.",
)
@server_options
@log_level_option("info")
def command(*, log_level: str, **settings: Any) -> int:
    """Run the coordinator alone."""
    from clients.cli import serving

    return serving.run(partial(_serve, settings), log_level=log_level)


async def _serve(settings: dict[str, Any], **kwargs: Any) -> None:
    from clients.agent import Branches
    from clients.agent.amqp import Broker
    from clients.cli.errors import usage
    from clients.requests import FINISHED
    from coordinator import app
    from coordinator.config import CoordinatorConfig

    try:
        config = CoordinatorConfig(**settings)
        if config.builders:
            Branches.read(config.builders)
        if config.amqp:
            Broker(config.amqp, hears=FINISHED)
    except (ValueError, OSError) as error:
        raise usage(str(error)) from error
    await app.run(config, **kwargs)
