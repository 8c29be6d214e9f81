"""Where an invariant stops to hold, or another version makes something else of the log."""

import json
import tempfile
from pathlib import Path
from typing import Any

from clients.cli import printing
from clients.cli.errors import usage
from clients.cli.exits import Exit
from clients.cli.log.replaying import stretch, unhindered
from clients.cli.log.versions import Parting, Version, differences, first_parting
from clients.cli.texts import columns, count, plain
from events.hindsight.bisect import INVARIANTS, Search, first_break
from events.ids import BEGINNING
from events.log import read_all
from events.sqlite import SqliteReader

PROBLEMS_SHOWN = 10
TEXT_CHARS_MAX = 120


def check(invariant: str, against: Path | None, *, is_thorough: bool) -> None:
    """Raises a usage error unless one thing is asked for."""
    if bool(invariant) == (against is not None):
        raise usage("bisect looks for one thing", fix="give either --invariant or --against")
    if invariant and invariant not in INVARIANTS:
        raise usage(f"there is no invariant {plain(invariant)!r}", fix=f"there are {', '.join(INVARIANTS)}")
    if against is not None and is_thorough:
        raise usage("--thorough is for --invariant", fix="leave it out")


def list_all(*, as_json: bool) -> int:
    if as_json:
        printing.as_json({"invariants": dict(INVARIANTS)})
    else:
        printing.lines(columns(("INVARIANT", "IT HOLDS THAT"), list(INVARIANTS.items())))
    return Exit.OK


def invariant(reader: SqliteReader, name: str, *, is_thorough: bool, as_json: bool) -> int:
    """0 if it holds, else 1 and where it breaks."""
    with unhindered():
        found = first_break(stretch(reader, BEGINNING, reader.head()), name, is_thorough=is_thorough)
    if as_json:
        printing.as_json(_values(name, found, is_thorough=is_thorough))
    else:
        printing.lines(_told(name, found))
    return Exit.JOB_FAILED if found.found else Exit.OK


def against(reader: SqliteReader, path: Path, *, as_json: bool) -> int:
    """0 if both versions agree, else 1 and where they part."""
    theirs, head = Version.at(path), reader.head()
    with tempfile.TemporaryDirectory(prefix="terzetto-log-") as directory:
        lines = Path(directory) / "log.jsonl"
        with lines.open("wb") as file:
            for entry in read_all(reader):
                if entry.record.position > head:
                    break
                file.write(entry.text + b"\n")
        parting = first_parting(lines, head, Version.ours(), theirs)
    if as_json:
        printing.as_json(_parting_values(parting, head))
    elif parting is None:
        printing.line(f"no difference seen: {count(head, 'record')}")
    else:
        printing.lines(_parting_told(parting))
    return Exit.JOB_FAILED if parting else Exit.OK


def _told(name: str, found: Search) -> list[str]:
    broken = found.found
    if broken is None:
        return [f"{name}: no break seen, {count(found.records, 'record')}, {count(found.looks, 'look')}"]
    where = f"{broken.position}"
    if broken.began_at != broken.position:
        where += f", with the command whose records begin at {broken.began_at}"
    lines = [f"{name} breaks at {where}"]
    lines += [f"  {_cut(plain(text))}" for text in broken.problems[:PROBLEMS_SHOWN]]
    hidden = len(broken.problems) - PROBLEMS_SHOWN
    return [*lines, f"  and {hidden} more"] if hidden > 0 else lines


def _values(name: str, found: Search, *, is_thorough: bool) -> dict[str, Any]:
    broken = found.found
    return {
        "invariant": name,
        "holds": broken is None,
        "thorough": is_thorough,
        "records": found.records,
        "looks": found.looks,
        "began_at": broken and broken.began_at,
        "position": broken and broken.position,
        "problems": list(broken.problems) if broken else [],
    }


def _parting_told(parting: Parting) -> list[str]:
    rows = [
        (path, _cut(json.dumps(ours)), _cut(json.dumps(theirs)))
        for path, ours, theirs in differences(parting.ours, parting.theirs)
    ]
    header = ("WHERE", "THIS VERSION", "THE OTHER")
    hidden = [f"and {len(rows) - PROBLEMS_SHOWN} more"] if len(rows) > PROBLEMS_SHOWN else []
    first = f"the versions part at {parting.position}"
    return [first, *columns(header, rows[:PROBLEMS_SHOWN]), *hidden]


def _parting_values(parting: Parting | None, head: int) -> dict[str, Any]:
    if parting is None:
        return {"agrees": True, "records": head, "position": None, "differences": []}
    places = differences(parting.ours, parting.theirs)
    told = [{"path": path, "ours": ours, "theirs": theirs} for path, ours, theirs in places]
    return {"agrees": False, "records": head, "position": parting.position, "differences": told}


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS_MAX else f"{text[: TEXT_CHARS_MAX - 1]}…"
