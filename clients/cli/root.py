"""`terzetto` itself: finds the verb, imports that one module, and is the one place that ends the process."""

import difflib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from clients.cli import config, errors
from clients.cli.exits import Exit

# A verb's module is imported when it is used; so its line in the list stands here, and a test compares.
VERBS: Mapping[str, str] = {
    "up": "Run coordinator, workers and live page on this machine.",
    "coordinator": "Run the coordinator alone.",
    "worker": "Run one worker.",
    "agent": "Carry out buildapi's requests, as a broker tells of them.",
    "build": "Run a build to its end and fetch what it made.",
    "watch": "Follow a build, live or after the fact.",
    "cancel": "Cancel a build.",
    "builds": "List the builds.",
    "workers": "List the workers.",
    "task": "Run, list or stop Cube's tasks.",
    "output": "Show what a job printed.",
    "why": "Explain what became of a job.",
    "graph": "Check and show graphs.",
    "log": "Look back through the event log.",
    "ui": "Look at a log in a browser: every build, at every moment.",
    "demo": "Build a picture from nothing, with the live page.",
    "doctor": "Find out whether this installation is able to work.",
}

HELP = """\
terzetto runs distributed builds: a client, a coordinator and workers.

  terzetto demo                            see it work, in a minute
  terzetto up                              coordinator, 2 workers, live page
  terzetto build graph.toml --out made     build, and fetch what was made

Usage: terzetto VERB [ARGUMENTS]…     terzetto VERB --help says more
{verbs}
Exit codes: terzetto build --help   Documentation: README.md, clients/README.md
"""


class Root(click.Group):
    """The group of all verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"clients.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            close = difflib.get_close_matches(name, VERBS, cutoff=0.5)
            hint = f"did you mean `{close[0]}`?" if close else "see `terzetto --help` for the verbs there are"
            raise errors.usage(f"there is no verb {name!r}", fix=hint)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        verbs = "\n".join(f"  {name:<13}{line}" for name, line in VERBS.items())
        formatter.write(HELP.format(verbs=verbs))


@click.command(
    cls=Root,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.option("--version", is_flag=True, help="Print the version.")
@click.pass_context
def cli(ctx: click.Context, *, version: bool) -> None:
    if version:
        from clients.cli.version import version as installed

        click.echo(f"terzetto {installed()}")
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        return
    ctx.default_map = config.defaults(config.read(config.places(os.environ, Path.cwd())))


def run(arguments: Sequence[str]) -> int:
    """Run a verb; whatever it raises becomes a message for people or programs. Returns the exit code."""
    try:
        answer = _invoke(list(arguments))
        if sys.stdout is not None:  # somebody may have closed it
            sys.stdout.flush()
    except BaseException as error:
        return errors.report(error, arguments)
    return answer if isinstance(answer, int) else Exit.OK


def _invoke(arguments: list[str]) -> object:
    if "_TERZETTO_COMPLETE" in os.environ:
        return cli.main(arguments, prog_name="terzetto", standalone_mode=False)
    # Not `cli.main`: it would turn a closed pipe into the exit code of a failed job.
    with cli.make_context("terzetto", arguments) as context:
        return cli.invoke(context)
