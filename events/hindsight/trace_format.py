"""The shapes of events in the trace format of Chrome, as far as we write them.

Times are whole microseconds. A slice stands on a thread and may not overlap another there; spans may
overlap: a beginning and an end belong together if they have the same category and id.
"""

from typing import Any, TypeAlias

TraceEvent: TypeAlias = dict[str, Any]


def named(what: str, pid: int, tid: int, name: str) -> TraceEvent:
    """Says what a process (`process_name`) or a thread (`thread_name`) is called."""
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": {"name": name}}


def slice_(name: str, pid: int, tid: int, ts: int, dur: int, args: dict[str, Any]) -> TraceEvent:
    """What went on for a while on one thread."""
    place = {"pid": pid, "tid": tid, "ts": ts, "dur": dur}
    return {"ph": "X", "cat": "attempt", "name": name, **place, "args": args}


def span(
    phase: str, category: str, id_: str, name: str, pid: int, ts: int, args: dict[str, Any]
) -> TraceEvent:
    """The beginning (`b`) or the end (`e`) of what went on for a while on no thread."""
    place = {"id": id_, "pid": pid, "tid": 0, "ts": ts}
    return {"ph": phase, "cat": category, "name": name, **place, "args": args}


def instant(name: str, pid: int, scope: str, ts: int, args: dict[str, Any]) -> TraceEvent:
    """What happened at once, to a process (`p`) or to all of them (`g`)."""
    return {"ph": "i", "cat": "farm", "name": name, "pid": pid, "tid": 0, "ts": ts, "s": scope, "args": args}
