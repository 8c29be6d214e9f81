"""What the trace format demands of a trace, checked strictly."""

from collections import defaultdict
from typing import Any

KEYS = {
    "M": {"ph", "name", "pid", "tid", "ts", "args"},
    "X": {"ph", "cat", "name", "pid", "tid", "ts", "dur", "args"},
    "b": {"ph", "cat", "name", "id", "pid", "tid", "ts", "args"},
    "e": {"ph", "cat", "name", "id", "pid", "tid", "ts", "args"},
    "i": {"ph", "cat", "name", "pid", "tid", "ts", "s", "args"},
}


def check(events: list[Any]) -> None:
    """Keys, types, names of all processes and threads, time, nesting and pairs."""
    for event in events:
        assert set(event) == KEYS[event["ph"]], event
        assert all(type(event[key]) is int and event[key] >= 0 for key in ("pid", "tid", "ts")), event
        assert event["name"]
        assert isinstance(event["args"], dict)
    _check_names(events)
    _check_order([event for event in events if event["ph"] != "M"])
    _check_slices([event for event in events if event["ph"] == "X"])
    _check_spans([event for event in events if event["ph"] in "be"])
    assert {event["s"] for event in events if event["ph"] == "i"} <= {"g", "p", "t"}


def _check_names(events: list[Any]) -> None:
    """Each process and each thread with slices is named, once, before anything happens on it."""
    named: set[tuple[str, int, int]] = set()
    for event in events:
        if event["ph"] == "M":
            key = (event["name"], event["pid"], event["tid"])
            assert event["name"] in ("process_name", "thread_name")
            assert event["args"]["name"]
            assert key not in named
            named.add(key)
            continue
        assert ("process_name", event["pid"], 0) in named, event
        assert event["ph"] != "X" or ("thread_name", event["pid"], event["tid"]) in named, event


def _check_order(events: list[Any]) -> None:
    """No thread goes back in time."""
    last: dict[tuple[int, int], int] = defaultdict(int)
    for event in events:
        track = (event["pid"], event["tid"])
        assert event["ts"] >= last[track], event
        last[track] = event["ts"]


def _check_slices(slices: list[Any]) -> None:
    """Two slices of a thread do not overlap: the slots run one job at a time."""
    ends: dict[tuple[int, int], int] = defaultdict(int)
    for event in slices:
        track = (event["pid"], event["tid"])
        assert type(event["dur"]) is int
        assert event["dur"] >= 0
        assert event["ts"] >= ends[track], event
        ends[track] = event["ts"] + event["dur"]


def _check_spans(spans: list[Any]) -> None:
    """Each beginning has its end, of the same name, and no id is used twice."""
    open_: dict[tuple[str, str], Any] = {}
    used: set[tuple[str, str]] = set()
    for event in spans:
        key = (event["cat"], event["id"])
        if event["ph"] == "b":
            assert key not in used, event
            used.add(key)
            open_[key] = event
        else:
            begun = open_.pop(key)
            assert (begun["name"], begun["pid"]) == (event["name"], event["pid"])
            assert begun["ts"] <= event["ts"]
    assert not open_
