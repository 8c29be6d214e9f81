"""What ran: a run for each lease, whatever became of it."""

import pytest

from events.catalog import JobFailed, JobLeased, Record
from events.codec import decode
from events.hindsight.runs import RUNNING, Run, runs
from events.log import MemoryLog, Subject, read_all
from tests.events.story import BUILD, OTHER, A, B, C, lease_id
from tests.golden.scenarios import HERE

LOGS = sorted(path.stem for path in HERE.glob("*.jsonl"))


def history(name: str) -> list[Record]:
    return [decode(line) for line in (HERE / f"{name}.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize("name", LOGS)
def test_each_lease_is_one_run(name: str) -> None:
    """Neither more nor less, at every point of the log."""
    records = history(name)
    for end in range(len(records)):
        leased = [r.position for r in records[:end] if isinstance(r.event, JobLeased)]
        assert sorted(run.position for run in runs(records[:end])) == leased


@pytest.mark.parametrize("name", LOGS)
def test_failures_are_runs_that_failed(name: str) -> None:
    """With the worker's own words. What failed in another build did not run."""
    records = history(name)
    leased = {(r.event.build, r.event.lease) for r in records if isinstance(r.event, JobLeased)}
    ended = [r.event for r in records if isinstance(r.event, JobFailed)]
    failed = [(event.lease, event.error) for event in ended if (event.build, event.lease) in leased]
    assert [(run.lease, run.error) for run in runs(records) if run.result == "failed"] == failed


def test_a_run_says_what_where_and_how() -> None:
    """In the order of their ends, the unfinished last."""
    records = history("builds_fail_and_are_cancelled")
    found = list(runs(records[:36]))
    assert [(run.job, run.result) for run in found] == [
        (A, "failed"),
        (C, "cancelled"),
        (A, RUNNING),
        (C, RUNNING),
    ]
    started, ended = records[15], records[18]
    assert isinstance(started.event, JobLeased)
    assert found[0] == Run(
        position=started.position,
        build=BUILD,
        job=A,
        name="a",
        lease=lease_id(1),
        worker=started.event.worker,
        attempt=1,
        reason="first-come",
        commands=found[0].commands,
        started_at=started.at,
        ended_at=ended.at,
        result="failed",
        exit_code=1,
        error="exit status 1",
    )
    assert found[0].commands[0].exec == ("echo", "a")
    assert (found[1].error, found[1].exit_code) == ("build-failed", None)
    assert found[2].ended_at is None


def test_the_runs_of_one_build() -> None:
    """Its own records are enough; a shared lease is a run of each build."""
    log = MemoryLog()
    log.append(history("two_builds_share_and_reuse"))
    found = list(runs(entry.record for entry in read_all(log, subject=Subject.build(OTHER))))
    assert [(run.job, run.reason, run.result) for run in found] == [
        (A, "shared", "succeeded"),
        (B, "shared", "succeeded"),
    ]
