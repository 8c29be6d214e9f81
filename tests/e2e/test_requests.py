"""buildapi's requests over a real RabbitMQ: told at least once, done once, whoever dies in between."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pika
import pytest
import trio
from pika.adapters.blocking_connection import BlockingChannel

from clients.agent.amqp import EXCHANGE, QUEUES
from clients.requests import FINISHED, REQUESTS
from tests.e2e.farm import Farm
from tests.e2e.processes import SECONDS, TERZETTO, Server, until
from tests.e2e.rabbit import Rabbit, needs_rabbit

pytestmark = [pytest.mark.e2e, needs_rabbit]

MANY = 500
AT_ONCE = 16
ANN = (("X-Remote-User", "ann"), ("Content-Type", "application/x-www-form-urlencoded"))
# 500 requests on a busy machine, with a broker that comes back in between.
LONG_SECONDS = 5 * SECONDS


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """One broker for all: it takes its time to start."""
    rabbit = Rabbit(tmp_path_factory.mktemp("broker") / "rabbit")
    try:
        yield rabbit
    finally:
        rabbit.end()
        print(rabbit.tell())


async def test_what_was_accepted_is_done_once_whoever_dies(farm: Farm, rabbit: Rabbit) -> None:
    """An agent is killed after it acted; then two do 500 requests, though the broker dies amid them."""
    await rabbit.ready()
    await farm.coordinator("--amqp", rabbit.url)
    await _hand_in(farm)
    program = Path(__file__).with_name("dying_agent.py")
    dying = farm.program("dying", [sys.executable, program, rabbit.url, farm.url])
    first = await _rebuild(farm)
    assert first is not None
    assert await dying.ended() == -9
    assert (await _builds_by_request(farm))[str(first)] == 1
    assert (await _jobs(farm))[first]["completed_at"] is None
    for name in ("agent-1", "agent-2"):
        await _agent(farm, rabbit, name)
    accepted, refused = await _ask_for_many(farm, rabbit)
    assert len(accepted) == MANY

    async def look() -> bool:
        return all(job["completed_at"] is not None for job in (await _jobs(farm)).values())

    await until("all requests are completed", look, seconds=LONG_SECONDS)
    jobs, built = await _jobs(farm), await _builds_by_request(farm)
    assert built == Counter(map(str, [first, *accepted]))
    assert jobs.keys() == {first, *accepted, *refused}
    done = {"errors": False, "msg": "Ok"}
    not_sent = {"errors": True, "msg": "Couldn't send message to broker"}
    for number, job in jobs.items():
        assert job["complete_data"]["body"] == (not_sent if number in refused else done), number


async def test_messages_of_others_are_dealt_with_as_buildapi_does(farm: Farm, rabbit: Rabbit) -> None:
    """What has no number is dropped, what another agent may know stays, who was never asked is told so."""
    await rabbit.ready()
    await farm.coordinator("--amqp", rabbit.url)
    await _hand_in(farm)
    await _with_channel(rabbit, _listen)
    await _with_channel(rabbit, lambda channel: _publish(channel, FINISHED, {"request_id": 99, "body": {}}))
    messages: tuple[object, ...] = (
        "no object",
        {"action": "cancel_build", "who": "eve", "body": {"bid": 1}},
        {"action": "make_coffee", "who": "eve", "body": {"request_id": 7}},
        {"action": "cancel_build", "who": "eve", "body": {"bid": 1, "request_id": 98}},
    )
    await _with_channel(rabbit, lambda channel: _publish(channel, REQUESTS, *messages))
    agent = await _agent(farm, rabbit, "agent")
    number = await _rebuild(farm)
    assert number is not None

    async def look() -> bool:
        return (await _jobs(farm))[number]["completed_at"] is not None

    await until("the request is completed", look)
    assert set(await _jobs(farm)) == {number}
    assert (await farm.api("/api/builds/number:1"))["build"]["state"] != "cancelled"
    told = await _with_channel(rabbit, _heard)
    assert told == [
        {"body": {"errors": True, "msg": "No request with that id"}, "request_id": 98},
        {"body": {"errors": False, "msg": "Ok"}, "request_id": number},
    ]
    agent.terminate()
    assert await agent.ended() == 0

    async def left() -> list[Any]:
        found: list[Any] = await _with_channel(rabbit, _left)
        return found

    assert [message["action"] for message in await until("what is left", left)] == ["make_coffee"]


# --- asking


async def _hand_in(farm: Farm) -> None:
    """A build of a branch, to be built again."""
    graph = farm.graph()
    graph.job("job", cmd=["/bin/true"])
    options = ("--detach", "--label", "branch=main", "--label", "revision=r1")
    assert await farm.build(graph, *options).ended() == 0


async def _agent(farm: Farm, rabbit: Rabbit, name: str) -> Server:
    return await farm.server(name, [*TERZETTO, "agent", "--amqp", rabbit.url, "--coordinator", farm.url])


async def _rebuild(farm: Farm) -> int | None:
    """Ask for the first build to be built again; the request's number, None if it was not accepted."""
    target = "/self-serve/main/request?format=json"
    reply = await farm.client.call("POST", target, body=b"request_id=1", headers=ANN, timeout_seconds=SECONDS)
    answer = json.loads(reply.body)
    if reply.status == 503:
        assert answer == {"status": "FAILED", "msg": "Couldn't send message to broker"}
        return None
    assert (reply.status, answer["status"]) == (202, "OK")
    number: int = answer["request_id"]
    return number


