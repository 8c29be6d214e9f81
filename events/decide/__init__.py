"""From a wish to facts: `decide` answers every command, `execute` folds each fact before the next.

A decider is a generator: it refuses before its first yield, then yields the cause and its consequences
in reading order, each seeing a state in which the former have happened. Deciders are never needed for
replay, so they may use the time and the ids they are given; whatever they draw from there is in the
events.
"""

from collections.abc import Iterator
from typing import assert_never

from attrs import evolve

from events.catalog import Event, Record
from events.commands import (
    AnswerLease,
    CancelBuild,
    Command,
    DropFile,
    DropSource,
    FinishRequest,
    FinishUpload,
    ForgetBuild,
    ForgetResults,
    ForgetWorker,
    HearLease,
    Heartbeat,
    HearWorkers,
    KeepOutputs,
    LogRequest,
    PrioritiseBuild,
    PublishRequest,
    RegisterWorker,
    ReportContainer,
    ReportUnhealthy,
    RequestWork,
    ResumeAfterStall,
    ReturnLease,
    StartBuild,
    StartCoordinator,
    StoreFile,
    StoreSource,
    Tick,
)
from events.decide import (
    builds,
    containers,
    coordinator,
    files,
    quiet,
    requests,
    retention,
    sources,
    typed,
    workers,
)
from events.decide.context import Context
from events.errors import Rejected
from events.fold import fold
from events.ids import Position
from events.state import State

__all__ = ["Context", "decide", "execute"]


def execute(state: State, command: Command, context: Context) -> list[Record]:
    """Carry a command out on `state` and return its records; raises `Rejected` and then changes nothing.

    Time in the log never falls: a clock that was set back stands still until it has caught up.
    """
    records: list[Record] = []
    context = evolve(context, now=max(context.now, state.at))
    try:
        for event in decide(state, command, context):
            record = Record(Position(state.position + 1), context.now, event)
            fold(state, record)
            records.append(record)
    except Rejected:
        assert not records, f"{command} was rejected after its first fact"
        raise
    return records


def decide(state: State, command: Command, context: Context) -> Iterator[Event]:
    """The facts that follow from a command; raises `Rejected` before the first."""
    match command:
        case Heartbeat():
            return workers.heartbeat(state, command, context)
        case HearWorkers():
            return quiet.hear(state, command)
        case ReportContainer():
            return containers.report(state, command)
        case ReportUnhealthy():
            return containers.unhealthy(state, command)
        case RequestWork():
            return workers.request_work(state, command, context)
        case HearLease():
            return typed.hear(state, command, context)
        case AnswerLease():
            return typed.answer(state, command)
        case ReturnLease():
            return typed.hand_back(state, command)
        case RegisterWorker():
            return typed.register(state, command)
        case StartBuild():
            return builds.start(state, command, context)
        case PrioritiseBuild():
            return builds.prioritise(state, command)
        case FinishUpload():
            return builds.finish_upload(state, command)
        case CancelBuild():
            return builds.cancel(state, command)
        case ForgetBuild():
            return builds.forget(state, command)
        case ForgetWorker():
            return retention.forget_worker(state, command)
        case ForgetResults():
            return retention.forget_results(state, command)
        case StoreSource():
            return sources.store(state, command)
        case DropSource():
            return sources.drop(state, command)
        case StoreFile():
            return files.store(state, command, context)
        case DropFile():
            return files.drop(state, command)
        case KeepOutputs():
            return files.keep_outputs(state, command, context)
        case LogRequest():
            return requests.log(state, command)
        case PublishRequest():
            return requests.publish(state, command)
        case FinishRequest():
            return requests.finish(state, command)
        case Tick():
            return workers.tick(state, context)
        case StartCoordinator():
            return coordinator.start(state, command)
        case ResumeAfterStall():
            return coordinator.resume(command)
        case _:
            assert_never(command)
