"""An agent that is killed between acting and saying so: `dying_agent.py AMQP COORDINATOR`."""

import os
import random
import signal
import sys

import trio

from clients import wire
from clients.agent import Agent, Branches
from clients.agent.amqp import Broker
from clients.requests import REQUESTS


class Dying(Broker):
    """Whoever wants to publish with it is gone before anything was sent."""

    async def publish(self, key: str, body: bytes) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
        await trio.sleep_forever()


async def main(amqp: str, coordinator: str) -> None:
    broker = Dying(amqp, hears=REQUESTS)
    async with wire.Client(coordinator) as client, trio.open_nursery() as nursery:
        await nursery.start(broker.run)
        await Agent(client, Branches(), chance=random.Random(), host="here").serve_forever(broker)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])
