"""Logs that were written once add up to the same state for ever, and between them walk every transition."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from events import codec
from events.catalog import EVENTS, Record
from events.codec import read_head
from events.fold import fold, replay
from events.log import Entry, MemoryLog, read_all, verify
from events.state import State
from events.transfer import load
from events.transitions import BUILD, JOB, REQUEST, BuildStatus, JobStatus, RequestStatus
from events.validate import validate
from tests.events.story import in_order
from tests.golden.render import render
from tests.golden.scenarios import HERE, SCENARIOS

LOGS = sorted(HERE.glob("*.jsonl"))


def entries(path: Path) -> list[Entry]:
    """In whatever format: the log says so itself."""
    return list(load(path.read_bytes().splitlines()))


def records(path: Path) -> list[Record]:
    return [entry.record for entry in entries(path)]


def written_in(path: Path) -> int:
    """The format of a golden log; none has more than one."""
    return read_head(path.read_bytes().splitlines()[0]).format or 1


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_a_golden_log_adds_up_to_its_state(path: Path, request: pytest.FixtureRequest) -> None:
    """Rewrite the text with --update-golden, and read the diff: somebody's disk has such a log."""
    expected = path.with_suffix(".txt")
    state = replay(records(path))
    validate(state)
    if request.config.getoption("--update-golden"):
        expected.write_text(render(state))
    assert render(state) == expected.read_text()


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_a_golden_log_is_canonical(path: Path) -> None:
    """Read and written again it is the same bytes, in any log; one in an older format stays as it is."""
    lines = path.read_bytes().splitlines()
    assert [entry.text for entry in entries(path)] == lines
    log = MemoryLog()
    assert log.append(records(path)) == [entry.line for entry in entries(path)]
    assert written_in(path) < codec.FORMAT or [entry.line for entry in entries(path)] == lines
    verify(read_all(log))


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_replay_may_stop_and_go_on_anywhere(path: Path) -> None:
    """The state at every position is that of the records up to there, however they were cut."""
    state, history = State(), records(path)
    for count, record in enumerate(history, start=1):
        fold(state, record)
        assert in_order(state) == in_order(replay(history[:count]))
    half = len(history) // 2
    assert in_order(replay(history[half:], replay(history[:half]))) == in_order(state)


def test_golden_logs_walk_every_edge() -> None:
    """A transition that no log ever took is one that nobody has seen to work."""
    walked = {edge for path in LOGS for edge in edges(records(path))}
    jobs = {(str(before), cls.__name__) for before, row in JOB.items() for cls in row}
    builds = {(str(before), cls.__name__) for before, row in BUILD.items() for cls in row}
    requests = {(str(before), cls.__name__) for before, row in REQUEST.items() for cls in row}
    assert walked == jobs | builds | requests


def test_golden_logs_hold_every_event() -> None:
    """So that a new kind of event comes with a log."""
    assert {type(record.event).__name__ for path in LOGS for record in records(path)} == set(EVENTS)


def test_every_format_has_its_golden_log() -> None:
    """Somebody's disk has a log in it; those of older formats can no longer be written, so keep them."""
    assert {written_in(path) for path in LOGS} == set(range(1, codec.FORMAT + 1))


def test_every_scenario_has_its_log() -> None:
    """`python -m tests.golden.scenarios` writes those that are missing."""
    assert {scenario.__name__ for scenario in SCENARIOS} <= {path.stem for path in LOGS}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenarios_still_run(scenario: object) -> None:
    """They may decide otherwise than they did when their log was written, but soundly."""
    assert callable(scenario)
    validate(scenario().state)


def edges(history: list[Record]) -> Iterator[tuple[str, str]]:
    """The status before and the event, for each change of a job's or a build's status."""
    state = State()
    for record in history:
        event = record.event
        before = _status(state, event)
        fold(state, record)
        if before is not None and _status(state, event) not in (before, None):
            yield str(before), type(event).__name__


def _status(state: State, event: object) -> JobStatus | BuildStatus | RequestStatus | None:
    if (request := getattr(event, "request", None)) in state.requests and not hasattr(event, "build"):
        return state.requests[request].status
    build, job = getattr(event, "build", None), getattr(event, "job", None)
    if build not in state.builds:
        return None
    if job is None:
        return state.builds[build].status
    known = state.graphs[build].jobs.get(job)
    return None if known is None else known.status
