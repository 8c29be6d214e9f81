"""Log files for tests, and the verbs of `terzetto log` run on them."""

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clients.cli.root import run
from events.catalog import Record
from events.codec import decode
from events.log import PAGE
from events.sqlite import SqliteLog
from tests.golden.scenarios import HERE

FAIL = "builds_fail_and_are_cancelled"
SHARE = "two_builds_share_and_reuse"
LOSE = "workers_are_lost_and_artifacts_with_them"
GOLDEN = sorted(HERE.glob("*.jsonl"))


def build(number: int) -> str:
    """The id of a golden log's build."""
    return f"{number:040x}"


def history(name: str) -> list[Record]:
    return [decode(line) for line in (HERE / f"{name}.jsonl").read_bytes().splitlines()]


def made(path: Path, records: Iterable[Record]) -> Path:
    """A log file of the records, as a coordinator that has stopped leaves it."""
    batch: list[Record] = []
    with closing(SqliteLog(path)) as log:
        for record in records:
            batch.append(record)
            if len(batch) == PAGE:
                log.append(batch)
                batch = []
        log.append(batch)
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> tuple[list[str], str]:
    """The lines on stdout, and all of stderr."""
    assert run(["log", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    return out.splitlines(), err


def objects(lines: list[str]) -> list[Any]:
    """The JSON of each line, each of which names its schema."""
    values = [json.loads(line) for line in lines]
    assert [value.pop("schema_version") for value in values] == [1] * len(values)
    return values
