"""A form with a file in it (`multipart/form-data`), whose bytes are passed on as they come.

Parsed here, because the parser that comes with Quart adds a byte to a part now and then, depending on how the
bytes of its boundary were split on their way.
"""

from collections.abc import AsyncIterable, AsyncIterator

from quart import request
from werkzeug.http import parse_options_header

from clients.codec import Malformed

HEAD_BYTES_MAX = 8192
FIELD_BYTES_MAX = 4096
FIELDS_MAX = 32


def boundary() -> bytes | None:
    """What parts the request's form; None if its body is no form. Raises `Malformed`."""
    if request.mimetype != "multipart/form-data":
        return None
    text = request.mimetype_params.get("boundary", "")
    if not text or len(text) > 70:  # RFC 2046, section 5.1.1
        raise Malformed("the form's content type names no boundary, or too long a one")
    return text.encode("latin-1", "replace")


class Form(AsyncIterator[bytes]):
    """Iterate over the bytes of the part `file`; `fields` and `filename` are whole when that has ended."""

    def __init__(self, chunks: AsyncIterable[bytes], boundary: bytes) -> None:
        self.fields: dict[str, str] = {}
        self.filename = ""
        self._chunks = aiter(chunks)
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")  # the first delimiter may stand at the very beginning
        self._has_begun = False
        self._had_file = False
        self._in_file = False
        self._is_over = False

    async def __anext__(self) -> bytes:
        if not self._has_begun:
            self._has_begun = True
            await self._skip_preamble()
        while not self._is_over:
            if not self._in_file:
                await self._begin_part()
                continue
            data, is_last = await self._piece()
            if is_last:
                self._in_file = False
                await self._end_part()
            if data:
                return data
        if not self._had_file:
            raise Malformed('the form has no part "file"')
        async for _ in self._chunks:
            pass  # what follows the end of a form means nothing
        raise StopAsyncIteration

    async def _skip_preamble(self) -> None:
        while not (await self._piece())[1]:
            pass
        await self._end_part()

    async def _begin_part(self) -> None:
        name, filename = _disposition(await self._upto(b"\r\n\r\n", HEAD_BYTES_MAX))
        if filename is None:
            await self._read_field(name)
            return
        if name != "file" or self._had_file:
            raise Malformed('the form must have one file, in its part "file"')
        self._had_file = self._in_file = True
        self.filename = filename

    async def _read_field(self, name: str) -> None:
        text, is_last = bytearray(), False
        while not is_last:
            data, is_last = await self._piece()
            text += data
            if len(text) > FIELD_BYTES_MAX or len(self.fields) >= FIELDS_MAX:
                raise Malformed("the form has too many fields, or too long a one")
        try:
            self.fields[name] = text.decode()
        except UnicodeDecodeError as error:
            raise Malformed(f"the field {name[:40]!r} is not UTF-8") from error
        await self._end_part()

    async def _end_part(self) -> None:
        """What stands behind a delimiter: two dashes end the form, a line's end begins a part."""
        rest = await self._upto(b"\n", HEAD_BYTES_MAX, or_after=b"--")
        self._is_over = rest.startswith(b"--")
        if not self._is_over:
            if rest.strip(b" \t\r"):
                raise Malformed("not a form: something stands beside a boundary")
            self._buffer[:0] = b"\r\n"  # so that a part without headers has an end of them, too

    async def _piece(self) -> tuple[bytes, bool]:
        """More of a part, and whether that was the last of it."""
        kept = len(self._delimiter) - 1
        while True:
            place = self._buffer.find(self._delimiter)
            if place >= 0:
                return self._take(place, len(self._delimiter)), True
            if len(self._buffer) > kept:
                return self._take(len(self._buffer) - kept), False
            await self._more()

    async def _upto(self, end: bytes, bytes_max: int, *, or_after: bytes = b"") -> bytes:
        """What comes before `end`, which is passed over; or `or_after`, if it begins with that."""
        while True:
            if or_after and self._buffer.startswith(or_after):
                return or_after
            place = self._buffer.find(end)
            if place >= 0:
                return self._take(place, len(end))
            if len(self._buffer) > bytes_max:
                raise Malformed("not a form: its headers are too long")
            await self._more()

    def _take(self, length: int, passed_over: int = 0) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[: length + passed_over]
        return taken

    async def _more(self) -> None:
        data = await anext(self._chunks, b"")
        if not data:
            raise Malformed("not a form, or one that ends too soon")
        self._buffer += data


def _disposition(head: bytes) -> tuple[str, str | None]:
    """The name of a part, and of the file that it is; raises `Malformed`."""
    for line in head.decode("utf-8", "replace").split("\r\n"):
        header, _, value = line.partition(":")
        if header.strip().lower() == "content-disposition":
            kind, options = parse_options_header(value)
            if kind == "form-data" and "name" in options:
                return options["name"], options.get("filename")
    raise Malformed("a part of the form has no name")
