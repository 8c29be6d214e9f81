"""Records of builds for tests, as the coordinator streams them."""

from typing import Any

from clients.cli.view import BuildView
from clients.live import Line
from events.ids import Position

BUILD = "bb" * 20
A, B, C = "a1" * 20, "b2" * 20, "c3" * 20


def line(position: int, kind: str, *, at: float | None = None, **fields: Any) -> Line:
    """A record; unless said otherwise, one second passes from each to the next."""
    when = float(position) if at is None else at
    return Line(position=Position(position), at=when, type=kind, fields={"build": BUILD, **fields})


BEGUN = [
    line(1, "BuildStarted", jobs=3, name="nightly"),
    line(2, "JobAdded", job=A, name="compile"),
    line(3, "JobAdded", job=B, name="link", deps=[A]),
    line(4, "JobAdded", job=C, name="docs"),
    line(5, "SignalReceived", signal="upload-done"),
    line(6, "SourcesReady"),
    line(7, "JobQueued", job=A, digest="d" * 64),
    line(8, "JobQueued", job=C, digest="d" * 64),
    line(9, "JobLeased", job=A, lease="1" * 32, worker="http://w1:1", attempt=1, reason="free"),
]
FAILED = [
    *BEGUN,
    line(10, "JobReleased", job=A, lease="1" * 32, reason="worker-lost"),
    line(11, "JobLeased", job=A, lease="2" * 32, worker="http://w2:1", attempt=2, reason="free"),
    line(20, "JobFailed", job=A, lease="2" * 32, exit_code=3, error="exit status 3", stderr_bytes=9),
    line(21, "JobCancelled", job=B, reason="build-failed"),
    line(22, "JobCancelled", job=C, reason="build-failed"),
    line(23, "BuildFailed", error="job compile failed: exit status 3"),
]
SUCCEEDED = [
    *BEGUN,
    line(10, "JobLeased", job=C, lease="2" * 32, worker="http://w2:1", attempt=1, reason="free"),
    line(12, "JobSucceeded", job=C, lease="2" * 32),
    line(29, "JobSucceeded", job=A, lease="1" * 32, stdout_bytes=5),
    line(30, "JobReused", job=B, digest="e" * 64, lease="3" * 32),
    line(31, "BuildSucceeded"),
]


def view_of(lines: list[Line]) -> BuildView:
    view = BuildView(id=BUILD)
    for each in lines:
        view.fold(each)
    return view
