"""A farm's other side without its weight: peers of a coordinator that remember what it acknowledged.

They repeat what was not acknowledged, so that they get on over any number of its lives; and in the end
the log must say all that it ever said to them, word for word.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import trio
from attrs import define, field

from clients import wire
from clients.distbuild import (
    BuildRequest,
    Cancel,
    Cmd,
    Graph,
    HeartbeatRequest,
    Job,
    JobResult,
    JobSpec,
    SignalRequest,
    UploadDone,
    encode_bytes,
)
from clients.distbuild_client import DistbuildClient
from clients.graphs import source_id
from events.catalog import BuildStarted, JobLeased, JobSucceeded, SignalReceived, SourcesReady, SourceStored
from events.log import Entry
from tests.e2e import logs

T = TypeVar("T")

RETRY_SECONDS = 0.01
PATIENCE_SECONDS = 60.0
HELD_SECONDS = 1.0
UPLOADED = SignalRequest(upload_done=UploadDone())


@define(eq=False)
class Ledger:
    """What was acknowledged, over all lives."""

    builds: dict[str, str] = field(factory=dict)
    sources: dict[str, bytes] = field(factory=dict)
    signals: list[tuple[str, str]] = field(factory=list)
    # By lease: the worker it was given to, and the job.
    given: dict[str, tuple[str, str]] = field(factory=dict)
    results: set[str] = field(factory=set)
    count: int = 0
    _news: trio.Event = field(factory=trio.Event)

    def note(self) -> None:
        """One more acknowledgement."""
        self.count += 1
        self._news.set()
        self._news = trio.Event()

    async def reaches(self, count: int) -> None:
        """Return right after so many."""
        with trio.fail_after(PATIENCE_SECONDS):
            while self.count < count:
                await self._news.wait()

    def compare(self, log: Sequence[Entry], said: Mapping[int, bytes]) -> None:
        """The log knows it all, and nothing of it happened twice."""
        texts = {entry.record.position: entry.text for entry in log}
        assert said.items() <= texts.items()
        started = {event.key: event.build for event in logs.events(log, BuildStarted)}
        assert len(started) == len(logs.events(log, BuildStarted))
        assert self.builds.items() <= started.items()
        stored = [event.source for event in logs.events(log, SourceStored)]
        assert len(stored) == len(set(stored))
        assert self.sources.keys() <= set(stored)
        signals = {(event.build, event.signal) for event in logs.events(log, SignalReceived)}
        assert set(self.signals) <= signals
        ready = [event.build for event in logs.events(log, SourcesReady)]
        assert len(ready) == len(set(ready))
        leased = {event.lease: (event.worker, event.job) for event in logs.events(log, JobLeased)}
        assert self.given.items() <= leased.items()
        ended = [event.lease for event in logs.events(log, JobSucceeded)]
        assert len(ended) == len(set(ended))
        assert self.results <= set(ended)


class Worker:
    """One of ours that runs nothing and says with its next heartbeat that all is done."""

    def __init__(self, client: wire.Client, ledger: Ledger, name: str, *, slots: int = 2) -> None:
        self.name = f"http://{name}.invalid"
        self._client = DistbuildClient(client)
        self._ledger = ledger
        self._slots = slots
        self._done: dict[str, JobSpec] = {}

    async def work_forever(self) -> None:
        while True:
            await persist(self.beat)

    async def beat(self, *, wait_seconds: float = HELD_SECONDS) -> None:
        """Report once; what is answered is done at once."""
        reported = dict(self._done)
        report = HeartbeatRequest(
            worker_id=self.name,
            session=self.name,
            slots=self._slots,
            free_slots=self._slots,
            running_jobs=(),
            finished_job=tuple(_result(job) for job in reported.values()),
        )
        answer = await self._client.heartbeat(report, wait_seconds=wait_seconds)
        self._ledger.results |= reported.keys()
        self._done = {lease: job for lease, job in self._done.items() if lease not in reported}
        for job in answer.jobs_to_run.values():
            self._ledger.given[job.lease] = (self.name, job.id)
            self._done[job.lease] = job
        self._ledger.note()


def _result(job: JobSpec) -> JobResult:
    return JobResult(id=job.id, lease=job.lease, stdout=encode_bytes(job.name.encode()))


class Customer:
    """Has small builds made, each of two jobs and a source file."""

    def __init__(self, client: wire.Client, ledger: Ledger, name: str) -> None:
        self._client = DistbuildClient(client)
        self._ledger = ledger
        self._name = name
        self._builds = 0

    async def order_forever(self) -> None:
        while True:
            self._builds += 1
            for step in self.steps(f"{self._name}-{self._builds}"):
                await persist(step)

    def steps(self, key: str, *, then: SignalRequest = UPLOADED) -> list[Callable[[], Awaitable[None]]]:
        """One build, step by step; each may be repeated until it is acknowledged."""
        content = f"{key}\n".encode()
        source = source_id("source", content)

        async def start() -> None:
            request = BuildRequest(graph=_graph(key, source), name=key)
            async with self._client.start_build(request, on_disconnect_continue=True, key=key) as stream:
                self._ledger.builds[key] = stream.started.id
            self._ledger.note()

        async def upload() -> None:
            await self._client.upload_file(source, content)
            self._ledger.sources[source] = content
            self._ledger.note()

        async def signal() -> None:
            build = self._ledger.builds[key]
            try:
                await self._client.signal(build, then)
            except wire.Refused as refusal:
                if "has succeeded" not in refusal.text:  # it has worked before, and nobody heard
                    raise
            else:
                self._ledger.signals.append((build, "cancel" if then.cancel else "upload-done"))
            self._ledger.note()

        return [start, upload, signal]


def _graph(key: str, source: str) -> Graph:
    first, second = (source_id(f"{key}/{name}", b"") for name in ("first", "second"))
    return Graph(
        source_files={source: "source"},
        jobs=(
            Job(id=first, name=f"{key}/first", inputs=("source",), cmds=(Cmd(exec=("true",)),)),
            Job(id=second, name=f"{key}/second", deps=(first,), cmds=(Cmd(exec=("true",)),)),
        ),
    )


async def persist(attempt: Callable[[], Awaitable[T]]) -> T:
    """Again and again, and soon: whoever backs off is no load."""
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            try:
                return await attempt()
            except wire.Unreachable:
                await trio.sleep(RETRY_SECONDS)


def short_run(client: wire.Client, ledger: Ledger, name: str) -> list[Callable[[], Awaitable[None]]]:
    """A little of everything, one after the other: a build to its end, another one cancelled."""
    worker, customer = Worker(client, ledger, name), Customer(client, ledger, name)

    async def beat() -> None:
        await worker.beat(wait_seconds=0.0)

    cancel = SignalRequest(cancel=Cancel(reason="enough"))
    return [
        beat,
        *customer.steps(f"{name}-made"),
        beat,
        beat,
        beat,
        *customer.steps(f"{name}-unwanted", then=cancel),
        beat,
    ]
