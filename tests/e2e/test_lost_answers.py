"""Answers that get lost on the way: asking again must do no harm, and nothing may be done twice."""

import random

import pytest

from clients.graphs import artifact, output
from events.catalog import HeartbeatReceived, JobLeased
from tests.e2e import logs
from tests.e2e.farm import Farm
from tests.e2e.proxy import lossy
from tests.e2e.yard import shell

pytestmark = pytest.mark.e2e


async def test_a_lease_whose_answer_got_lost_is_given_again(farm: Farm) -> None:
    """The job was given away and its worker does not know: it hears of it again and runs it once."""
    await farm.coordinator()
    graph = farm.graph()
    shell(graph, "once", farm.yard.mark("once"))
    lost: list[bytes] = []

    def first_lease(piece: bytes) -> bool:
        if lost or b'"Lease":"' not in piece:
            return False
        lost.append(piece)
        return True

    async with lossy(farm.url, first_lease) as url:
        await farm.worker("one", coordinator=url)
        assert await farm.build(graph).ended() == 0
    log = farm.log()
    assert len(lost) == 1
    [leased] = logs.events(log, JobLeased)
    assert leased.lease.encode() in lost[0]
    assert any(leased.lease in event.unreported for event in logs.events(log, HeartbeatReceived))
    assert len(farm.yard.marks("once")) == 1


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_bad_network_costs_time_only(farm: Farm, seed: int) -> None:
    """Workers and client lose one answer in ten, at random: the build succeeds, each job has run once."""
    await farm.coordinator()
    graph = farm.graph()
    (farm.sources / "source").write_text("from the client\n")
    copy = f"cp source {output('copy')}"
    copied = [
        shell(graph, f"copy-{n}", farm.yard.mark(f"copy-{n}"), copy, inputs=["source"]) for n in range(30)
    ]
    words = " ".join(artifact(job, "copy") for job in copied)
    shell(graph, "all", f"cat {words}")
    chance = random.Random(seed)
    async with lossy(farm.url, lambda _piece: chance.random() < 0.1) as url:
        for name in ("one", "two"):
            await farm.worker(name, slots=2, coordinator=url)
        client = farm.build(graph, coordinator=url)
        assert await client.ended() == 0
    assert await farm.output(await farm.only_build(), "all") == b"from the client\n" * 30
    assert [len(farm.yard.marks(f"copy-{n}")) for n in range(30)] == [1] * 30
