"""The view says what the records say, by the coordinator's own tables."""

import pytest

from clients.cli.view import BuildView
from clients.codec import Malformed
from clients.distbuild import Graph, Job
from clients.live import Line
from events import catalog
from events.transitions import BuildStatus, JobStatus
from tests.clients.cli.stories import BEGUN, BUILD, FAILED, SUCCEEDED, A, B, C, line, view_of


def test_a_running_build() -> None:
    """Statuses, counts and what runs follow the records."""
    view = view_of(BEGUN)
    assert (view.name, view.status, view.jobs_total, view.started_at) == (
        "nightly",
        BuildStatus.RUNNING,
        3,
        1.0,
    )
    assert {job.label: job.status for job in view.jobs.values()} == {
        "compile": JobStatus.RUNNING,
        "link": JobStatus.BLOCKED,
        "docs": JobStatus.QUEUED,
    }
    assert +view.counts == {JobStatus.RUNNING: 1, JobStatus.BLOCKED: 1, JobStatus.QUEUED: 1}
    assert list(view.running) == [A]
    assert (view.jobs[A].worker, view.jobs[A].started_at, view.jobs[C].queued_at) == ("http://w1:1", 9.0, 8.0)
    assert not view.has_ended


def test_a_build_that_failed_after_a_retry() -> None:
    """The last attempt counts, and the one that was lost is not forgotten."""
    view = view_of(FAILED)
    job = view.jobs[A]
    assert (job.status, job.exit_code, job.error, job.attempt) == (JobStatus.FAILED, 3, "exit status 3", 2)
    assert (job.seconds, job.stderr_bytes, view.releases) == (9.0, 9, 1)
    assert (view.status, view.reason, view.ended_at) == (
        BuildStatus.FAILED,
        "job compile failed: exit status 3",
        23.0,
    )
    assert (view.jobs_ended, view.running) == (3, {})


def test_a_reused_job_took_no_time() -> None:
    """It is counted apart, and what it would have taken is unknown."""
    view = view_of(SUCCEEDED)
    assert (view.reused, view.jobs[B].is_reused, view.jobs[B].seconds) == (1, True, 0.0)
    assert view.status is BuildStatus.SUCCEEDED


def test_a_reopened_job_has_not_ended() -> None:
    """When its artifact was lost a job starts from the beginning, with nothing of its first life."""
    view = view_of([*SUCCEEDED[:-1], line(31, "JobReopened", job=A, reason="artifact-lost")])
    job = view.jobs[A]
    assert (job.status, job.started_at, job.ended_at, job.seconds) == (JobStatus.BLOCKED, None, None, 0.0)
    assert view.jobs_ended == 2


def test_a_record_counts_once() -> None:
    """What the stream repeats changes nothing."""
    view = view_of(BEGUN)
    before = repr(view)
    assert view.fold(BEGUN[-1]) is None
    assert repr(view) == before


@pytest.mark.parametrize(
    "record",
    [
        line(10, "JobSucceeded", job=C, lease="2" * 32),
        line(10, "JobLeased", job="00" * 20, worker="w", attempt=1),
        line(10, "SourcesReady"),
        line(10, "JobQueued"),
    ],
)
def test_what_cannot_follow_is_refused(record: Line) -> None:
    """The view never guesses; the complaint names the record."""
    with pytest.raises(Malformed, match=rf"the record 10 \({record.type}\) is not understood"):
        view_of([*BEGUN, record])


def test_records_of_other_things_change_nothing() -> None:
    """Kinds that move no status are taken in silence, also ones that a later version may add."""
    view = view_of(BEGUN)
    for position, kind in enumerate([*catalog.EVENTS, "SomethingNew"], start=10):
        if kind in ("SourcesDeclared", "SignalReceived", "BuildForgotten", "SomethingNew"):
            assert view.fold(line(position, kind)) is None
    assert view.counts == view_of(BEGUN).counts


def test_a_foreign_coordinator_tells_only_ends() -> None:
    """What must have come before an end is taken as given, in any order that the graph allows."""
    graph = Graph(jobs=(Job(id=A, name="compile"), Job(id=B, name="link", deps=(A,))))
    view = BuildView.of_foreign(BUILD, graph, name="n", started_at=1.0)
    for record in (
        line(0, "JobSucceeded", at=5.0, job=A),
        line(0, "JobFailed", at=6.0, job=B, exit_code=1, error="no"),
        line(0, "BuildFailed", at=6.0, error="no"),
    ):
        view.fold(record)
    assert [job.status for job in view.jobs.values()] == [JobStatus.SUCCEEDED, JobStatus.FAILED]
    assert (view.status, view.jobs_ended, view.jobs[A].worker, view.jobs[A].seconds) == (
        BuildStatus.FAILED,
        2,
        "",
        0.0,
    )
