"""The documents say what the code does: every event, transition, reason and refusal, and no other."""

import ast
import re
from pathlib import Path

import pytest

from events import codec, errors
from events.catalog import EVENTS
from events.diagrams import blocks
from events.queue import Why

ROOT = Path(__file__).parent.parent
EVENTS_README = (ROOT / "events" / "README.md").read_text()


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading of the events' README, without the table's own head."""
    below = EVENTS_README.split(f"# {heading}\n")[1]
    rows = re.findall(r"(?:^\|.*\|\n)+", below, re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def test_every_event_is_explained_once() -> None:
    """In the order of the catalog."""
    assert [row[0].strip("`") for row in table("Every event")] == list(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_has_its_place_in_the_life_of_a_build(name: str) -> None:
    """The prose mentions it, so that a reader knows when it happens."""
    prose = EVENTS_README.split("# The life of a build\n")[1].split("\n## ")[0]
    assert f"`{name}`" in prose


@pytest.mark.parametrize("block", blocks(), ids=["jobs", "builds", "requests"])
def test_the_diagrams_are_those_of_the_tables(block: str) -> None:
    """`python -m events.diagrams` prints what should stand there."""
    assert block in EVENTS_README


def test_every_refusal_is_explained() -> None:
    """Word for word, in the order of the catalog."""
    expected = [
        [f"`{code.code}`", code.family.value, code.title, code.fix] for code in errors.CATALOG.values()
    ]
    assert table("Every refusal") == expected


def test_every_reason_code_is_explained() -> None:
    """All that the deciders write, and nothing that they do not."""
    explained = {row[1].strip("`") for row in table("Why: the reason codes")}
    assert explained == reasons() | {str(why) for why in Why} | {"silent", "restarted", "left", "evicted"}


def reasons() -> set[str]:
    """The hyphenated words in the deciders' code; signals are no reasons."""
    words: set[str] = set()
    for path in (ROOT / "events" / "decide").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words |= set(re.findall(r"\A[a-z]+(?:-[a-z]+)+\Z", node.value))
    return words - {"upload-done"}


def test_every_format_has_its_history() -> None:
    """Who finds an old log learns what became of it."""
    assert [row[0] for row in table("History of the format")] == [str(n) for n in range(1, codec.FORMAT + 1)]


def test_codes_are_unique_and_well_formed() -> None:
    """A code is for ever, and each has something for the caller to do."""
    codes = [value for value in vars(errors).values() if isinstance(value, errors.Code)]
    assert len({code.code for code in codes}) == len(codes) == len(errors.CATALOG)
    for code in codes:
        assert re.fullmatch(r"TZ-\d{4}", code.code)
        assert code.fix
        assert code.title


def test_every_module_says_why_it_exists() -> None:
    """In the first sentence of its docstring."""
    silent = []
    for package in ("events", "clients", "workers", "coordinator"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            if text.strip() and not ast.get_docstring(ast.parse(text)):
                silent.append(str(path.relative_to(ROOT)))
    assert silent == []
