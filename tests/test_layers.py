"""Dependencies point one way, and the core reaches for nothing outside."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("events", "clients", "workers", "coordinator")
# Who may import whom; itself always.
MAY_IMPORT = {
    "events": set[str](),
    "clients": {"events"},
    "workers": {"events", "clients"},
    "coordinator": {"events", "clients"},
}
# The command starts coordinators and workers, lazily, and nothing imports the command.
CLI = "clients.cli"

# What the core does without: concurrency, the network, processes, clocks, chance.
FORBIDDEN = {
    "trio",
    "quart",
    "quart_trio",
    "hypercorn",
    "h11",
    "asyncio",
    "threading",
    "subprocess",
    "http",
    "urllib",
    "ssl",
    "select",
    "socket",
    "time",
    "datetime",
    "random",
    "secrets",
    "uuid",
    "os",
    "io",
    "pathlib",
    "tempfile",
    "structlog",
    "logging",
    "click",
}
# The modules of the core that touch a disk.
ALLOWED = {
    "events.sqlite": {"os", "socket", "pathlib", "fcntl"},
    "events.files": {"os", "pathlib"},
    "events.snapshot": {"pathlib"},
    "events.segments": {"pathlib"},
    "events.restore": {"pathlib"},
}
THIRD_PARTY = {
    "events": {"attrs", "attr", "cattrs", "msgspec", "apsw"},
    "events.decide": {"attrs", "msgspec"},
    "events.folding": {"attrs"},
}


class Import(NamedTuple):
    """That `importer` imports `imported`; lazily, if within a function."""

    importer: str
    imported: str
    lazily: bool

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported}{' lazily' if self.lazily else ''}"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield module_name(path), ast.parse(path.read_text(), filename=str(path))


def imports() -> Iterator[Import]:
    for name, tree in modules():
        yield from _imports(name, tree, lazily=False)


def _imports(importer: str, node: ast.AST, *, lazily: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        inside = lazily or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(importer, alias.name, inside)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{importer} imports relatively; write the whole name"
            yield Import(importer, child.module or "", inside)
            for alias in child.names:
                yield Import(importer, f"{child.module}.{alias.name}", inside)
        yield from _imports(importer, child, lazily=inside)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


IMPORTS = list(imports())


def test_the_checks_see_the_code() -> None:
    """Else they would find nothing wrong with anything."""
    assert Import("events.fold", "events.state", False) in IMPORTS
    assert {found.importer.partition(".")[0] for found in IMPORTS} >= {"events", "clients"}
    lazy = ast.parse("def f():\n    if x:\n        import trio.abc\n")
    assert list(_imports("m", lazy, lazily=False)) == [Import("m", "trio.abc", True)]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_lies_below(package: str) -> None:
    """events ◀ clients ◀ workers, and coordinator on the other side; only the command starts those two."""
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        str(found)
        for found in IMPORTS
        if within(found.importer, package)
        and (top := found.imported.partition(".")[0]) in PACKAGES
        and top not in allowed
        and not (within(found.importer, CLI) and found.lazily)
    ]
    assert wrong == []


def test_nothing_imports_the_command() -> None:
    """It is for people."""
    assert [str(i) for i in IMPORTS if within(i.imported, CLI) and not within(i.importer, CLI)] == []


def test_nothing_imports_the_tests() -> None:
    """They are not installed."""
    assert [str(found) for found in IMPORTS if within(found.imported, "tests")] == []


def test_the_core_reaches_for_nothing_outside() -> None:
    """Time, ids and chance are handed in; the disk is the business of few modules."""
    wrong = [
        str(found)
        for found in IMPORTS
        if within(found.importer, "events")
        and (top := found.imported.partition(".")[0]) in FORBIDDEN
        and top not in ALLOWED.get(found.importer, set())
    ]
    assert wrong == []


@pytest.mark.parametrize("package", THIRD_PARTY)
def test_the_core_stands_on_few_libraries(package: str) -> None:
    """Each is one that a replay tool needs as well."""
    found = {
        top
        for i in IMPORTS
        if within(i.importer, package)
        and (top := i.imported.partition(".")[0]) not in PACKAGES
        and top not in sys.stdlib_module_names
    }
    assert found <= THIRD_PARTY[package]


def test_fold_and_decide_do_not_know_the_log() -> None:
    """What is decided does not depend on where it is kept."""
    pure = (
        "events.fold",
        "events.folding",
        "events.decide",
        "events.schedule",
        "events.state",
        "events.queue",
    )
    stores = ("events.log", "events.sqlite", "events.codec")
    wrong = [
        str(i)
        for i in IMPORTS
        if any(within(i.importer, module) for module in pure) and any(within(i.imported, s) for s in stores)
    ]
    assert wrong == []


def test_the_law_does_not_look_back() -> None:
    """What explains the past for people can be taken away, and all else still runs."""
    wrong = [
        str(found)
        for found in IMPORTS
        if within(found.importer, "events")
        and not within(found.importer, "events.hindsight")
        and within(found.imported, "events.hindsight")
    ]
    assert wrong == []


def test_fold_does_not_know_the_deciders() -> None:
    """Replay needs no decisions."""
    interpreter = ("events.fold", "events.folding", "events.state", "events.queue", "events.model")
    wrong = [
        str(found)
        for found in IMPORTS
        if any(within(found.importer, module) for module in interpreter)
        and within(found.imported, "events.decide")
    ]
    assert wrong == []


def test_only_fold_writes_state() -> None:
    """Outside of it nobody assigns to an attribute or an item of a thing called `state` or `graph`."""
    wrong = []
    for name, tree in modules():
        if not within(name, "events.folding") and name != "events.fold":
            wrong += [f"{name}:{line}" for line in _writes(tree)]
    assert wrong == []


def _writes(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Delete):
            targets = node.targets
        for target in targets:
            root: ast.expr = target
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if root is not target and isinstance(root, ast.Name) and root.id in ("state", "graph"):
                yield target.lineno


# What no two runs agree on. A farm is simulated from a seed, so production code is handed these by its
# platform; the modules named here are platforms, run outside of any simulation, or draw what nobody sees.
CHANCE = {
    ("time", "time"),
    ("time", "monotonic"),
    ("time", "perf_counter"),
    ("time", "sleep"),
    ("random", "random"),
    ("random", "choice"),
    ("secrets", "token_hex"),
    ("secrets", "token_bytes"),
    ("os", "urandom"),
    ("uuid", "uuid4"),
    ("datetime", "now"),
}
MAY_DRAW = {
    "coordinator.platform",
    "workers.platform",
    "workers.reaper",  # a process of its own, behind `workers.commands.Runner`
    "clients.archive",  # the name of a directory that is renamed
    "clients.build.run",  # a default, as a platform is
    "coordinator.http.errors",  # the id of an answer, for people to quote
}


def draws() -> Iterator[tuple[str, int]]:
    """Who draws, and in which line. `random.Random` as a type is no draw, as a call without a seed it is."""
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and not node.args and ast.unparse(node.func) == "random.Random":
                yield name, node.lineno
            is_named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if isinstance(node, ast.expr) and is_named and tuple(ast.unparse(node).split(".")) in CHANCE:
                yield name, node.lineno


def test_nobody_draws_from_clocks_and_chance_on_his_own() -> None:
    """Else the same seed would not be the same run."""
    wrong = [f"{name}:{line}" for name, line in draws() if name not in MAY_DRAW and not within(name, CLI)]
    assert wrong == []


def test_whoever_may_draw_does() -> None:
    """An exception that nobody needs any more is one too many."""
    assert {name for name, _ in draws()} >= MAY_DRAW


def test_the_top_level_is_what_it_is_meant_to_be() -> None:
    """A newcomer finds the packages there and nothing that a test has left behind."""
    beside = {"tests", "deploy", "pyproject.toml", "README.md", "LICENSE", "uv.lock", "Makefile"}
    made = {"demo-data", "demo-out", "dist"}  # git ignores them
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith((".", "__"))}
    assert found <= {*PACKAGES, *beside, *made}
