"""Programs that others wrote for plain distbuild work with ours, as if they had been written for them."""

import json
import sys
from pathlib import Path

import pytest

from clients.distbuild import Job
from clients.graphs import GraphBuilder, artifact, output
from events.catalog import JobLeased, JobReleased, JobReused, WorkerLost
from tests.e2e import logs
from tests.e2e.farm import PATIENCE, Farm
from tests.e2e.yard import shell

pytestmark = pytest.mark.e2e

HERE = Path(__file__).parent
# Longer than the lease that PATIENCE gives to those who renew it.
SILENT_SECONDS = 3


def _pairs(farm: Farm) -> GraphBuilder:
    """Two jobs that run at the same time, and two more that each need what both of them made."""
    (farm.sources / "names").mkdir()
    (farm.sources / "names" / "who").write_text("world\n")
    graph = farm.graph()

    def first(name: str) -> Job:
        meet = farm.yard.meet("first", 2)
        make = f"mkdir -p {output('in')}; (echo {name}; cat names/who) > {output('in/file')}"
        return shell(graph, name, meet, f"sleep {SILENT_SECONDS}", make, inputs=["names/who"])

    files = [artifact(first(name), "in/file") for name in ("left", "right")]
    for name in ("one", "two"):
        shell(graph, name, farm.yard.meet("second", 2), f"echo {name}; cat {' '.join(files)}")
    return graph


async def test_a_plain_worker_beside_one_of_ours(farm: Farm) -> None:
    """Each runs half of the build and fetches the other's artifacts; the silent one loses no lease."""
    await farm.coordinator(*PATIENCE)
    ours = await farm.worker("ours")
    plain = await farm.server(
        "plain", [sys.executable, HERE / "plain_worker.py", farm.url, farm.directory / "plain"]
    )
    graph = _pairs(farm)
    client = farm.build(graph)
    assert await client.ended() == 0, client.stderr
    build = json.loads(client.stdout)["id"]
    for name in ("one", "two"):
        said = f"{name}\nleft\nworld\nright\nworld\n".encode()
        assert await farm.output(build, name) == said
    log = farm.log()
    assert sorted(event.worker for event in logs.events(log, JobLeased)) == sorted([ours.url, plain.url] * 2)
    assert not logs.events(log, JobReleased)
    assert not logs.events(log, WorkerLost)

    again = farm.build(graph)
    assert await again.ended() == 0
    assert len(logs.events(farm.log(), JobReused, build=json.loads(again.stdout)["id"])) == 4
    assert plain.exit_code is None


async def test_our_worker_and_client_under_a_plain_coordinator(farm: Farm) -> None:
    """Sources go up, artifacts go from worker to worker, results come back, failures are failures."""
    coordinator = await farm.server("coordinator", [sys.executable, HERE / "plain_coordinator.py"])
    for name in ("one", "two"):
        await farm.worker(name, coordinator=coordinator.url)
    graph = _pairs(farm)
    client = farm.build(graph, coordinator=coordinator.url)
    assert await client.ended() == 0, client.stderr
    said = json.loads(client.stdout)
    assert (said["state"], said["counts"]["succeeded"]) == ("succeeded", 4)

    failing = farm.graph()
    shell(failing, "failing", "echo this went wrong; exit 7")
    client = farm.build(failing, coordinator=coordinator.url)
    assert await client.ended() == 1
    assert "this went wrong" in client.stderr
    assert [job["exit_code"] for job in json.loads(client.stdout)["failed"]] == [7]
