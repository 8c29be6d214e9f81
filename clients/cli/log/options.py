"""What several verbs of `terzetto log` take: where the log is, and points in it."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click

from clients.cli.directories import state
from clients.cli.errors import usage
from clients.cli.verbs import log_level_option

LOG = click.Path(dir_okay=False, path_type=Path)


class Source(NamedTuple):
    """Where the log is: in a file, unless a coordinator is named."""

    log: Path
    coordinator: str
    log_level: str


class Moment(NamedTuple):
    """A point in the log: a position, or a time in seconds since 1970; the other is None."""

    position: int | None
    seconds: float | None


def position_or_time(text: str) -> Moment:
    """What people write for a point in the log; click shows the name of this function in help."""
    if text.isascii() and text.isdigit():
        return Moment(int(text), None)
    try:
        return Moment(None, _seconds(text))
    except ValueError:
        hint = "neither a position nor a time such as 2025-11-22T10:00:00Z"
        raise click.BadParameter(f"{text!r} is {hint}") from None


def _seconds(text: str) -> float:
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where the log is; the verb gets a `source`."""

    @click.option("--log", type=LOG, help="The log's file; default: log.sqlite3 in --data.")
    @click.option(
        "--coordinator",
        metavar="URL",
        envvar="TERZETTO_COORDINATOR",
        default="",
        help="Ask this coordinator for its log.",
    )
    @click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="TERZETTO_DATA",
        default=state,
        show_default="~/.local/state/terzetto",
        help="The data directory of a coordinator.",
    )
    @log_level_option("critical")
    @wraps(function)
    def sourced(*, log: Path | None, coordinator: str, data: Path, log_level: str, **rest: Any) -> Any:
        named = [name for name in ("log", "coordinator", "data") if _is_flag(name)]
        if len(named) > 1:
            flags = " and ".join(f"--{name}" for name in named)
            raise usage(f"{flags} name different logs", fix="keep one of them")
        if named in (["log"], ["data"]):
            coordinator = ""
        path = log or data / "log.sqlite3"
        return function(source=Source(path, coordinator, log_level), **rest)

    return sourced


def _is_flag(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
