"""`terzetto task`: Cube's own verbs for tasks, which run containers."""

import click

from clients.cli.verbs import Verb, client_options


@click.command(
    cls=Verb,
    examples=(
        "terzetto task run task.json",
        "terzetto task status",
        "terzetto task stop 21b23589-5d2d-4731-b5c9-a97e9832d021",
    ),
)
@click.argument("action", type=click.Choice(["run", "status", "stop"]))
@click.argument("what", required=False, default="")
@client_options
def command(*, coordinator: str, as_json: bool, log_level: str, action: str, what: str) -> int:
    """Run, list or stop Cube's tasks.

    WHAT is the file with Cube's task event to run (`-` is stdin), or the id of the task to stop.
    """
    from clients.cli import talking, tasking
    from clients.cli.errors import usage

    if bool(what) is (action == "status"):
        raise usage(f"`task {action}` takes {'nothing more' if what else 'a WHAT'}")
    event = tasking.read(what) if action == "run" else b""
    return talking.run(
        lambda api: tasking.act(api, action, what, event, as_json=as_json),
        coordinator=coordinator,
        log_level=log_level,
    )
