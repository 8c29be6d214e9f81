"""Which branches there are, and what is built of them: the file of `--builders`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from attrs import field, frozen

from clients.distbuild import BuildRequest
from clients.graphs.files import load

KINDS = ("build", "pgo", "nightly")


class BadBuilders(ValueError):
    """The file is not as it must be; the text names file and key."""


@frozen(kw_only=True)
class Builder:
    """`graph` is the file that says what to do; `kind` is what of the three it is started for."""

    name: str
    graph: Path
    kind: str = "build"

    def load(self, environ: Mapping[str, str]) -> BuildRequest:
        """The graph, each of its jobs with these variables in its environment.

        They come as they are, so no script is made of them. Raises `BadGraph`. Blocks.
        """
        return load(str(self.graph), source_root=self.graph.parent, environ=environ)


@frozen(kw_only=True)
class Branch:
    name: str
    repo: str = ""
    repo_type: str = ""
    graph_branches: tuple[str, ...] = ()
    builders: Mapping[str, Builder] = field(factory=dict)

    def of_kind(self, kind: str) -> list[Builder]:
        return [builder for builder in self.builders.values() if builder.kind == kind]


@frozen
class Branches:
    """All of them by name."""

    by_name: Mapping[str, Branch] = field(factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises `BadBuilders`, OSError."""
        try:
            contents = tomllib.loads(path.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadBuilders(f"{path}: not valid TOML: {error}") from error
        if set(contents) - {"branches"}:
            raise BadBuilders(f"{path}: unknown keys {sorted(set(contents) - {'branches'})}")
        tables = contents.get("branches", {})
        return cls({name: _branch(path, name, table) for name, table in _tables(path, "branches", tables)})

    def get(self, name: str) -> Branch | None:
        """The branch; one that a single builder is asked for may be called `NAME-selfserve`."""
        return self.by_name.get(name) or self.by_name.get(name.removesuffix("-selfserve"))


def _tables(path: Path, place: str, value: Any) -> list[tuple[str, dict[str, Any]]]:
    if not isinstance(value, dict) or not all(isinstance(table, dict) for table in value.values()):
        raise BadBuilders(f"{path}: {place} must be tables")
    return list(value.items())


def _branch(path: Path, name: str, table: dict[str, Any]) -> Branch:
    place = f"branches.{name}"
    builders = table.pop("builders", {})
    if not isinstance(builders, dict):
        raise BadBuilders(f"{path}: {place}.builders must be a table")
    graphs = table.pop("graph_branches", [])
    _texts(path, place, table, {"repo", "repo_type"})
    if not isinstance(graphs, list) or not all(isinstance(each, str) for each in graphs):
        raise BadBuilders(f"{path}: {place}.graph_branches must be a list of texts")
    known = {
        title: _builder(path, f"{place}.builders.{title}", title, value) for title, value in builders.items()
    }
    return Branch(name=name, graph_branches=tuple(graphs), builders=known, **table)


def _builder(path: Path, place: str, name: str, value: Any) -> Builder:
    table = {"graph": value} if isinstance(value, str) else value
    _texts(path, place, table, {"graph", "kind"})
    if "graph" not in table or table.get("kind", "build") not in KINDS:
        raise BadBuilders(f"{path}: {place} needs a graph, and a kind of {', '.join(KINDS)}")
    return Builder(name=name, graph=path.parent / table["graph"], kind=table.get("kind", "build"))


def _texts(path: Path, place: str, table: Any, keys: set[str]) -> None:
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise BadBuilders(f"{path}: {place} must be a table of texts")
    if set(table) - keys:
        raise BadBuilders(f"{path}: {place} has the unknown keys {sorted(set(table) - keys)}")
