"""What may follow what. Every change of a status goes through these tables, and nothing else does.

`fold` looks the next status up here; an absent entry is a bug and raises `IllegalTransition`. The
browser gets the same tables as JSON, the diagrams in the README are drawn from them, and a test demands
that recorded logs walk every edge.

A succeeded job is final once its build has ended; until then the loss of its artifact reopens it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias, TypeVar

from events.catalog import (
    BuildCancelled,
    BuildFailed,
    BuildSucceeded,
    Event,
    JobBlocked,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobQueued,
    JobReleased,
    JobReopened,
    JobReused,
    JobSucceeded,
    RequestFinished,
    RequestPublished,
    SourcesReady,
)


class JobStatus(StrEnum):
    BLOCKED = "blocked"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BuildStatus(StrEnum):
    UPLOADING = "uploading"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RequestStatus(StrEnum):
    LOGGED = "logged"
    PUBLISHED = "published"
    FINISHED = "finished"


S = TypeVar("S", bound=StrEnum)
Table: TypeAlias = Mapping[S, Mapping[type[Event], S]]

JOB: Table[JobStatus] = {
    JobStatus.BLOCKED: {
        JobQueued: JobStatus.QUEUED,
        JobReused: JobStatus.SUCCEEDED,
        JobFailed: JobStatus.FAILED,
        JobCancelled: JobStatus.CANCELLED,
    },
    JobStatus.QUEUED: {
        JobLeased: JobStatus.RUNNING,
        JobReused: JobStatus.SUCCEEDED,
        JobBlocked: JobStatus.BLOCKED,
        JobCancelled: JobStatus.CANCELLED,
    },
    JobStatus.RUNNING: {
        JobSucceeded: JobStatus.SUCCEEDED,
        JobFailed: JobStatus.FAILED,
        JobReleased: JobStatus.QUEUED,
        JobCancelled: JobStatus.CANCELLED,
    },
    JobStatus.SUCCEEDED: {JobReopened: JobStatus.BLOCKED},
    JobStatus.FAILED: {},
    JobStatus.CANCELLED: {},
}

BUILD: Table[BuildStatus] = {
    BuildStatus.UPLOADING: {
        SourcesReady: BuildStatus.RUNNING,
        BuildCancelled: BuildStatus.CANCELLED,
    },
    BuildStatus.RUNNING: {
        BuildSucceeded: BuildStatus.SUCCEEDED,
        BuildFailed: BuildStatus.FAILED,
        BuildCancelled: BuildStatus.CANCELLED,
    },
    BuildStatus.SUCCEEDED: {},
    BuildStatus.FAILED: {},
    BuildStatus.CANCELLED: {},
}

REQUEST: Table[RequestStatus] = {
    RequestStatus.LOGGED: {
        RequestPublished: RequestStatus.PUBLISHED,
        RequestFinished: RequestStatus.FINISHED,
    },
    RequestStatus.PUBLISHED: {RequestFinished: RequestStatus.FINISHED},
    RequestStatus.FINISHED: {},
}

JOB_ENDED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})
REQUEST_ENDED = frozenset({RequestStatus.FINISHED})
BUILD_ENDED = frozenset({BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.CANCELLED})


class IllegalTransition(AssertionError):
    """A bug: an event that the table does not allow. The text names the thing, its status and the event."""


def next_status(table: Table[S], status: S, event: Event, subject: str) -> S:
    """The status after `event`; raises `IllegalTransition`."""
    after = table[status].get(type(event))
    if after is None:
        raise IllegalTransition(f"{subject} is {status}; {type(event).__name__} cannot follow: {event}")
    return after


def as_json() -> dict[str, dict[str, dict[str, str]]]:
    """The tables as plain values: `{"job": {status: {event type: status}}, "build": …, "request": …}`."""
    return {"job": _plain(JOB), "build": _plain(BUILD), "request": _plain(REQUEST)}


def _plain(table: Table[S]) -> dict[str, dict[str, str]]:
    return {
        str(status): {cls.__name__: str(after) for cls, after in row.items()} for status, row in table.items()
    }
