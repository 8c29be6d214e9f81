"""Serves the page on a log file, or on a copy made of an export."""

import contextlib
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import trio

from clients.cli import printing, serving
from clients.cli.log import keeping

SQLITE = b"SQLite format 3\0"


def run(log: Path, bind: str, *, log_level: str) -> int:
    """Serve until a signal; returns the exit code. Raises `Failure`, `LogError` and its kin, OSError."""
    with _file(log) as (path, data):
        return serving.run(partial(_serve, path, data, bind), log_level=log_level)


@contextlib.contextmanager
def _file(log: Path) -> Iterator[tuple[Path, Path]]:
    """The log as a file of its own kind, and a data directory: its coordinator's, or an empty one."""
    with log.open("rb") as file:
        is_log = file.read(len(SQLITE)) == SQLITE
    with tempfile.TemporaryDirectory(prefix="terzetto-ui-") as empty:
        data = log.parent if (log.parent / "output").is_dir() else Path(empty)
        if is_log:
            yield log, data
            return
        path = Path(empty, f"{log.stem}.sqlite3")
        keeping.copied([str(log)], path)
        yield path, data


async def _serve(
    path: Path, data: Path, bind: str, *, stop: trio.Event, task_status: trio.TaskStatus[str]
) -> None:
    from coordinator import viewing
    from coordinator.config import CoordinatorConfig

    config = CoordinatorConfig(bind=bind, data=data)
    async with trio.open_nursery() as nursery:
        url = await nursery.start(partial(viewing.run, path, config, stop=stop))
        printing.note(f"{url}/ shows {path.name}, which is only read   Ctrl-C stops")
        task_status.started(url)
