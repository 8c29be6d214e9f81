"""Which vertices of a graph wait for one another: the one walk behind its order and its cycles.

Tarjan's strongly connected components, with a stack of its own instead of recursion: a chain of a
hundred thousand jobs is a legal graph. Linear in vertices and edges.
"""

from collections.abc import Iterator, Sequence

Edges = Sequence[Sequence[int]]


def components(edges: Edges) -> list[list[int]]:
    """Groups of vertices that reach one another, those that `edges[v]` point to before v.

    In a graph without cycles every group is one vertex, so the groups in order are a topological order.
    """
    found: list[list[int]] = []
    index = [-1] * len(edges)  # when a vertex was first met; -1 is not yet
    low = [0] * len(edges)  # the earliest open vertex that is known to be reachable
    grouped = [False] * len(edges)
    open_: list[int] = []
    clock = 0
    for root in range(len(edges)):
        path: list[tuple[int, Iterator[int]]] = []
        if index[root] < 0:
            path.append((root, iter(edges[root])))
        while path:
            vertex, onward = path[-1]
            if index[vertex] < 0:
                index[vertex] = low[vertex] = clock
                clock += 1
                open_.append(vertex)
            for target in onward:
                if index[target] < 0:
                    path.append((target, iter(edges[target])))
                    break
                if not grouped[target]:
                    low[vertex] = min(low[vertex], index[target])
            else:
                path.pop()
                if path:
                    parent = path[-1][0]
                    low[parent] = min(low[parent], low[vertex])
                if low[vertex] == index[vertex]:
                    found.append(_close(vertex, open_, grouped))
    return found


def cycle(group: Sequence[int], edges: Edges) -> list[int]:
    """One cycle within the group: each vertex points to the next, the last to the first; [] if none."""
    members = set(group)
    seen: dict[int, int] = {}
    vertex = min(group)
    while vertex not in seen:
        seen[vertex] = len(seen)
        onward = next((target for target in edges[vertex] if target in members), None)
        if onward is None:
            return []
        vertex = onward
    return list(seen)[seen[vertex] :]


def _close(vertex: int, open_: list[int], grouped: list[bool]) -> list[int]:
    start = len(open_) - 1
    while open_[start] != vertex:
        start -= 1
    group = open_[start:]
    del open_[start:]
    for member in group:
        grouped[member] = True
    return group
