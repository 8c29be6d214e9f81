"""One build whose jobs run on workers of every kind, each fetching what the others made."""

import json
import signal
import sys
from pathlib import Path

import pytest

from clients.distbuild import Job
from clients.graphs import GraphBuilder, artifact
from events.catalog import JobLeased, JobReleased
from events.ids import ASKING
from tests.e2e import logs
from tests.e2e.farm import PATIENCE, Farm
from tests.e2e.processes import TERZETTO, Process
from tests.e2e.yard import shell

pytestmark = pytest.mark.e2e

HERE = Path(__file__).parent


def typed(graph: GraphBuilder, name: str, script: str, *deps: Job, after_failure: bool = False) -> Job:
    """A job for a worker of ours that speaks composer's dialect."""
    args = {"cmds": [{"exec": ["/bin/sh", "-ec", script], "environ": ["PATH=/usr/bin:/bin"]}]}
    return graph.typed(name, "terzetto", args=args, deps=deps, after_failure=after_failure)


async def composer_worker(farm: Farm, name: str) -> Process:
    """Over the composer worker API, and nothing else."""
    options = ["--dialect", "composer", "--coordinator", farm.url, "--slots", "1"]
    data = ["--data", str(farm.directory / name)]
    return await farm.server(name, [*TERZETTO, "worker", *options, *data])


async def test_one_build_on_workers_of_every_kind(farm: Farm) -> None:
    """Ours, one of plain distbuild, and one of the composer kind, which are told and fetch what was made."""
    await farm.coordinator(*PATIENCE)
    ours = await farm.worker("ours")
    plain = await farm.server(
        "plain", [sys.executable, HERE / "plain_worker.py", farm.url, farm.directory / "plain"]
    )
    await composer_worker(farm, "composer")
    graph = farm.graph()
    made = typed(graph, "made", "echo from composer > {{.OutputDir}}/file; echo said")
    both = [
        shell(graph, name, farm.yard.meet("both", 2), f"echo {name}; cat {artifact(made, 'file')}")
        for name in ("one", "two")
    ]
    typed(graph, "told", "cat {{.SourceDir}}/dynamic_args.json", made, *both)
    client = farm.build(graph)
    assert await client.ended() == 0, client.stderr
    build = json.loads(client.stdout)["id"]
    for name in ("one", "two"):
        assert await farm.output(build, name) == f"{name}\nfrom composer\n".encode()
    told = json.loads(json.loads(await farm.output(build, "told"))["stdout"])
    assert told[0] == {"exit_code": 0, "stdout": "said\n", "stderr": ""}
    outputs = [each["stdout"] for each in told[1:]]
    assert outputs == ["one\nfrom composer\n", "two\nfrom composer\n"]
    who = [event.worker for event in logs.events(farm.log(), JobLeased)]
    assert sorted(id_ for id_ in who if not id_.startswith(ASKING)) == sorted([ours.url, plain.url])
    assert sum(id_.startswith(ASKING) for id_ in who) == 2
    assert plain.exit_code is None


async def test_a_composer_worker_that_dies_is_replaced(farm: Farm) -> None:
    """Its job runs on another; a job that fails says so, and what waits for that goes on."""
    await farm.coordinator("--composer-job-seconds", "1.5")
    first = await composer_worker(farm, "first")
    graph = farm.graph()
    hang = farm.yard.once("stuck", f"{farm.yard.mark('began')}; sleep 600")
    stuck = typed(graph, "stuck", f"{hang}; echo again; exit 3")
    typed(graph, "after", "cat {{.SourceDir}}/dynamic_args.json", stuck, after_failure=True)
    client = farm.build(graph, "--keep-going")
    await farm.passed("began")
    first.signal(signal.SIGKILL)
    await first.ended()
    await composer_worker(farm, "second")
    assert await client.ended() == 1, client.stderr
    [build] = (await farm.api("/api/builds"))["builds"]
    jobs = await farm.jobs(build["id"])
    assert (jobs["stuck"]["state"], jobs["stuck"]["attempt"]) == ("failed", 2)
    assert jobs["after"]["state"] == "succeeded"
    [told] = json.loads(json.loads(await farm.output(build["id"], "after"))["stdout"])
    assert (told["exit_code"], told["stdout"], told["job_error"]["reason"]) == (3, "again\n", "exit status 3")
    assert [event.reason for event in logs.events(farm.log(), JobReleased)] == ["lease-ran-out"]
