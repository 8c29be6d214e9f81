"""State as one short text: two states that behave alike for ever have the same, any other two do not.

It covers every field, and the order of every dict, since that order decides who is served next. It is the
same in every process; two versions of Terzetto agree on it as long as State has the same fields in both.
A walk over the whole state: some 4 µs a job.
"""

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice

import msgspec
from attrs import fields

from events.ids import BuildId
from events.state import Graph, State

# So many jobs become bytes at a time: the bytes of a large build are never there as a whole.
JOBS_AT_ONCE = 1000

_encode = msgspec.msgpack.Encoder().encode


def digest(state: State) -> str:
    """SHA-256 of the whole state, in hex."""
    return _hashed(_pieces(state))


def digest_build(state: State, build: BuildId) -> str:
    """SHA-256 of one build and its jobs, in hex; those of two states differ if the builds do."""
    return _hashed(_build_pieces(state, build))


def _hashed(pieces: Iterator[object]) -> str:
    """Each piece says how long it is, so that no two sequences of them run into the same bytes."""
    total = sha256()
    for piece in pieces:
        total.update(_encode(piece))
    return total.hexdigest()


def _pieces(state: State) -> Iterator[object]:
    for field in fields(State):
        if field.name != "graphs":
            yield field.name, getattr(state, field.name)
    for build in state.graphs:
        yield from _build_pieces(state, build)


def _build_pieces(state: State, build: BuildId) -> Iterator[object]:
    graph = state.graphs[build]
    yield build, state.builds[build]
    for field in fields(Graph):
        if field.name != "jobs":
            yield field.name, getattr(graph, field.name)
    jobs = iter(graph.jobs.items())
    while some := tuple(islice(jobs, JOBS_AT_ONCE)):
        yield some
