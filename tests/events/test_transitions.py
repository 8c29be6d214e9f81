"""The tables are total, and what they do not allow is a bug that is told for what it is."""

import json
from enum import StrEnum
from typing import Any

import pytest

from events.catalog import EVENTS, BuildSucceeded, JobLeased
from events.ids import BuildId, JobId, LeaseId, WorkerId
from events.transitions import (
    BUILD,
    BUILD_ENDED,
    JOB,
    JOB_ENDED,
    REQUEST,
    REQUEST_ENDED,
    BuildStatus,
    IllegalTransition,
    JobStatus,
    RequestStatus,
    as_json,
    next_status,
)

LEASED = JobLeased(
    build=BuildId("b"), job=JobId("j"), lease=LeaseId("l"), worker=WorkerId("w"), attempt=1, reason="r"
)
TABLES: list[tuple[Any, type[StrEnum], str]] = [
    (JOB, JobStatus, "Job"),
    (BUILD, BuildStatus, "Build"),
    (REQUEST, RequestStatus, "Request"),
]


@pytest.mark.parametrize(("table", "statuses", "_prefix"), TABLES)
def test_every_status_has_its_row(table: Any, statuses: type[StrEnum], _prefix: str) -> None:
    """And every status but the first can be reached."""
    assert list(table) == list(statuses)
    reached = {after for row in table.values() for after in row.values()}
    assert set(statuses) - {next(iter(statuses))} <= reached


@pytest.mark.parametrize(("table", "_statuses", "prefix"), TABLES)
def test_events_speak_of_their_own_kind(table: Any, _statuses: type[StrEnum], prefix: str) -> None:
    """A job's status is changed by events about jobs; sources make builds ready."""
    names = {cls.__name__ for row in table.values() for cls in row}
    assert {name for name in names if not name.startswith(prefix)} <= {"SourcesReady"}


def test_every_job_event_is_in_the_table() -> None:
    """But for the one that adds the job."""
    walked = {cls.__name__ for row in JOB.values() for cls in row}
    assert walked == {name for name in EVENTS if name.startswith("Job")} - {"JobAdded"}


def test_every_request_event_is_in_the_table() -> None:
    """But for the one that logs it."""
    walked = {cls.__name__ for row in REQUEST.values() for cls in row}
    assert walked == {name for name in EVENTS if name.startswith("Request")} - {"RequestLogged"}


@pytest.mark.parametrize(("table", "_statuses", "_prefix"), TABLES)
def test_the_type_alone_decides(table: Any, _statuses: type[StrEnum], _prefix: str) -> None:
    """One event leads to one status, wherever it comes from."""
    for cls in {cls for row in table.values() for cls in row}:
        assert len({row[cls] for row in table.values() if cls in row}) == 1


def test_what_has_ended_stays_so() -> None:
    """But for a success whose artifact is lost before the build ends."""
    assert all(not BUILD[status] for status in BUILD_ENDED)
    assert all(not REQUEST[status] for status in REQUEST_ENDED)
    assert {status for status in JOB_ENDED if JOB[status]} == {JobStatus.SUCCEEDED}
    assert [cls.__name__ for cls in JOB[JobStatus.SUCCEEDED]] == ["JobReopened"]


def test_an_allowed_event_gives_the_next_status() -> None:
    """As the table says."""
    assert next_status(JOB, JobStatus.QUEUED, LEASED, "j") is JobStatus.RUNNING


@pytest.mark.parametrize("status", [status for status in JobStatus if status is not JobStatus.QUEUED])
def test_any_other_is_a_bug(status: JobStatus) -> None:
    """The text names the thing, its status and the event."""
    with pytest.raises(IllegalTransition, match=f"j is {status}; JobLeased cannot follow: .*worker='w'"):
        next_status(JOB, status, LEASED, "j")


def test_a_build_does_not_follow_jobs_events() -> None:
    """Nor do jobs follow builds'."""
    with pytest.raises(IllegalTransition):
        next_status(JOB, JobStatus.RUNNING, BuildSucceeded(build=BuildId("b")), "j")


def test_the_browser_gets_the_same_tables() -> None:
    """As plain JSON."""
    tables = json.loads(json.dumps(as_json()))
    assert tables["job"]["queued"]["JobLeased"] == "running"
    assert tables["build"]["succeeded"] == {}
    assert {kind: sum(len(row) for row in table.values()) for kind, table in tables.items()} == {
        "job": sum(len(row) for row in JOB.values()),
        "build": sum(len(row) for row in BUILD.values()),
        "request": sum(len(row) for row in REQUEST.values()),
    }
