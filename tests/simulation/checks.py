"""What must hold after every durable batch, of everything that leaves the coordinator, and in the end."""

import re
from collections.abc import Sequence

from attrs import define, field

from coordinator.journal import Journal
from events.catalog import (
    BuildCancelled,
    BuildFailed,
    BuildForgotten,
    BuildPrioritised,
    BuildStarted,
    BuildSucceeded,
    ContainerStarted,
    CoordinatorStalled,
    CoordinatorStarted,
    FileDropped,
    FileStored,
    HealthCheckFailed,
    HeartbeatReceived,
    JobBlocked,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobReleased,
    JobReopened,
    JobSucceeded,
    OutputsKept,
    Record,
    RequestFinished,
    RequestLogged,
    RequestPublished,
    ResultsForgotten,
    SignalReceived,
    SourceDropped,
    SourceStored,
    TimePassed,
    WorkerForgotten,
    WorkersHeard,
    WorkRequested,
)
from events.digest import digest
from events.fold import fold, replay
from events.ids import BuildId, JobId, LeaseId
from events.log import Entry, verify
from events.state import State
from events.transitions import JobStatus
from events.validate import validate
from tests.simulation.disk import Disk
from tests.simulation.hosts import COORDINATOR, LIAR
from tests.simulation.sometimes import Hits

_POSITION = re.compile(rb'"position":(\d+)')
_SECRET = re.compile(rb"(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{40})(?![0-9a-f])")
_TERMINAL = (BuildSucceeded, BuildFailed, BuildCancelled)
# The live state is compared with the replayed one after so many batches, and at each start.
COMPARE_EVERY = 10


# With these, a command's records begin.
INPUTS = (
    BuildForgotten,
    BuildPrioritised,
    BuildStarted,
    ContainerStarted,
    CoordinatorStalled,
    CoordinatorStarted,
    FileDropped,
    FileStored,
    HealthCheckFailed,
    HeartbeatReceived,
    OutputsKept,
    RequestFinished,
    RequestLogged,
    RequestPublished,
    ResultsForgotten,
    SignalReceived,
    SourceDropped,
    SourceStored,
    TimePassed,
    WorkerForgotten,
    WorkersHeard,
    WorkRequested,
)


class Violated(AssertionError):
    """The farm did what it must never do."""


def require(condition: object, what: str) -> None:
    if not condition:
        raise Violated(what)


