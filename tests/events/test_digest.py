"""The digest of State tells any two states apart, and says the same in every process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import evolve, fields

from events.codec import decode
from events.digest import JOBS_AT_ONCE, digest, digest_build
from events.fold import fold, replay
from events.ids import JobId
from events.model import Job, Outputs
from events.state import Graph, State
from tests.events.story import BUILD, OTHER, A, Story, in_order, job, start
from tests.golden.scenarios import HERE

LOGS = sorted(HERE.glob("*.jsonl"))


@pytest.mark.parametrize("path", LOGS, ids=lambda path: str(path.stem))
def test_states_differ_exactly_where_their_digests_do(path: Path) -> None:
    """Live or replayed, at every position of every golden log, down to the order of dicts."""
    records, seen = [decode(line) for line in path.read_bytes().splitlines()], {}
    state = State()
    for count, record in enumerate(records, start=1):
        fold(state, record)
        assert digest(replay(records[:count])) == digest(state)
        seen[digest(state)] = in_order(state)
    assert len(seen) == len(records)


def test_the_order_of_a_dict_is_part_of_it() -> None:
    """It decides who is served next."""
    story = Story().given(start(job(A)), start(job(A)))
    before = digest(story.state)
    story.state.active[BUILD] = story.state.active.pop(BUILD)
    assert story.state == replay(story.records)
    assert digest(story.state) != before


@pytest.mark.parametrize("field", fields(State), ids=lambda field: field.name)
def test_every_field_of_state_is_part_of_it(field: Any) -> None:
    """So a new one cannot be forgotten."""
    changed = {dict: {"k": "v"}, int: 7, float: 7.0, str: "v"}
    state = State()
    value = getattr(state, field.name)
    if field.name == "graphs":
        state.graphs[BUILD], state.builds[BUILD] = Graph(), "a build"  # type: ignore[assignment]  # any value
    elif attrs.has(type(value)):
        setattr(state, field.name, evolve(value, lease_seconds=7.0))
    else:
        setattr(state, field.name, changed[type(value)])
    assert digest(state) != digest(State())


@pytest.mark.parametrize("field", fields(Graph), ids=lambda field: field.name)
def test_every_field_of_a_graph_is_part_of_it(field: Any) -> None:
    """Of a graph with more jobs than become bytes at once."""
    ids = [JobId(f"{number:040x}") for number in range(2 * JOBS_AT_ONCE + 1)]
    story = Story().given(start(*map(job, ids)), start(job(A)))
    before, other = digest_build(story.state, BUILD), digest_build(story.state, OTHER)
    graph = story.state.graphs[BUILD]
    if field.name == "jobs":
        last = graph.jobs[ids[-1]]
        graph.jobs[ids[-1]] = Job(last.spec, last.status, 7)
    elif field.name == "reused":
        graph.reused = 7
    elif field.name == "hands_over":
        graph.hands_over = True
    elif field.name == "outputs":
        graph.outputs = Outputs(files=(), error="")
    else:
        getattr(graph, field.name)["k"] = "v"
    assert digest_build(story.state, BUILD) != before
    assert digest_build(story.state, OTHER) == other


def test_it_is_the_same_in_every_process() -> None:
    """Whatever seed Python gives its hashes."""
    program = (
        "import sys, pathlib; from events.codec import decode; from events.digest import digest; "
        "from events.fold import replay; "
        "[print(digest(replay(map(decode, pathlib.Path(path).open('rb'))))) for path in sys.argv[1:]]"
    )
    expected = [digest(replay(map(decode, path.read_bytes().splitlines()))) for path in LOGS]
    for seed in ("0", "1"):
        told = subprocess.run(
            [sys.executable, "-c", program, *LOGS],
            env={"PYTHONHASHSEED": seed},
            cwd=HERE.parent.parent,
            capture_output=True,
            check=True,
        )
        assert told.stdout.decode().split() == expected
