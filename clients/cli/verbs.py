"""What all verbs look like: help that begins with examples, and the options that several of them share.

A verb's own module only says what it takes; what it does is imported when it is done.
"""

import shlex
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

F = TypeVar("F", bound=Callable[..., Any])

COORDINATOR_DEFAULT = "http://127.0.0.1:8470"
MODES = ("auto", "fancy", "lines", "grouped", "json", "none")
COLORS = ("auto", "always", "never")
LEVELS = ("debug", "info", "warning", "error", "critical")


class Verb(click.Command):
    """A verb; `examples` are whole command lines, `after` is text below the options."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), after: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.after = after

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write("\n".join(["Examples:", *(f"  {line}" for line in self.examples)]) + "\n\n")
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_options(ctx, formatter)
        if self.after:
            formatter.write(f"\n{self.after}\n")


def coordinator_option(function: F) -> F:
    return click.option(
        "--coordinator",
        metavar="URL",
        envvar="TERZETTO_COORDINATOR",
        default=COORDINATOR_DEFAULT,
        show_default=True,
        help="The coordinator to speak to.",
    )(function)


def aim(coordinator: str) -> str:
    """What another verb needs to be told to find the same coordinator; nothing, if it is configured."""
    source = click.get_current_context().get_parameter_source("coordinator")
    return f" --coordinator {shlex.quote(coordinator)}" if source is ParameterSource.COMMANDLINE else ""


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def log_level_option(default: str) -> Callable[[F], F]:
    return click.option(
        "--log-level",
        type=click.Choice(LEVELS),
        envvar="TERZETTO_LOG_LEVEL",
        default=default,
        show_default=True,
        help="Log lines from this level on go to stderr.",
    )


def progress_options(function: F) -> F:
    function = click.option(
        "--color",
        type=click.Choice(COLORS),
        envvar="TERZETTO_COLOR",
        default="auto",
        help="Colour on stderr; auto heeds NO_COLOR and FORCE_COLOR.",
    )(function)
    return click.option(
        "--progress",
        type=click.Choice(MODES),
        envvar="TERZETTO_PROGRESS",
        default="auto",
        help="How to show progress on stderr; auto is fancy at a terminal, else lines.",
    )(function)


def beside_log_lines(progress: str, log_level: str) -> str:
    """Which progress to ask for: what is drawn and what is logged would spoil each other."""
    return "lines" if progress == "auto" and log_level != "critical" else progress


def client_options(function: F) -> F:
    """What every verb has that speaks to a coordinator."""
    return coordinator_option(json_option(log_level_option("critical")(function)))


def labels(pairs: tuple[str, ...]) -> dict[str, str]:
    """What `--label K=V`, any number of times, says; raises `Failure`."""
    from clients.cli.errors import usage

    for pair in pairs:
        if not pair.partition("=")[0] or "=" not in pair:
            raise usage(f"the label {pair!r} is not of the form K=V")
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
