"""A State that goes its own way from here: what might be is tried on it, and what is stays as it is."""

from typing import Any

from attrs import fields

from events.queue import Queue
from events.rotation import Rotation
from events.state import Graph, State


def fork(state: State) -> State:
    """The same state again, with containers of its own; what is in them is frozen and shared."""
    forked: State = _forked(state)
    return forked


def _forked(value: Any) -> Any:
    if isinstance(value, dict):
        return type(value)((key, _forked(item)) for key, item in value.items())
    if isinstance(value, list):
        return list(value)
    if isinstance(value, State | Graph | Queue | Rotation):
        return type(value)(*(_forked(getattr(value, field.name)) for field in fields(type(value))))
    return value
