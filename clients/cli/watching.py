"""A build followed from its first record, for people or for programs."""

import os
import random
import sys
from functools import partial

import trio

from clients.build.outcome import Tally
from clients.cli import links, printing
from clients.cli.api import Api
from clients.cli.exits import OF_VERDICT
from clients.cli.progress import make_display
from clients.cli.show import Show
from clients.live import follow
from events.ids import BuildId


async def show(api: Api, build: str, *, coordinator: str, aim: str = "", progress: str, color: str) -> int:
    """Show the build until it has ended; returns its exit code."""
    page = partial(links.page, coordinator)
    hint = "Ctrl-C stops watching"
    display = make_display(progress, color, os.environ, sys.stderr, page=page, hint=hint)
    show, tally = Show(api, display, aim=aim), Tally(())
    try:
        show.on_started(BuildId(build), 0, is_native=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(show.run)
            chance = random.Random()  # noqa: S311  delays, not secrets
            async with follow(api.client, BuildId(build), chance=chance, tell=show.on_link) as records:
                async for line in records:
                    tally.add(line)
                    show.on_record(line)
            await show.finish()
            nursery.cancel_scope.cancel()
    finally:
        display.close()
    show.conclude(url=page(build), coordinator=coordinator)
    return OF_VERDICT[tally.verdict.value]


async def pass_on(api: Api, build: str) -> int:
    """Print the build's records until it has ended; returns its exit code."""
    tally = Tally(())
    chance = random.Random()  # noqa: S311  delays, not secrets
    async with follow(api.client, BuildId(build), chance=chance) as records:
        async for line in records:
            tally.add(line)
            place = {"position": line.position, "at": line.at, "type": line.type}
            printing.as_json(place | line.fields)
    return OF_VERDICT[tally.verdict.value]
