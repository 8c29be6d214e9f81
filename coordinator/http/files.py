"""The store of files: bytes in, a UUID out, and back again, always as something to keep, never to show."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from quart import Blueprint, Response, request, url_for
from werkzeug.http import parse_range_header

from clients import codec
from clients.codec import Malformed
from clients.server import receive_chunks
from coordinator.files import READ_BYTES, Files, Wish
from coordinator.http import asked, who
from coordinator.http.errors import answer_json, as_rejected
from coordinator.http.form import Form, boundary
from coordinator.parts import Parts
from events.catalog import FileStored
from events.errors import MALFORMED, Rejected
from events.ids import FileId, is_uuid
from events.model import File
from events.state import State

JSON = "application/json"
FILE_BYTES_MAX = 16 << 30
NAME_CHARS_MAX = 255
PAGE_DEFAULT, PAGE_MAX = 100, 1000


def blueprint(parts: Parts) -> Blueprint:
    """The routes below /api/files."""
    files = Blueprint("files", __name__)
    _add_writing(files, parts)
    _add_reading(files, parts)

    @files.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
        return answer_json(as_rejected(error))

    return files


def _add_writing(files: Blueprint, parts: Parts) -> None:
    @files.post("/files")
    async def store() -> Response:
        user, mark = who.user(), boundary()
        chunks = receive_chunks(bytes_max=FILE_BYTES_MAX)
        form = None if mark is None else Form(chunks, mark)
        async with parts.files.drafted(form or chunks) as draft:
            stored = await parts.files.store(draft, _wish(form, user))
        href = url_for("files.data", id_=stored.file, _external=False)
        return Response(codec.dumps(_shown(stored)), 201, {"Location": href}, content_type=JSON)

    @files.delete("/files/<id_>")
    async def drop(id_: str) -> Response:
        file = FileId(_uuid(id_))
        who.may((await parts.files.find(file)).user)
        await parts.files.drop(file, "deleted")
        return Response(b"", 204)


def _add_reading(files: Blueprint, parts: Parts) -> None:
    @files.get("/files")
    async def listing() -> Response:
        limit = min(asked.number("limit", PAGE_DEFAULT), PAGE_MAX)
        if not limit:
            raise Rejected(MALFORMED, "limit must be a whole number from 1 on")
        after, user = request.args.get("after", ""), request.args.get("user")
        page = await parts.core.view(lambda state: _page(state, user, after, limit))
        return Response(codec.dumps(page), content_type=JSON)

    @files.get("/files/<id_>")
    async def data(id_: str) -> Response:
        file_id = FileId(_uuid(id_))
        part = await _part(parts.files, file_id)
        if part is not None:
            return part
        checked = await parts.files.open(file_id)
        return Response(checked, 200, _headers(file_id, checked.file, checked.file.size))


async def _part(files: Files, id_: FileId) -> Response | None:
    """The bytes that the request asks for, None if that is all of them."""
    wanted = parse_range_header(request.headers.get("Range"))
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    file = await files.find(id_)
    span = wanted.range_for_length(file.size)
    if span is None:
        return Response(b"", 416, {"Content-Range": f"bytes */{file.size}"})
    begin, end = span
    headers = {
        **_headers(id_, file, end - begin),
        "Content-Range": f"bytes {begin}-{end - 1}/{file.size}",
    }
    first = await files.read(file, begin, min(READ_BYTES, end - begin))
    return Response(_span(files, file, begin, end, first), 206, headers)


async def _span(files: Files, file: File, begin: int, end: int, data: bytes) -> AsyncIterator[bytes]:
    while data:
        yield data
        begin += len(data)
        data = await files.read(file, begin, min(READ_BYTES, end - begin)) if begin < end else b""


def _headers(id_: FileId, file: File, length: int) -> dict[str, str]:
    """Bytes from strangers: nothing that a browser should show as ours."""
    name = quote(file.name or id_, safe="")
    return {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(length),
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
        "ETag": f'"{file.blob}"',
    }


def _wish(form: Form | None, user: str) -> Wish:
    """What the query says of the file, or else the form around it."""
    fields = {**(form.fields if form else {}), **request.args.to_dict()}
    name = fields.get("name", form.filename if form else "")
    if len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise Malformed(f"name must be up to {NAME_CHARS_MAX} printable characters")
    return Wish(
        name=name,
        executable=_truth("executable", fields.get("executable", "0")),
        user=user,
        digest=_digest(fields.get("digest", "")),
    )


def _truth(field: str, text: str) -> bool:
    words = {"1": True, "true": True, "0": False, "false": False}
    if text.lower() not in words:
        raise Malformed(f"{field} must be 1 or 0, true or false, not {text[:40]!r}")
    return words[text.lower()]


def _digest(text: str) -> str:
    digits = text.lower().removeprefix("sha256:")
    if digits and not (len(digits) == 64 and all(digit in "0123456789abcdef" for digit in digits)):
        raise Malformed("digest must be a SHA-256 as 64 hex digits")
    return digits


def _uuid(text: str) -> str:
    if not is_uuid(text.lower()):
        raise Malformed(f"not a UUID: {text[:80]!r}")
    return text.lower()


def _page(state: State, user: str | None, after: str, limit: int) -> dict[str, Any]:
    """Files, newest first, from the one that came before `after` on."""
    found: list[dict[str, Any]] = []
    is_due = not after
    for id_, file in reversed(state.files.items()):
        if is_due and (user is None or file.user == user):
            if len(found) == limit:
                return {"files": found, "next": found[-1]["id"]}
            found.append({**_described(id_, file), "stored_at": file.stored_at})
        is_due = is_due or id_ == after
    return {"files": found, "next": None}


def _shown(stored: FileStored) -> dict[str, Any]:
    return _described(stored.file, stored)


def _described(id_: FileId, file: File | FileStored) -> dict[str, Any]:
    return {
        "id": id_,
        "name": file.name,
        "size": file.size,
        "sha256": file.blob,
        "executable": file.executable,
        "user": file.user,
    }
