"""An agent as a process: the broker's connection, and the coordinator's, for as long as it lives."""

import random
from pathlib import Path
from socket import gethostname
from typing import Self

import trio
from attrs import frozen

from clients import wire
from clients.agent import Agent, Branches
from clients.agent.amqp import Broker
from clients.requests import REQUESTS
from clients.wire.client import Origin


@frozen(kw_only=True)
class Settings:
    """What the operator chose, and what it says."""

    coordinator: str
    broker: Broker
    branches: Branches

    @classmethod
    def read(cls, coordinator: str, amqp: str, builders: Path | None) -> Self:
        """Raises ValueError, OSError."""
        Origin.of(coordinator)
        branches = Branches.read(builders) if builders else Branches()
        return cls(coordinator=coordinator, broker=Broker(amqp, hears=REQUESTS), branches=branches)


async def serve(settings: Settings, *, stop: trio.Event, task_status: trio.TaskStatus[str]) -> None:
    """Carry requests out until `stop`. What is not acknowledged then is for another agent."""
    async with wire.Client(settings.coordinator) as client, trio.open_nursery() as nursery:
        agent = Agent(client, settings.branches, chance=random.Random(), host=gethostname())  # noqa: S311  delays
        await nursery.start(settings.broker.run)
        nursery.start_soon(agent.serve_forever, settings.broker)
        task_status.started(settings.coordinator)
        await stop.wait()  # unbounded: we serve until told otherwise
        nursery.cancel_scope.cancel()
