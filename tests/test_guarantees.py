"""Every promise in events/GUARANTEES.md names tests, and they are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "events" / "GUARANTEES.md").read_text()
ROWS = [row for row in re.findall(r"^\|(?!---)(.*)\|$", PAGE, re.MULTILINE) if "Promise |" not in row]
NAMED = sorted(set(re.findall(r"`(tests/\S+?)`", PAGE)))


@cache
def names(path: str) -> set[str]:
    """What a test module defines, and the test cases that it makes of state machines."""
    found = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[1:40]))
def test_every_promise_has_a_test(row: str) -> None:
    """In the third of four columns; the last has codes of requirements and nothing else."""
    promise, _, tests, codes = (cell.strip() for cell in row.split("|"))
    assert promise.endswith(".")
    assert re.fullmatch(r"(`tests/\S+::\w+` ?)+", tests)
    assert re.fullmatch(r"([ILF]-\d\d ?)*", codes)


@pytest.mark.parametrize("named", NAMED)
def test_every_test_is_there(named: str) -> None:
    """Under the very name, so that a reader can run it."""
    path, _, name = named.partition("::")
    assert name.startswith(("test_", "Test"))
    assert name in names(path)
