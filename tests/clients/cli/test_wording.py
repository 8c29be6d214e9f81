"""What is said about a build: never nothing, and never more than fits."""

import io

import pytest

from clients.cli import wording
from clients.cli.view import BuildView
from clients.cli.wording import ASCII, Farm, Symbols
from clients.distbuild import Graph, Job
from tests.clients.cli.stories import BEGUN, FAILED, SUCCEEDED, A, B, C, line, view_of

URL = "http://c/?build=bb"
NORMAL = Symbols()


def said(view: BuildView, **tails: str) -> str:
    return "\n".join(wording.summary(view, url=URL, tails=tails, symbols=NORMAL))


def test_the_summary_of_a_success() -> None:
    """Result, wall time, counts and the chain that took longest."""
    assert said(view_of(SUCCEEDED)) == (
        "✓ build bbbbbbbb (nightly) succeeded in 30s\n  3 jobs: 2 done, 1 reused\n  http://c/?build=bb"
    )


def test_the_summary_of_a_failure() -> None:
    """Which job, why, the end of its output, what was lost on the way, and what to type next."""
    tails = {A: "one\ntwo\nthree\nfour\n"}
    assert "\n".join(wording.summary(view_of(FAILED), url=URL, tails=tails, symbols=ASCII)) == (
        "x build bbbbbbbb (nightly) failed in 22s: job compile failed: exit status 3\n"
        "  3 jobs: 1 failed, 2 cancelled; 1 attempt lost and made again\n"
        "  x compile: exit status 3\n"
        "    | two\n"
        "    | three\n"
        "    | four\n"
        "  next: terzetto output bbbbbbbb compile\n"
        "  http://c/?build=bb"
    )


def test_the_summary_is_short_however_much_went_wrong() -> None:
    """Hundreds of failures with long names and output stay within twelve lines, the address included."""
    jobs = [f"{number:040x}" for number in range(300)]
    lines = [
        line(1, "BuildStarted", jobs=300),
        *(line(n + 2, "JobAdded", job=job, name=f"j {n}") for n, job in enumerate(jobs)),
    ]
    lines.append(line(400, "SourcesReady"))
    for number, job in enumerate(jobs):
        at = 500 + 3 * number
        lines.append(line(at, "JobQueued", job=job))
        lines.append(line(at + 1, "JobLeased", job=job, worker="w", attempt=1))
        lines.append(line(at + 2, "JobFailed", job=job, exit_code=1, error="boom\nand more"))
    lines.append(line(9000, "BuildFailed", error="300 jobs failed"))
    summary = wording.summary(view_of(lines), url=URL, tails={jobs[0]: "x\n" * 99}, symbols=NORMAL)
    assert len(summary) <= 12
    assert summary[-1] == f"  {URL}"
    assert "  … and 298 more failed" in summary
    assert all("\n" not in text for text in summary)
    assert "  next: terzetto output bbbbbbbb 'j 0'" in summary


def test_the_critical_path() -> None:
    """Of all chains of jobs that needed one another, the one that took longest; reused jobs took nothing."""
    lines = [
        *BEGUN,
        line(10, "JobLeased", job=C, worker="w", attempt=1),
        line(15, "JobSucceeded", job=C),
        line(16, "JobSucceeded", job=A),
        line(17, "JobQueued", job=B),
        line(18, "JobLeased", job=B, worker="w", attempt=1),
        line(20, "JobSucceeded", job=B),
        line(21, "BuildSucceeded"),
    ]
    view = view_of(lines)
    assert [job.label for job in wording.critical_path(view)] == ["compile", "link"]
    assert "  critical path 9.0s: compile 7.0s → link 2.0s" in said(view)
    assert wording.critical_path(view_of(BEGUN)) == []


@pytest.mark.parametrize(
    ("farm", "text"),
    [
        (None, "queued 1: waiting for a free slot"),
        (Farm(workers=0, slots=0, busy=0), "queued 1: no worker is there; start one with `terzetto worker`"),
        (Farm(workers=2, slots=4, busy=4), "queued 1: waiting for a free slot: 4/4 busy"),
        (Farm(workers=2, slots=4, busy=1), "queued 1: waiting to be fetched by a worker: 1/4 busy"),
    ],
)
def test_why_it_waits(farm: Farm | None, text: str) -> None:
    """Every waiting job has a reason."""
    assert wording.waiting(view_of(BEGUN), farm) == f"{text} · blocked 1: waiting for dependencies"


def test_what_a_build_waits_for_before_and_after() -> None:
    """Before its sources are there it says so; once it has ended it waits for nothing."""
    assert wording.waiting(view_of(BEGUN[:5]), None) == "waiting for the source files"
    assert wording.waiting(view_of(SUCCEEDED), None) == ""
    foreign = BuildView.of_foreign("bb" * 20, Graph(jobs=(Job(id=A),)), name="", started_at=0.0)
    assert wording.waiting(foreign, None) == "waiting for jobs to end; this coordinator tells no more"


def test_each_change_in_words() -> None:
    """What becomes of a job, with where, when and why; what is no news is not said."""
    view, told = BuildView(id="bb" * 20), []
    for record in [*FAILED, *SUCCEEDED[len(BEGUN) :]][: len(FAILED)]:
        job = view.fold(record)
        if job is not None and (text := wording.change(job, record.type)):
            told.append(f"{job.label}: {text}")
    assert told == [
        "compile: running on w1:1",
        "compile: queued again: worker-lost",
        "compile: running on w2:1, attempt 2",
        "compile: failed: exit status 3 after 9.0s on w2:1",
    ]


@pytest.mark.parametrize(
    ("exit_code", "error", "text"),
    [
        (3, "exit status 3", "exit status 3"),
        (-1, "timed out", "timed out"),
        (1, "", "exit 1"),
        (9, "killed", "exit 9, killed"),
        (None, "lost", "lost"),
    ],
)
def test_why_a_job_failed(exit_code: int | None, error: str, text: str) -> None:
    """Exit code and error, but not the same thing twice."""
    job = view_of(FAILED).jobs[A]
    job.exit_code, job.error = exit_code, error
    assert wording.failure(job) == text


def test_marks_that_the_terminal_can_show() -> None:
    """Where the encoding has no check mark, plain characters stand for it."""
    assert wording.symbols_for(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")) == NORMAL
    assert wording.symbols_for(io.TextIOWrapper(io.BytesIO(), encoding="latin-1")) == ASCII