@define(eq=False, kw_only=True)
class Checks:
    """An account of its own of what is durable, kept from nothing but the log."""

    hits: Hits
    disk: Disk = field(init=False)
    shadow: State = field(factory=State)
    journal: Journal | None = None
    # What went wrong, for code that may not raise.
    violations: list[Violated] = field(factory=list)
    commands: int = 0
    # Leases that a liar held and said to have succeeded: about its own it is believed.
    lies: set[LeaseId] = field(factory=set)
    _batches: int = 0
    _attempts: dict[tuple[BuildId, JobId], int] = field(factory=dict)
    _leases: dict[tuple[BuildId, JobId], LeaseId] = field(factory=dict)
    _given: set[LeaseId] = field(factory=set)
    _ended: dict[BuildId, None] = field(factory=dict)
    _keys: dict[str, BuildId] = field(factory=dict)
    _told: set[bytes] = field(factory=set)

    # --- after every batch

    def on_commit(self, entries: Sequence[Entry]) -> None:
        """A batch is durable."""
        heartbeat: HeartbeatReceived | None = None
        for entry in entries:
            record = entry.record
            self._told.update(_SECRET.findall(entry.text))
            if isinstance(record.event, HeartbeatReceived):
                heartbeat = record.event
            self.commands += isinstance(record.event, INPUTS)
            self._watch(record, heartbeat)
            fold(self.shadow, record)
            self.hits.record(record)
        self._batches += 1
        if any(
            not isinstance(e.record.event, HeartbeatReceived | WorkRequested | TimePassed) for e in entries
        ):
            validate(self.shadow)
            running = self.shadow.running
            require(len(running) == len(self.shadow.leases), f"two leases for one work: {running}")
        if not self._batches % COMPARE_EVERY:
            self.compare()

    def compare(self) -> None:
        """What the coordinator thinks is what its log says, to the order of every dict."""
        live = self.journal.state if self.journal is not None else None
        if live is not None and live.position == self.shadow.position:
            require(digest(live) == digest(self.shadow), "the live state is not the log's")

    def on_open(self, journal: Journal) -> None:
        """A coordinator starts: the log is whole, and its replay is what was folded as it grew."""
        self.journal = journal
        entries = self.disk.entries
        verify(entries)
        replayed = replay(entry.record for entry in entries)
        require(digest(replayed) == digest(self.shadow), "replay gives another state")
        if entries:
            self.hits.path("the log is replayed at a restart")

    def _watch(self, record: Record, heartbeat: HeartbeatReceived | None) -> None:
        event = record.event
        build = getattr(event, "build", None)
        if build in self._ended:
            require(isinstance(event, BuildForgotten | OutputsKept), f"after the end of its build: {record}")
        match event:
            case BuildStarted():
                require(event.key not in self._keys, f"a key starts a second build: {record}")
                if event.key:
                    self._keys[event.key] = event.build
            case JobLeased():
                self._watch_lease(record, event)
            case JobSucceeded():
                self._watch_end(record, event.build, event.job, event.lease)
                said = heartbeat.finished if heartbeat is not None else ()
                require(event.lease in said, f"nobody said that this lease has succeeded: {record}")
                holder = self.shadow.leases[event.lease].worker
                require(heartbeat and heartbeat.worker == holder, f"another worker ends a lease: {record}")
                if holder == f"http://{LIAR}":
                    self.lies.add(event.lease)
            case JobFailed() | JobReleased():
                self._watch_end(record, event.build, event.job, event.lease)
            case JobCancelled():
                self._leases.pop((event.build, event.job), None)
            case BuildSucceeded() | BuildFailed() | BuildCancelled():
                left = [key for key in self._leases if key[0] == event.build]
                require(not left, f"leases outlive their build: {left}, {record}")
                self._ended[event.build] = None
            case JobBlocked() | JobReopened():
                require((event.build, event.job) not in self._leases, f"it is being run: {record}")
            case _:
                pass

    def _watch_lease(self, record: Record, event: JobLeased) -> None:
        key = event.build, event.job
        require(key not in self._leases, f"the job is leased already: {record}")
        attempt = self._attempts.get(key, 0) + 1
        require(event.attempt == attempt, f"this should be attempt {attempt}: {record}")
        if event.reason != "shared":
            require(event.lease not in self._given, f"a lease's id is given again: {record}")
        self._given.add(event.lease)
        self._attempts[key], self._leases[key] = attempt, event.lease
        graph = self.shadow.graphs[event.build]
        for dep in graph.jobs[event.job].spec.deps:
            job = graph.jobs[dep]
            require(job.status is JobStatus.SUCCEEDED, f"{dep} has not succeeded: {record}")
            require(self.shadow.locate(dep, job.digest), f"nobody holds {dep}: {record}")

    def _watch_end(self, record: Record, build: BuildId, job: JobId, lease: LeaseId) -> None:
        require(self._leases.pop((build, job), None) == lease, f"this lease is not live: {record}")

    # --- of everything that leaves the coordinator

    def on_answer(self, host: str, data: bytes) -> None:
        """Bytes leave: nothing in them may rest on what a crash could undo."""
        if host != COORDINATOR:
            return
        self.hits.answer(data)
        try:
            head = self.disk.head
            ahead = [found for found in _POSITION.findall(data) if int(found) > head]
            require(not ahead, f"positions {ahead} are told, {head} is the last on disk")
            if not data.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")):
                unknown = [found for found in _SECRET.findall(data) if found not in self._told]
                require(not unknown, f"ids {unknown} are told before they are on disk: {data[:300]!r}")
            require(not data.startswith(b"HTTP/1.1 500"), f"a bug was met: {data[-300:]!r}")
        except Violated as violation:
            self.violations.append(violation)

    def raise_if_violated(self) -> None:
        if self.violations:
            raise self.violations[0]
