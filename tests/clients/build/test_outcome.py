"""What a build's records add up to."""

import pytest

from clients.build.outcome import Tally, Verdict
from clients.distbuild import Job
from clients.live import Line
from events.ids import JobId, Position

A, B = JobId("a" * 40), JobId("b" * 40)


def tally(*lines: tuple[str, dict[str, object]]) -> Tally:
    tally = Tally([Job(id=A, name="a")])
    for kind, fields in lines:
        tally.add(Line(position=Position(1), at=0.0, type=kind, fields=fields))
    return tally


def failed(job: JobId, error: str) -> tuple[str, dict[str, object]]:
    return "JobFailed", {"job": job, "exit_code": 1, "error": error}


END: tuple[str, dict[str, object]] = ("BuildFailed", {"error": "jobs failed"})


def test_without_an_end_nothing_is_known() -> None:
    """Succeeded jobs alone make no success."""
    assert tally(("JobSucceeded", {"job": A})).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "verdict"), [("BuildSucceeded", Verdict.SUCCEEDED), ("BuildCancelled", Verdict.CANCELLED)]
)
def test_the_last_record_says_it(kind: str, verdict: Verdict) -> None:
    """The verdict is the terminal record's, its reason too."""
    found = tally((kind, {"reason": "why"}))
    assert found.verdict is verdict
    assert found.reason == ("why" if kind == "BuildCancelled" else "")


def test_timed_out_is_when_nothing_else_failed() -> None:
    """A build timed out if time limits are all that its jobs failed by."""
    late = failed(A, "timed out after 5 s")
    assert tally(late, END).verdict is Verdict.TIMED_OUT
    assert tally(late, failed(B, "exit status 1"), END).verdict is Verdict.FAILED
    assert tally(END).verdict is Verdict.FAILED


def test_a_reopened_job_has_not_succeeded() -> None:
    """Its artifact was lost; there is nothing to fetch until it succeeds again."""
    found = tally(("JobReused", {"job": A}), ("JobSucceeded", {"job": B}), ("JobReopened", {"job": A}))
    assert found.succeeded == {B}


def test_failed_jobs_with_their_output() -> None:
    """Output where it is known, names where the graph has them, and no trust in odd fields."""
    found = tally(failed(A, "no"), ("JobFailed", {"job": B, "exit_code": "7"}))
    first, second = found.failed_jobs({A: (b"out", b"err")})
    assert (first.id, first.name, first.exit_code, first.error) == (A, "a", 1, "no")
    assert (first.stdout, first.stderr) == (b"out", b"err")
    assert (second.name, second.exit_code, second.error, second.stderr) == ("", 0, "", b"")


def test_records_of_a_newer_coordinator_are_passed_over() -> None:
    """Kinds that are not known here change nothing."""
    assert tally(("JobPaused", {"job": A})).verdict is Verdict.UNKNOWN
