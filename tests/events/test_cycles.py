"""The walk behind order and cycles, against an independent answer and at a size that forbids recursion."""

from graphlib import CycleError, TopologicalSorter

from hypothesis import given
from hypothesis import strategies as st

from events.cycles import components, cycle


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(0, 8))
    return [draw(st.lists(st.integers(0, size - 1), max_size=4)) for _ in range(size)]


def _reachable(start: int, edges: list[list[int]]) -> set[int]:
    seen: set[int] = set()
    todo = list(edges[start])
    while todo:
        vertex = todo.pop()
        if vertex not in seen:
            seen.add(vertex)
            todo.extend(edges[vertex])
    return seen


@given(graphs())
def test_a_group_is_what_reaches_itself(edges: list[list[int]]) -> None:
    """Two vertices share a group exactly when each reaches the other, and every vertex has one group."""
    groups = components(edges)
    assert sorted(vertex for group in groups for vertex in group) == list(range(len(edges)))
    group_of = {vertex: number for number, group in enumerate(groups) for vertex in group}
    reach = [_reachable(vertex, edges) for vertex in range(len(edges))]
    for a in range(len(edges)):
        for b in range(len(edges)):
            together = a == b or (b in reach[a] and a in reach[b])
            assert (group_of[a] == group_of[b]) == together


@given(graphs())
def test_what_a_vertex_points_to_comes_first(edges: list[list[int]]) -> None:
    """Groups come in topological order: an edge never points to a later group."""
    group_of = {vertex: number for number, group in enumerate(components(edges)) for vertex in group}
    assert all(group_of[target] <= group_of[vertex] for vertex, to in enumerate(edges) for target in to)


@given(graphs())
def test_a_cycle_is_named_exactly_when_there_is_one(edges: list[list[int]]) -> None:
    """The standard library agrees whether there is a cycle; what is named is one, step by step."""
    circles = [circle for group in components(edges) if (circle := cycle(group, edges))]
    try:
        TopologicalSorter(dict(enumerate(edges))).prepare()
        assert not circles
    except CycleError:
        assert circles
    for circle in circles:
        assert len(set(circle)) == len(circle)
        for here, there in zip(circle, [*circle[1:], circle[0]], strict=True):
            assert there in edges[here]


def test_a_chain_of_a_hundred_thousand_needs_no_recursion() -> None:
    """Depth is no limit: neither for order nor for one cycle through everything."""
    size = 100_000
    chain = [[vertex + 1] for vertex in range(size - 1)] + [[]]
    assert components(chain) == [[vertex] for vertex in reversed(range(size))]
    ring = [[(vertex + 1) % size] for vertex in range(size)]
    (group,) = components(ring)
    assert cycle(group, ring) == list(range(size))
