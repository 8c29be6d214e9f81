"""Records in the compact form, for browsers: a third of the lines' bytes, and the very same values.

A frame is a JSON object that can be read without any other. It holds whole commands; of one that is too large
for a frame, each but the last says `"more":true`. Records stand in it by columns: what all of a kind have in
common once, ids as bytes, times and positions as differences. `coordinator/http/README.md` tells how it is
read, for those who do it elsewhere.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from itertools import pairwise, repeat
from typing import Any, TypeAlias

from attrs import Factory, define

from clients.codec import dumps, loads

# Of fewer records, what they have in common costs more to say than it saves.
RECORDS_MIN = 4
MICRO = 1_000_000
SECONDS_MAX = 9e9
TEXTS = "texts"
_HEX = re.compile(r"(?:[0-9a-f]{2}){8,64}\Z")
_HEAD = frozenset({"position", "at", "type"})

Fields: TypeAlias = dict[str, Any]


def encode(lines: Sequence[bytes], *, more: bool = False) -> bytes:
    """One frame of records, of which there is one at least. `more`: the command of the last one goes on."""
    end: Fields = {"position": loads(lines[-1])["position"], **({"more": True} if more else {})}
    if len(lines) < RECORDS_MIN:
        return dumps(end)[:-1] + b',"records":[' + b",".join(lines) + b"]}"
    return dumps({**end, **_by_columns([loads(line) for line in lines])})


def decode(frame: bytes) -> list[Fields]:
    """The records of a frame, as the values of their lines."""
    value = loads(frame)
    return list(value["records"] if "records" in value else _read(value))


@define
class _Tables:
    """Texts in the order of their first use; those of hex digits by their length, all others together."""

    _places: dict[str, dict[str, int]] = Factory(dict)

    def refer(self, table: str, text: str) -> int:
        """0 for a text that is new there, and else its place, from 1 on."""
        places = self._places.setdefault(table, {})
        place = places.get(text, 0)
        if not place:
            places[text] = len(places) + 1
        return place

    def told(self) -> Fields:
        return {
            table: list(places) if table == TEXTS else b64encode(bytes.fromhex("".join(places))).decode()
            for table, places in self._places.items()
        }


def _by_columns(records: Sequence[Fields]) -> Fields:
    groups: dict[tuple[str, ...], list[Fields]] = {}
    for record in records:
        groups.setdefault((record["type"], *record), []).append(record)
    numbers = {kind: number for number, kind in enumerate(groups)}
    tables = _Tables()
    kinds = [_kind(group, tables) for group in groups.values()]
    positions = [records[0]["position"] - 1, *(record["position"] for record in records)]
    start = _micro(records[0]["at"])
    return {
        "order": [numbers[record["type"], *record] for record in records],
        "after": positions[0],
        "steps": [after - before for before, after in pairwise(positions)],
        "start": start,
        "times": list(_times(records, start)),
        "tables": tables.told(),
        "kinds": kinds,
    }


def _times(records: Sequence[Fields], micro: int) -> Iterator[int | str]:
    """Microseconds since the record before, or the time itself, as text, if it is no whole number of them."""
    for record in records:
        before, now = micro, _micro(record["at"])
        if now / MICRO == record["at"]:
            micro = now
            yield now - before
        else:
            yield dumps(record["at"]).decode()


def _micro(at: float) -> int:
    """The time in microseconds; 0 for one so far away that a browser could not count them."""
    return round(at * MICRO) if at < SECONDS_MAX else 0


def _kind(records: Sequence[Fields], tables: _Tables) -> Fields:
    """Records of one type and with the same fields: what they have in common, and a column for all else."""
    same, columns = {}, {}
    for name in records[0]:
        values = [record[name] for record in records]
        if name in _HEAD:
            continue
        if len({dumps(value) for value in values}) == 1:
            same[name] = values[0]
        else:
            columns[name] = _column(values, tables)
    return {"type": records[0]["type"], "same": same, "columns": columns}


def _column(values: Sequence[Any], tables: _Tables) -> Fields:
    texts = [text for value in values for text in (value if type(value) is list else [value])]
    if not all(type(text) is str for text in texts):
        return {"values": values}
    sizes = {len(text) if _HEX.match(text) else 0 for text in texts}
    table = str(sizes.pop()) if len(sizes) == 1 and 0 not in sizes else TEXTS
    refer = tables.refer
    return {
        "table": table,
        "texts": [
            [refer(table, text) for text in value] if type(value) is list else refer(table, value)
            for value in values
        ],
    }


def _read(frame: Fields) -> Iterator[Fields]:
    tables = {name: _texts(name, said) for name, said in frame["tables"].items()}
    unread = {name: iter(texts) for name, texts in tables.items()}
    kinds = [(kind, _rows(kind["columns"], tables, unread)) for kind in frame["kinds"]]
    position, micro = frame["after"], frame["start"]
    for number, step, time in zip(frame["order"], frame["steps"], frame["times"], strict=True):
        kind, rows = kinds[number]
        position += step
        micro += time if type(time) is int else 0
        at = micro / MICRO if type(time) is int else float(time)
        yield {"position": position, "at": at, "type": kind["type"], **kind["same"], **next(rows)}


def _rows(
    columns: Fields, tables: dict[str, list[str]], unread: dict[str, Iterator[str]]
) -> Iterator[Fields]:
    """What the columns say of each record of their kind; nothing, again and again, if there are none."""
    if not columns:
        return repeat({})
    rows = zip(*(_values(column, tables, unread) for column in columns.values()), strict=True)
    return (dict(zip(columns, row, strict=True)) for row in rows)


def _texts(name: str, said: Any) -> list[str]:
    if name == TEXTS:
        return list(said)
    digits, size = b64decode(said).hex(), int(name)
    return [digits[start : start + size] for start in range(0, len(digits), size)]


def _values(column: Fields, tables: dict[str, list[str]], unread: dict[str, Iterator[str]]) -> list[Any]:
    if "values" in column:
        return list(column["values"])
    table, news = tables[column["table"]], unread[column["table"]]

    def text(place: int) -> str:
        return table[place - 1] if place else next(news)

    return [
        [text(each) for each in said] if isinstance(said, list) else text(said) for said in column["texts"]
    ]
