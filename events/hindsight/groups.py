"""Where each command begins in the log: its records stand together, and the first is an input fact.

The types alone say which facts are that. In logs from before there was `WorkerRestarted`, what a worker's
restart led to stood first; there its time tells it from what is before, or else the shape of a restart.
"""

from collections.abc import Iterable, Iterator, Sequence

from events.catalog import (
    BuildForgotten,
    BuildPrioritised,
    BuildStarted,
    ContainerStarted,
    CoordinatorStalled,
    CoordinatorStarted,
    Event,
    FileDropped,
    FileStored,
    HealthCheckFailed,
    HeartbeatReceived,
    JobBlocked,
    JobReleased,
    LeaseHeard,
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
    WorkerJoined,
    WorkerLost,
    WorkerRestarted,
    WorkersHeard,
    WorkRequested,
)
from events.ids import WorkerId

# What a command's records begin with. `WorkerJoined` may follow a restart, `HeartbeatReceived` follows it.
INPUTS: tuple[type[Event], ...] = (
    CoordinatorStarted,
    CoordinatorStalled,
    TimePassed,
    WorkerRestarted,
    WorkerJoined,
    HeartbeatReceived,
    ContainerStarted,
    HealthCheckFailed,
    WorkersHeard,
    WorkRequested,
    LeaseHeard,
    SourceStored,
    SourceDropped,
    FileStored,
    FileDropped,
    OutputsKept,
    BuildStarted,
    BuildPrioritised,
    SignalReceived,
    BuildForgotten,
    WorkerForgotten,
    ResultsForgotten,
    RequestLogged,
    RequestPublished,
    RequestFinished,
)


def groups(records: Iterable[Record]) -> Iterator[list[Record]]:
    """The records of one command after the other; the last may be cut off where the records are."""
    group: list[Record] = []
    for record in records:
        if group and _begins(record, group):
            yield from _apart(group)
            group = []
        group.append(record)
    if group:
        yield from _apart(group)


def _begins(record: Record, group: Sequence[Record]) -> bool:
    """Is the record the first of the next command?"""
    event, before = record.event, group[-1]
    match event:
        case HeartbeatReceived():
            return not (isinstance(before.event, WorkerJoined) and before.event.worker == event.worker)
        case WorkerJoined():
            return not _restarts(group, event.worker)
        case _:
            return isinstance(event, INPUTS) or record.at != before.at


def _restarts(group: Sequence[Record], worker: WorkerId) -> bool:
    """Was the worker lost because it restarted, and has not joined since?"""
    for record in reversed(group):
        match record.event:
            case WorkerLost(worker=lost, reason="restarted") if lost == worker:
                return True
            case WorkerJoined(worker=joined) if joined == worker:
                return False
            case _:
                pass
    return False


def _apart(group: list[Record]) -> Iterator[list[Record]]:
    """The commands of a group into which restarts ran that nothing announced."""
    begun = 0
    for place, record in enumerate(group):
        if _is_unannounced(record.event, group[begun:place]):
            start = place
            while _is_given_up(group[start - 1].event):
                start -= 1
            yield group[begun:start]
            begun = start
    yield group[begun:]


def _is_unannounced(event: Event, before: Sequence[Record]) -> bool:
    """Is this a restart in the midst of another command?"""
    if not (isinstance(event, WorkerLost) and event.reason == "restarted"):
        return False
    inputs = [record.event for record in before if isinstance(record.event, INPUTS)]
    return bool(inputs) and not isinstance(inputs[0], WorkerRestarted)


def _is_given_up(event: Event) -> bool:
    return isinstance(event, JobBlocked) or (isinstance(event, JobReleased) and event.reason == "worker-lost")
