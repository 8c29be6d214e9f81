"""A start on a log that was damaged in its middle: it names the first bad record and touches nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from clients.cli.exits import Exit
from tests.crash.cradle import Cradle
from tests.crash.runs import LOG, Run

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            "UPDATE records SET text = replace(text, '\"at\":1', '\"at\":2') WHERE position = 5",
            "5 was altered",
        ),
        ("UPDATE records SET chain = zeroblob(32) WHERE position = 7", "record 7 was altered"),
        ("DELETE FROM records WHERE position = 6", "record 6 is missing"),
    ],
    ids=["text", "hash", "gone"],
)
async def test_a_record_in_the_middle(cradle: Cradle, tmp_path: Path, damage: str, words: str) -> None:
    """Though each of the texts can be read, and the end is well."""
    run = Run(tmp_path / "data")
    life = await cradle.coordinator(run.data).ready()
    assert await run.go(life)
    await life.kill9()
    with closing(sqlite3.connect(run.data / LOG)) as connection:
        connection.execute(damage)
        connection.commit()
    before = _rows(run.data)
    life = cradle.coordinator(run.data)
    assert not await life.serves()
    assert await life.ended() == Exit.CORRUPT_LOG
    assert words in life.stderr.read_text()
    assert _rows(run.data) == before


def _rows(data: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(data / LOG)) as connection:
        return connection.execute("SELECT * FROM records ORDER BY position").fetchall()
