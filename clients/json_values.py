"""JSON values as servers stream them and errors as servers word them.

distbuild's build stream is a concatenation of JSON objects: several in one chunk, one over many chunks,
with newlines between them or without.
"""

import re
from typing import Any

from clients import codec
from clients.codec import Malformed

VALUE_BYTES_MAX = 256 << 20
# All that matters for finding an object's end; base64 output, the bulk of a stream, has none of these.
_MARK = re.compile(rb'["\\{}\[\]]')
_SOLID = re.compile(rb"[^ \t\r\n]")
_STRING_MARK = re.compile(rb'["\\]')


class Splitter:
    """Cuts a stream of concatenated JSON objects into the bytes of each; looks at every byte once."""

    def __init__(self, *, bytes_max: int = VALUE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._buffer = bytearray()
        self._seen = 0
        self._depth = 0
        self._in_string = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The objects that are complete with these bytes. Raises `Malformed` at anything but objects."""
        self._buffer += chunk
        values = []
        while (end := self._find_end()) is not None:
            values.append(bytes(self._buffer[:end]))
            del self._buffer[:end]
            self._seen = 0
        if len(self._buffer) > self._bytes_max:
            raise Malformed(f"a JSON value exceeds {self._bytes_max} bytes")
        return values

    def close(self) -> None:
        """Raises `Malformed` if the stream ended within a value."""
        if self._depth or self._in_string:
            raise Malformed("the stream ended within a JSON value")

    def _find_end(self) -> int | None:
        if not self._depth:
            self._skip_space()
        while mark := (_STRING_MARK if self._in_string else _MARK).search(self._buffer, self._seen):
            if mark[0] == b"\\":
                if mark.end() == len(self._buffer):
                    self._seen = mark.start()  # what it escapes is in the next chunk
                    return None
                self._seen = mark.end() + 1
                continue
            self._seen = mark.end()
            self._step(mark[0])
            if not self._depth and not self._in_string:
                return self._seen
        self._seen = len(self._buffer)
        return None

    def _step(self, mark: bytes) -> None:
        if mark == b'"':
            self._in_string = not self._in_string
        else:
            self._depth += 1 if mark in b"{[" else -1

    def _skip_space(self) -> None:
        start = _SOLID.search(self._buffer)
        if start and start[0] != b"{":
            raise Malformed(f"expected a JSON object, not {bytes(self._buffer[start.start() :][:40])!r}")
        del self._buffer[: start.start() if start else None]
        self._seen = 0


def reason_of(text: str) -> str:
    """What a refusal's body says: the words in distbuild's JSON, or the text itself.

    Our own error objects (kind "Error") stay whole: they carry a code and a fix beside the words.
    """
    try:
        value = codec.loads(text.encode())
    except (Malformed, UnicodeEncodeError):
        return text
    if not isinstance(value, dict) or value.get("kind") == "Error":
        return text
    return next((found for found in _messages(value) if found), text)


def _messages(value: dict[str, Any]) -> list[str]:
    failed = value.get("BuildFailed")
    inner = failed.get("Error") if isinstance(failed, dict) else None
    found = [inner, value.get("error"), value.get("Error"), value.get("message")]
    return [entry for entry in found if isinstance(entry, str)]
