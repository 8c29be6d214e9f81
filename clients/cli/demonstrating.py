"""The demo: a farm as a child process, a build in it, and a picture at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
from attrs import frozen

from clients import demo
from clients.cli import building, children, logs, printing, talking
from clients.cli.exits import Exit
from clients.distbuild import BuildRequest

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
SERVER_LOG = "up.log"


@frozen(kw_only=True)
class Wishes:
    """What the user asked for."""

    keep: bool
    data: Path
    out: Path
    progress: str
    color: str


def run(wishes: Wishes, *, log_level: str) -> int:
    """Show the demo; returns the exit code."""
    logs.configure(log_level)
    return trio.run(partial(demonstrate, wishes, demo.build_request()))


async def demonstrate(wishes: Wishes, request: BuildRequest) -> int:
    """Run the farm, and in it the build; returns the exit code."""
    wishes.data.mkdir(parents=True, exist_ok=True)
    async with _farm(wishes.data) as url, talking.connected(url) as api:
        printing.note(f"live page: {url}/   server log: {wishes.data / SERVER_LOG}")
        code = await building.build(
            api,
            request,
            building.Wishes(
                coordinator=url,
                aim=None,
                source=demo.SOURCE_ROOT,
                out=wishes.out,
                progress=wishes.progress,
                color=wishes.color,
            ),
        )
        if wishes.keep and code == Exit.OK:
            printing.note(f"still serving {url}/   Ctrl-C stops")
            await talking.until_signal()
    if code == Exit.OK and not wishes.keep:
        again = f"terzetto up --data {wishes.data}"
        printing.note(f"the farm has stopped; `{again}` shows this build again")
    return code


@asynccontextmanager
async def _farm(data: Path) -> AsyncIterator[str]:
    """A coordinator and two workers in a process of their own; yields the URL. It ends when we do."""
    verb = ["up", "--bind", "127.0.0.1:0", "--workers", "2", "--data", str(data)]
    path = data / SERVER_LOG
    with path.open("ab") as log:
        async with trio.open_nursery() as nursery:
            process = await children.start(nursery, verb, stop_seconds=STOP_SECONDS, stderr=log)
            yield await children.await_ready(process, "the farm", seconds=READY_SECONDS, fix=f"see {path}")
            nursery.cancel_scope.cancel()
