"""Archiving by hand: the same segments that a coordinator makes, of a log on which none runs."""

import time
from contextlib import closing, nullcontext
from pathlib import Path

from clients.cli import exits, printing
from clients.cli.exits import Failure
from clients.cli.texts import count
from events import segments
from events.files import beside
from events.ids import Position
from events.restore import DIRECTORY, restore
from events.sqlite import SqliteLog, SqliteReader


def archive(
    path: Path, before: int | None, older_than: float | None, *, is_dry_run: bool, as_json: bool
) -> int:
    """Raises `LogLocked` if somebody writes the log, and what else a log may raise."""
    if not path.is_file():
        fix = "name the log with --log, or its directory with --data"
        raise Failure(exits.BAD_FILE, f"there is no log at {path}", fix=fix)
    with nullcontext() if is_dry_run else closing(SqliteLog(path)) as log:
        archived, upto = _span(path, before, older_than)
        if log is not None:
            _put_away(log, archived, upto)
    _tell(path, upto - archived, upto, is_dry_run=is_dry_run, as_json=as_json)
    return 0


def _put_away(log: SqliteLog, archived: Position, upto: Position) -> None:
    """Also what an attempt that a crash ended has left to do."""
    if upto > archived:
        directory = beside(log.path, segments.DIRECTORY)
        segments.put_aside(directory, archived)
        segments.store(log, directory, archived, upto, is_partial=True)
        log.note_archived(upto)
    for _step in log.pruning(restore(log, beside(log.path, DIRECTORY)).builds):
        pass


def _span(path: Path, before: int | None, older_than: float | None) -> tuple[Position, Position]:
    """The last record that is archived, and the last that is to be.

    The last of the log never is, since the next one continues it.
    """
    with closing(SqliteReader(path)) as reader:
        archived, last = reader.meta().archived, reader.head() - 1
        if before is not None:
            last = min(last, before - 1)
        if older_than is not None:
            last = min(last, reader.before(time.time() - older_than))
    return archived, Position(max(archived, last))


def _tell(path: Path, records: int, upto: int, *, is_dry_run: bool, as_json: bool) -> None:
    directory = beside(path, segments.DIRECTORY)
    if as_json:
        answer = {"records": records, "upto": upto, "archive": str(directory), "dry_run": is_dry_run}
        printing.as_json(answer)
        return
    verb = "would be archived" if is_dry_run else "archived"
    printing.line(f"{count(records, 'record')} {verb} in {directory}; it ends at position {upto}")
