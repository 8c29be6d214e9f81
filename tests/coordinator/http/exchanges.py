"""Exchanges with a coordinator, recorded once and replayed: what a dialect's peers say, and what they get.

A block of the file is a request line, headers, a body if there is one, and `=> STATUS ANSWER`. UUIDs stand as
`{1}`, `{2}` … in the order in which they came, times as `{seconds}`. A block that is `! TEXT` is for the test
to act on: a worker runs the next job, which prints that, or a request of that number is waited for.
"""

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.coordinator.live import Live

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Since 1970: there is no telling what they will be.
_SECONDS = re.compile(r"\b1[0-9]{9}\b")
_HEADER = re.compile(r"[A-Z][A-Za-z-]+: ")
Work = Callable[[str], Awaitable[None]]


class Exchange(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: str
    answer: str


def read(text: str) -> list[Exchange | str]:
    """The blocks of a file; what is done beside the exchanges as a text."""
    return [
        block[2:] if block.startswith("! ") else _exchange(block) for block in text.rstrip("\n").split("\n\n")
    ]


async def replay(live: Live, text: str, work: Work) -> str:
    """Carry the text out against a coordinator; what it would be with the answers of today."""
    known: list[str] = []
    blocks = []
    for block in read(text):
        if isinstance(block, str):
            await work(block)
            blocks.append(f"! {block}")
            continue
        body = _filled(block.body, known).encode()
        reply = await live.call(block.method, _filled(block.target, known), body, block.headers)
        answer = _emptied(reply.body.decode(), known)
        blocks.append(_written(block._replace(answer=f"{reply.status} {answer}".strip())))
    return "\n\n".join(blocks) + "\n"


def _exchange(block: str) -> Exchange:
    asked, _, answer = block.rpartition("\n=> ")
    line, *rest = asked.split("\n")
    method, _, target = line.partition(" ")
    headers = {}
    while rest and _HEADER.match(rest[0]):
        name, _, value = rest.pop(0).partition(": ")
        headers[name] = value
    return Exchange(method, target, headers, "\n".join(rest), answer)


def _written(exchange: Exchange) -> str:
    headers = [f"{name}: {value}" for name, value in exchange.headers.items()]
    body = [exchange.body] if exchange.body else []
    lines = [f"{exchange.method} {exchange.target}", *headers, *body, f"=> {exchange.answer}"]
    return "\n".join(lines)


def _filled(text: str, known: list[str]) -> str:
    for number, id_ in enumerate(known, start=1):
        text = text.replace(f"{{{number}}}", id_)
    return text


def _emptied(text: str, known: list[str]) -> str:
    for id_ in _UUID.findall(text):
        if id_ not in known and not id_.startswith("00000000"):
            known.append(id_)
    for number, id_ in enumerate(known, start=1):
        text = text.replace(id_, f"{{{number}}}")
    return _SECONDS.sub("{seconds}", text)
