"""What else befalls a process: it is stopped for a while, its clock jumps, it may open or write no more."""

import resource
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
import trio

from clients import wire
from clients.distbuild import HeartbeatRequest, JobResult
from clients.distbuild_client import DistbuildClient
from events.catalog import CoordinatorStalled, CoordinatorStarted, JobReleased, JobSucceeded, WorkerLost
from tests.crash.cradle import Cradle, Life
from tests.crash.peers import Customer, Ledger, Worker
from tests.crash.runs import Run
from tests.e2e import logs
from tests.e2e.farm import open_farm
from tests.e2e.processes import until

pytestmark = pytest.mark.e2e

LEASE_SECONDS = 0.5
PATIENCE = (f"--lease-seconds={LEASE_SECONDS}", f"--worker-silence-seconds={LEASE_SECONDS}")
PAUSE_SECONDS = 2.0
FILES, CONNECTIONS = 48, 100
FILE_BYTES = 300_000
HOUR = 3600


class Busy:
    """A worker that works on what it got until `finish`."""

    def __init__(self, client: wire.Client) -> None:
        self.lease = ""
        self._job = ""
        self._client = DistbuildClient(client)

    async def beat(self, *finished: JobResult) -> None:
        """Report the job as running, or as finished; nobody may have taken it away."""
        report = HeartbeatRequest(
            worker_id="http://busy.invalid",
            session="1",
            slots=1,
            free_slots=0 if self.lease else 1,
            running_jobs=(self._job,) if self.lease else (),
            running_leases=(self.lease,) if self.lease else (),
            finished_job=finished,
        )
        answer = await self._client.heartbeat(report, wait_seconds=0.0)
        assert not answer.revoked_leases
        for job in answer.jobs_to_run.values():
            self.lease, self._job = job.lease, job.id

    async def finish(self) -> None:
        result = JobResult(id=self._job, lease=self.lease)
        self.lease = ""
        await self.beat(result)


@asynccontextmanager
async def serving(life: Life) -> AsyncIterator[wire.Client]:
    """A client of it; it is gone afterwards."""
    await life.ready()
    async with wire.Client(life.url) as client:
        yield client
    await life.kill9()


async def order(client: wire.Client, ledger: Ledger, key: str) -> None:
    """Have a build made."""
    for step in Customer(client, ledger, key).steps(key):
        await step()


async def order_forever(client: wire.Client, ledger: Ledger) -> None:
    for number in count():
        await order(client, ledger, f"build-{number}")


async def test_a_coordinator_that_is_stopped_for_longer_than_a_lease(cradle: Cradle, tmp_path: Path) -> None:
    """It blames nobody for the silence: who worked on through it is believed."""
    run = Run(tmp_path / "data")
    life = cradle.coordinator(run.data, *PATIENCE)
    async with serving(life) as client:
        worker = Busy(client)
        await order(client, run.ledger, "held")
        await worker.beat()
        lease = worker.lease
        life.signal(signal.SIGSTOP)
        await trio.sleep(PAUSE_SECONDS)  # the time itself is what is tried
        life.signal(signal.SIGCONT)
        await worker.beat()
        await worker.finish()
    log = run.check()
    assert logs.events(log, CoordinatorStalled)
    assert not logs.events(log, JobReleased)
    assert not logs.events(log, WorkerLost)
    assert logs.events(log, JobSucceeded, lease=lease)


def faketime() -> Path:
    """The library that lies about the time."""
    libraries = list(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        pytest.skip("there is no faketime here")
    return libraries[0]


async def test_a_wall_clock_that_jumps(tmp_path: Path) -> None:
    """An hour ahead, two hours back, over a restart: no lease runs out, and the log's time never falls."""
    shift = tmp_path / "shift"
    lies = {"LD_PRELOAD": faketime(), "FAKETIME_TIMESTAMP_FILE": shift, "FAKETIME_NO_CACHE": 1}
    prefix = ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", *(f"{name}={value}" for name, value in lies.items())]
    shift.write_text("+0")
    async with open_farm(tmp_path) as farm:
        coordinator = await farm.coordinator(prefix=prefix)
        worker = Busy(farm.client)
        await order(farm.client, Ledger(), "held")
        await worker.beat()
        for jump in (HOUR, -HOUR):
            shift.write_text(f"{jump:+}")
            await order(farm.client, Ledger(), f"after {jump}")
            await worker.beat()
        coordinator.kill9()
        await coordinator.restart()
        await worker.beat()
        lease = worker.lease
        await worker.finish()
        log = farm.log()
    times = [entry.record.at for entry in log]
    assert times == sorted(times)
    assert times[-1] - times[0] < HOUR
    assert len(logs.events(log, CoordinatorStarted)) == 2
    assert not logs.events(log, JobReleased)
    assert logs.events(log, JobSucceeded, lease=lease)


async def test_a_coordinator_that_may_open_no_more_files(cradle: Cradle, tmp_path: Path) -> None:
    """Those who are connected are served on; when others have gone, so is everybody."""
    run = Run(tmp_path / "data")
    life = cradle.coordinator(run.data, limits={resource.RLIMIT_NOFILE: FILES})
    async with serving(life) as client:
        worker = Worker(client, run.ledger, "worker")
        await worker.beat()
        host, _, port = life.url.removeprefix("http://").rpartition(":")
        async with AsyncExitStack() as crowd:
            for _ in range(CONNECTIONS):
                await crowd.enter_async_context(await trio.open_tcp_stream(host, int(port)))
            for _ in range(10):
                await worker.beat(wait_seconds=0.0)
        assert await run.go(life)
    run.check()


async def test_a_log_that_may_not_grow(cradle: Cradle, tmp_path: Path) -> None:
    """A limit on the size of a file is a full disk: refused, read on, and written on once it is lifted."""
    run = Run(tmp_path / "data")
    life = cradle.coordinator(run.data, limits={resource.RLIMIT_FSIZE: FILE_BYTES})
    async with serving(life) as client:
        with pytest.raises(wire.Refused, match="the coordinator's disk is full"):
            await order_forever(client, run.ledger)
        reply = await client.call("GET", "/api/builds?limit=1000", timeout_seconds=10.0)
        assert reply.status == 200
        assert all(build in reply.text() for build in run.ledger.builds.values())
        resource.prlimit(life.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        async def look() -> bool:
            try:
                await order(client, run.ledger, "afterwards")
            except wire.Refused:
                return False
            return True

        await until("a build being taken again", look)
    run.check()
