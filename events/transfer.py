"""Logs as JSON lines, so that they can be sent, kept and compared, and become logs again byte for byte.

A line is a record's text with its chain hash as one more field. Who alters, removes or moves a line would
have to alter every line after it too; `load` names the first line that does not fit.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from events import codec
from events.codec import FromTheFuture, Unreadable, decode, read_head
from events.log import GENESIS, CorruptLog, Entry, LogFromTheFuture, link, verified

_CHAINED = re.compile(rb',"chain":"([0-9a-f]{64})"\}\Z')


def dump(entry: Entry) -> bytes:
    """The entry as a line, without its end."""
    return with_chain(entry.text, entry.chain)


def with_chain(text: bytes, chain: bytes) -> bytes:
    """A record's text with its hash, as a line."""
    return b'%b,"chain":"%b"}' % (text[:-1], chain.hex().encode())


def is_chained(line: bytes) -> bool:
    """Does the line carry a chain hash?"""
    return _CHAINED.search(line) is not None


def split(line: bytes) -> tuple[bytes, bytes]:
    """The record's text and its hash; no hash where there is none."""
    found = _CHAINED.search(line)
    return (line, b"") if found is None else (line[: found.start()] + b"}", bytes.fromhex(found[1].decode()))


def load(lines: Iterable[bytes]) -> Iterator[Entry]:
    """The entries of a whole log's lines; raises `CorruptLog` or `LogFromTheFuture` at the first bad one.

    Lines as a coordinator streams them carry no hashes. If the first has none, none may have one, and
    the chain begins with this reading: then what was altered before is not found, what is missing is.
    """
    rest = iter(lines)
    first = next(rest, None)
    if first is None:
        return
    entries = _parse_all(chain((first,), rest), are_chained=is_chained(first))
    yield from verified(entries)


def _parse_all(lines: Iterable[bytes], *, are_chained: bool) -> Iterator[Entry]:
    previous, written_in = GENESIS, 1
    for number, line in enumerate(lines, start=1):
        text, hash_ = _split(number, line, are_chained=are_chained)
        try:
            written_in = read_head(text).format or written_in
            record = decode(text, written_in)
        except Unreadable as error:
            if hash_ and hash_ != link(previous, text):
                raise CorruptLog(f"record {number} was altered: its chain hash is wrong") from error
            if isinstance(error, FromTheFuture):
                raise LogFromTheFuture(str(error)) from error
            raise CorruptLog(f"record {number} is unreadable in line {number}: {error}") from error
        previous = hash_ or link(previous, text)
        yield Entry(record, text, previous, is_old=written_in < codec.FORMAT)


def _split(number: int, line: bytes, *, are_chained: bool) -> tuple[bytes, bytes]:
    text, hash_ = split(line)
    if are_chained and not hash_:
        raise CorruptLog(f"record {number} was altered: its line has no chain hash")
    if hash_ and not are_chained:
        raise CorruptLog(f"record 1 was altered: its line has no chain hash, that of record {number} has one")
    return text, hash_
