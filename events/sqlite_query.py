"""Questions to a log as SQLite understands them; `events.sqlite` asks."""

import json
from collections.abc import Iterable

import apsw

from events.ids import BuildId, Position
from events.query import MOVING, NOTABLE, Query


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


_NOTABLE = _quoted(NOTABLE)
# Of no weight: it holds the few records that are looked for most.
INDEX = f"CREATE INDEX IF NOT EXISTS records_of_note ON records(type, position) WHERE type IN ({_NOTABLE})"
# The job stands before anything that a client or worker may have put into the text; ids have 40 digits.
_JOB = 'substr(text, instr(text, \'"job":"\') + 7, 40)'
_MOVES = (
    f"SELECT position, type, {_JOB} FROM records WHERE {{build}} = ? AND position BETWEEN ? AND ?"  # noqa: S608  # words of ours
    f" AND type IN ({_quoted(MOVING)}) ORDER BY position"
)
# Where so much of what is recorded while a build goes on is its own, all is read rather than looked up.
_DENSE = 1 / 3


def moves(connection: apsw.Connection, build: BuildId, upto: Position) -> tuple[str, tuple[object, ...]]:
    """The SELECT for what moved a build's jobs, and its values."""
    [(first, count)] = connection.execute(
        "SELECT min(position), count(*) FROM records WHERE build = ? AND position <= ?", (build, upto)
    )
    is_dense = count > _DENSE * (upto - (first or 0))
    return _MOVES.format(build="+build" if is_dense else "build"), (build, first, upto)


def statement(query: Query, columns: str = "position, at, type, text") -> tuple[str, list[object]]:
    """The SELECT for a query, and its values; by default its rows are as `decode_rows` takes them."""
    terms, values = ["position > ?", "position <= ?"], list[object]((query.after, query.upto))
    if query.subject:
        terms.append(f"{query.subject.kind} = ?")
        values.append(query.subject.id)
    if query.types:
        terms.append(f"type IN ({', '.join('?' * len(query.types))})")
        values += query.types
        if not query.subject and set(query.types) <= set(NOTABLE):
            terms.append(f"type IN ({_NOTABLE})")  # as the index has it, else it is not used
    if query.jobs:
        terms.append(f"{_JOB} IN (SELECT value FROM json_each(?))")  # noqa: S608  # words of ours
        values.append(json.dumps(list(query.jobs)))
    if query.text:
        terms.append("instr(text, ?)")
        values.append(query.text)
    order = "DESC" if query.newest_first else "ASC"
    where = " AND ".join(terms)
    return (
        f"SELECT {columns} FROM records WHERE {where} ORDER BY position {order} LIMIT ?",  # noqa: S608  # only words of ours, values are bound
        [*values, query.limit],
    )
