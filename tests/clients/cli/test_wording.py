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


def said(view: BuildView, aim: str | None = "", symbols: Symbols = NORMAL) -> list[str]:
    return wording.summary(view, url=URL, aim=aim, coordinator="http://c", symbols=symbols)


def test_the_summary_of_a_success() -> None:
    """Result, wall time, counts by state, and where to look."""
    assert said(view_of(SUCCEEDED)) == [
        "✓ build bbbbbbbb (nightly) succeeded in 30s",
        "  3 jobs: 2 done, 1 reused",
        "  http://c/?build=bb",
    ]


def test_the_summary_of_a_failure() -> None:
    """What was lost on the way, and what to type next, against the same coordinator."""
    assert said(view_of(FAILED), " --coordinator http://c", ASCII) == [
        "x build bbbbbbbb (nightly) failed in 22s: job compile failed: exit status 3",
        "  3 jobs: 1 failed, 2 cancelled; 1 attempt lost and made again",
        "  next: terzetto output bbbbbbbb compile --coordinator http://c",
        "        terzetto why bbbbbbbb compile --coordinator http://c",
        "  http://c/?build=bb",
    ]


def test_what_cannot_be_asked_is_not_proposed() -> None:
    """Neither of a coordinator that is about to go, nor of a foreign one."""
    assert not any("terzetto" in line for line in said(view_of(FAILED), None))
    foreign = BuildView.of_foreign("bb" * 20, Graph(jobs=(Job(id=A),)), name="", started_at=0.0)
    for record in (line(0, "JobFailed", job=A, exit_code=1, error="no"), line(0, "BuildFailed", error="no")):
        foreign.fold(record)
    assert not any("terzetto" in line for line in said(foreign))


def test_the_end_of_what_a_failed_job_printed_is_repeated() -> None:
    """Its last twenty lines, below its name."""
    tails = {A: "".join(f"{number}\n" for number in range(25))}
    assert wording.failures(view_of(FAILED), tails, NORMAL) == [
        "✗ compile: exit status 3",
        *(f"    | {number}" for number in range(5, 25)),
    ]
    assert wording.failures(view_of(SUCCEEDED), tails, NORMAL) == []


def test_the_last_words_are_short_however_much_went_wrong() -> None:
    """Of hundreds of failures three are repeated; the summary stays within twelve lines, address included."""
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
    view = view_of(lines)
    assert wording.failures(view, dict.fromkeys(jobs, "x\n" * 99), NORMAL)[21:] == [
        *[text for n in (1, 2) for text in (f"✗ j {n}: exit 1, boom�and more", *["    | x"] * 20)],
        "… and 297 more failed",
    ]
    summary = said(view)
    assert len(summary) <= 12
    assert summary[-1] == f"  {URL}"
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
    assert said(view)[2:] == [
        "  critical path 9.0s: compile 7.0s → link 2.0s",
        "  next: terzetto log critical-path bbbbbbbb --coordinator http://c",
        f"  {URL}",
    ]
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
    """Each moment has its reason: before there is a build, before its sources are there, after its end."""
    assert wording.waiting(None, None) == "waiting for the coordinator to take the build"
    uploading = "waiting for the coordinator to have all source files"
    assert wording.waiting(view_of(BEGUN[:5]), None) == uploading
    ended = "succeeded: waiting for what is still to be fetched"
    assert wording.waiting(view_of(SUCCEEDED), None) == ended
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
        "compile: queued again: the worker is gone or is a new process",
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
