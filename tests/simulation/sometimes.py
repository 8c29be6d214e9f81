"""What has to happen at least once in a run of many seeds, or the run proves less than it seems to.

A simulation that never meets a rare state says nothing about it. So each fault, each way to recover, each
reason and each refusal that a farm can meet is counted, and one that was never met is a failure.
"""

import re
from collections import Counter

from attrs import Factory, define

from events.catalog import EVENTS, HeartbeatReceived, JobFailed, JobLeased, Record
from events.errors import (
    ATTEMPT_UNKNOWN,
    BUILD_FORGOTTEN,
    CATALOG,
    DIGEST_DIFFERS,
    FILE_GONE,
    FILE_IN_USE,
    FILE_UNKNOWN,
    HISTORY_ARCHIVED,
    INTERNAL,
    JOB_CANCELLED,
    NOT_YOURS,
    READ_ONLY,
    REQUEST_UNKNOWN,
    REQUESTS_OPEN,
    SOURCE_IN_USE,
    UNSOUND,
)
from tests.simulation.options import FAULTS

_STATUS = re.compile(rb"HTTP/1\.1 [45]")
# How jobs fail here: words of the error, and what that shows.
FAILURES = {
    "exit status": "a job fails",
    "signal:": "a job is killed by a signal",
    "executable file not found": "a command cannot be started",
    "timed out": "a job takes too long",
    "lost its worker": "a job that keeps losing its workers is given up",
    "worker: the reaper": "a reaper is lost",
}
PATHS = (
    "a client is killed and comes back",
    "a heartbeat says nothing of what runs",
    "a job runs again",
    "a key finds its build again",
    "a lease that did not arrive is given again",
    "a stray result changes nothing",
    "a torn output file is left by a power cut",
    "a watcher comes back",
    "an artifact is not there any more when it is fetched",
    "artifacts are fetched and are what they must be",
    "the coordinator dies after a commit",
    "the coordinator dies before a commit",
    "the disk is full, and then it is not",
    "the log is replayed at a restart",
    *FAILURES.values(),
)
# Reason codes that say who or what is meant are counted by how they begin.
REASONS = {
    "JobLeased": (
        "holds-result",
        "holds-dependency",
        "first-come",
        "waited-for-dependency",
        "waited-for-result",
        "shared",
    ),
    "WorkerLost": ("silent", "restarted", "left"),
    "ArtifactDropped": ("evicted", "not to be had"),
    "JobQueued": ("artifact-gone", "result-unknown", "spec-changed"),
    "JobReleased": ("worker-lost", "lease-ran-out", "never-taken", "handed-back", "artifact-unavailable"),
    "JobReopened": ("artifact-lost", "artifact-replaced"),
    "JobBlocked": ("artifact-lost",),
    "JobCancelled": ("build-cancelled", "build-failed", "dependency-failed", "source-lost"),
    "BuildCancelled": ("its client went away",),
    "SourceDropped": ("missing on disk",),
}
# Nothing is forgotten or archived within the time that a run takes, no log is one that is only looked at, and
# nobody asks for one attempt's output or for typed jobs, stores files or has a container engine. Who stores
# other contents under an id in use is answered before it comes to that refusal, and the others are bugs.
NEVER_EVENTS = {
    "BuildForgotten",
    "BuildPrioritised",
    "ContainerFailed",
    "ContainerStarted",
    "FileDropped",
    "FileStored",
    "HealthCheckFailed",
    "LeaseHeard",
    "OutputsKept",
    "RequestFinished",
    "RequestLogged",
    "RequestPublished",
    "ResultsForgotten",
    "WorkerForgotten",
}
_NEVER = (
    ATTEMPT_UNKNOWN,
    BUILD_FORGOTTEN,
    DIGEST_DIFFERS,
    FILE_GONE,
    FILE_IN_USE,
    FILE_UNKNOWN,
    HISTORY_ARCHIVED,
    INTERNAL,
    JOB_CANCELLED,
    NOT_YOURS,
    READ_ONLY,
    REQUEST_UNKNOWN,
    REQUESTS_OPEN,
    SOURCE_IN_USE,
    UNSOUND,
)
NEVER_REFUSALS = {code.code for code in _NEVER}

EXPECTED = (
    *(f"event: {name}" for name in EVENTS if name not in NEVER_EVENTS),
    *(f"reason: {name} {reason}" for name, reasons in REASONS.items() for reason in reasons),
    *(f"refusal: {code}" for code in CATALOG if code not in NEVER_REFUSALS),
    *(f"fault: {name}" for name in FAULTS),
    *(f"path: {name}" for name in PATHS),
)


@define(eq=False)
class Hits:
    """How often each thing was met."""

    counts: Counter[str] = Factory(Counter)

    def fault(self, name: str) -> None:
        self.counts[f"fault: {name}"] += 1

    def path(self, name: str) -> None:
        assert name in PATHS, name
        self.counts[f"path: {name}"] += 1

    def record(self, record: Record) -> None:
        """What a durable record shows."""
        event = record.event
        name = type(event).__name__
        self.counts[f"event: {name}"] += 1
        reason = getattr(event, "reason", "")
        for known in REASONS.get(name, ()) if reason else ():
            if reason.startswith(known):
                self.counts[f"reason: {name} {known}"] += 1
        match event:
            case HeartbeatReceived():
                self._heartbeat(event)
            case JobLeased() if event.attempt > 1:
                self.path("a job runs again")
            case JobFailed():
                for words, path in FAILURES.items():
                    if words in event.error:
                        self.path(path)
            case _:
                pass

    def _heartbeat(self, event: HeartbeatReceived) -> None:
        if event.mute:
            self.path("a heartbeat says nothing of what runs")
        if event.strays:
            self.path("a stray result changes nothing")
        if event.unreported:
            self.path("a lease that did not arrive is given again")

    def answer(self, data: bytes) -> None:
        """What an answer shows that leaves the coordinator."""
        if _STATUS.match(data):
            for code in CATALOG.values():
                if code.code.encode() in data or code.title.encode() in data:
                    self.counts[f"refusal: {code.code}"] += 1


def missing(counts: Counter[str]) -> list[str]:
    """What had to happen and did not."""
    return [name for name in EXPECTED if not counts[name]]