async def _ask_for_many(farm: Farm, rabbit: Rabbit) -> tuple[set[int], set[int]]:
    """The numbers of the requests that were accepted, and of those that were not and were made anew."""
    accepted: set[int] = set()
    known = set(await _jobs(farm))
    wanted = iter(range(MANY))

    async def ask() -> None:
        for _ in wanted:
            while (number := await _rebuild(farm)) is None:
                pass
            accepted.add(number)

    async def restart() -> None:
        await until("a third is accepted", lambda: _is_so(len(accepted) > MANY // 3), seconds=LONG_SECONDS)
        rabbit.kill()
        await rabbit.revive()

    with trio.fail_after(LONG_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(restart)
            for _ in range(AT_ONCE):
                nursery.start_soon(ask)
    return accepted, set(await _jobs(farm)) - known - accepted


async def _is_so(fact: bool) -> bool:
    return fact


async def _jobs(farm: Farm) -> dict[int, Any]:
    return {job["request_id"]: job for job in await farm.api("/builds/jobs?num=1000&format=json")}


async def _builds_by_request(farm: Farm) -> Counter[str]:
    builds = (await farm.api("/api/builds?limit=1000&label=branch=main"))["builds"]
    return Counter(build["labels"]["request"] for build in builds if "request" in build["labels"])


# --- at the broker

EARS = "ears"


async def _with_channel(rabbit: Rabbit, act: Callable[[BlockingChannel], Any]) -> Any:
    def do() -> Any:
        with closing(pika.BlockingConnection(pika.URLParameters(rabbit.url))) as connection:
            return act(connection.channel())

    return await trio.to_thread.run_sync(do)


def _listen(channel: BlockingChannel) -> None:
    channel.queue_declare(EARS, durable=True)
    channel.queue_bind(EARS, EXCHANGE, FINISHED)
    channel.queue_purge(QUEUES[REQUESTS])


def _publish(channel: BlockingChannel, key: str, *messages: object) -> None:
    for message in messages:
        channel.basic_publish(EXCHANGE, key, json.dumps(message).encode())


def _heard(channel: BlockingChannel) -> list[Any]:
    """What agents answered; not what was said in their name."""
    return [message for message in _all(channel, EARS) if message["body"]]


def _left(channel: BlockingChannel) -> list[Any]:
    return _all(channel, QUEUES[REQUESTS])


def _all(channel: BlockingChannel, queue: str) -> list[Any]:
    found = []
    while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
        found.append(json.loads(got[2]))
    return found
