"""Exchanges with composer workers, kept as they should be for ever, and had again.

A word in angle brackets stands for a text that is made anew each time, the same wherever it stands; `<27>`
for any of so many characters.
"""

import json
import re
from pathlib import Path
from typing import Any

from tests.coordinator.live import running

EXCHANGES = Path(__file__).parent / "composer_exchanges.jsonl"
_NAMED = re.compile(r"<(\w+)>")


def pattern(text: str, known: dict[str, str]) -> str:
    """What the text may be, as a regular expression."""
    parts = _NAMED.split(text)
    for place in range(1, len(parts), 2):
        name = parts[place]
        if name.isdigit():
            parts[place] = f".{{{name}}}"
        elif name in known:
            parts[place] = re.escape(known[name])
        else:
            parts[place] = f"(?P<{name}>[0-9a-f-]{{36}}|[0-9a-f]{{40}})"
    return "".join(part if place % 2 else re.escape(part) for place, part in enumerate(parts))


def compare(expected: Any, found: Any, known: dict[str, str]) -> None:
    """The same, in the same order; what is named for the first time is learnt."""
    if isinstance(expected, dict):
        assert list(expected) == list(found)
        for key, value in expected.items():
            compare(value, found[key], known)
    elif isinstance(expected, list):
        assert len(expected) == len(found)
        for value, other in zip(expected, found, strict=True):
            compare(value, other, known)
    elif isinstance(expected, str):
        match = re.fullmatch(pattern(expected, known), found)
        assert match, (expected, found, known)
        known |= match.groupdict()
    else:
        assert expected == found


async def test_the_exchanges_are_had_again(tmp_path: Path) -> None:
    """Status, names, their order, values: all is as it was."""
    known: dict[str, str] = {}
    async with running(tmp_path, composer_request_seconds=0.05) as live:
        for line in EXCHANGES.read_text().splitlines():
            exchange = json.loads(line)
            path, sent = (
                _NAMED.sub(lambda name: known[name[1]], exchange.get(key, "")) for key in ("path", "send")
            )
            headers = {"content-type": exchange["type"]} if "type" in exchange else {}
            reply = await live.call(exchange["method"], path, sent.encode(), headers)
            assert reply.status == exchange["status"], (line, reply.body)
            body = reply.body.decode()
            assert not body or reply.headers["content-type"] == "application/json"
            compare(exchange["body"], json.loads(body) if body else "", known)
