"""The store of files over HTTP: what comes in goes out again, bit for bit, or not at all."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from clients import wire
from clients.codec import Malformed
from coordinator.http.form import Form
from tests.coordinator.live import Live, running

NOBODY = "00000000-0000-4000-8000-000000000000"
DATA = b"hello, file\n"
DIGEST = hashlib.sha256(DATA).hexdigest()
BOB = {"User-Id": "bob"}
MARK = {"content-type": "multipart/form-data; boundary=mark"}


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with running(tmp_path) as live:
        yield live


async def stored(
    live: Live, data: bytes = DATA, query: str = "", headers: dict[str, str] | None = None
) -> Any:
    reply = await live.call("POST", f"/api/files{query}", data, headers)
    assert reply.status == 201, reply.body
    return json.loads(reply.body)


async def refused(
    live: Live,
    status: int,
    method: str,
    target: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> str:
    """The code of the refusal."""
    reply = await live.call(method, target, body, headers)
    assert reply.status == status, reply.body
    error = json.loads(reply.body)
    assert error["kind"] == "Error"
    return str(error["code"])


def form(*parts: tuple[str, str, bytes]) -> bytes:
    """Parts by name, file name and contents; without a file name it is a field."""
    text = b""
    for name, file, contents in parts:
        where = f'; filename="{file}"' if file else ""
        text += f'--mark\r\nContent-Disposition: form-data; name="{name}"{where}\r\n\r\n'.encode()
        text += contents + b"\r\n"
    return text + b"--mark--\r\n"


async def test_what_goes_in_comes_out(live: Live) -> None:
    """With its digest, under a new id each time, as something to keep."""
    first = await stored(
        live, query="?name=gr%C3%BC%C3%9Fe.txt&executable=1", headers={"X-Remote-User": "ada"}
    )
    again = await stored(live)
    assert first.pop("id") != again.pop("id")
    assert first == {
        "name": "grüße.txt",
        "size": len(DATA),
        "sha256": DIGEST,
        "executable": True,
        "user": "ada",
    }
    assert again == {"name": "", "size": len(DATA), "sha256": DIGEST, "executable": False, "user": ""}
    [_, listed] = (await live.get("/api/files"))["files"]
    reply = await live.call("GET", f"/api/files/{listed['id']}")
    headers = dict(reply.headers)
    assert reply.body == DATA
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''gr%C3%BC%C3%9Fe.txt"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["etag"] == f'"{DIGEST}"'


async def test_a_form_brings_one_too(live: Live) -> None:
    """Its fields may stand before the file or after it; what is said in the query counts more."""
    body = form(("executable", "", b"1"), ("file", "tool.sh", DATA), ("digest", "", DIGEST.encode()))
    made = await stored(live, body, headers=MARK)
    assert (made["name"], made["executable"], made["sha256"]) == ("tool.sh", True, DIGEST)
    assert (await stored(live, body, "?name=other", MARK))["name"] == "other"
    wrong = form(("file", "tool.sh", DATA), ("digest", "", b"0" * 64))
    assert await refused(live, 400, "POST", "/api/files", wrong, MARK) == "TZ-1033"


@pytest.mark.parametrize(
    "body",
    [
        form(),
        form(("name", "", b"x")),
        form(("other", "x", b"x")),
        form(("file", "x", b"x"), ("file", "y", b"y")),
        form(("name", "", b"\xff"), ("file", "x", b"x")),
        form(("name", "", b"x" * 5000), ("file", "x", b"x")),
        form(("file", "x", DATA))[:-10],
        b"--mark\r\nContent-Type: text/plain\r\n\r\nx\r\n--mark--\r\n",
        b"garbage",
        b"",
    ],
)
async def test_what_is_no_form_with_a_file_is_refused(live: Live, body: bytes) -> None:
    """And leaves nothing."""
    assert await refused(live, 400, "POST", "/api/files", body, MARK) == "TZ-1001"
    assert (await live.get("/api/files"))["files"] == []


@given(
    st.binary(max_size=100) | st.text("\r\n-mark").map(str.encode), st.lists(st.integers(1, 30), max_size=20)
)
def test_a_form_may_come_in_any_pieces(data: bytes, sizes: list[int]) -> None:
    """The boundary of it lies in no file, whatever else does."""
    body = form(("before", "", b"1"), ("file", "x", data), ("after", "", b"2"))

    async def pieces() -> AsyncIterator[bytes]:
        start = 0
        for size in [*sizes, len(body)]:
            if start < len(body):
                yield body[start : start + size]
            start += size

    async def read() -> tuple[bytes, dict[str, str], str]:
        parsed = Form(pieces(), b"mark")
        return b"".join([piece async for piece in parsed]), parsed.fields, parsed.filename

    assert trio.run(read) == (data, {"before": "1", "after": "2"}, "x")


async def test_a_form_that_ends_too_soon_is_none() -> None:
    """Or what had come so far would be taken for the file."""

    async def half() -> AsyncIterator[bytes]:
        yield form(("file", "x", b"half of it"))[:-12]

    with pytest.raises(Malformed):
        [piece async for piece in Form(half(), b"mark")]


async def test_a_part_of_it_can_be_had(live: Live) -> None:
    """One range, from the beginning or the end."""
    id_ = (await stored(live))["id"]
    for asked, begin, end in (("0-4", 0, 5), ("7-", 7, 12), ("-5", 7, 12), ("3-99", 3, 12)):
        reply = await live.call("GET", f"/api/files/{id_}", headers={"Range": f"bytes={asked}"})
        assert (reply.status, reply.body) == (206, DATA[begin:end])
        assert dict(reply.headers)["content-range"] == f"bytes {begin}-{end - 1}/12"
    reply = await live.call("GET", f"/api/files/{id_}", headers={"Range": "bytes=12-"})
    assert (reply.status, dict(reply.headers)["content-range"]) == (416, "bytes */12")
    for asked in ("bytes=0-1,3-4", "lines=1-2", "nonsense"):
        assert (await live.call("GET", f"/api/files/{id_}", headers={"Range": asked})).body == DATA


async def test_a_deleted_file_is_gone_and_an_unknown_one_never_was(live: Live, tmp_path: Path) -> None:
    """410 and 404, also after a restart; and its bytes stay while another file has them."""
    first, second = (await stored(live))["id"], (await stored(live))["id"]
    assert (await live.call("DELETE", f"/api/files/{first.upper()}")).status == 204
    assert (await live.call("GET", f"/api/files/{second}")).body == DATA
    for method in ("GET", "DELETE"):
        assert await refused(live, 410, method, f"/api/files/{first}") == "TZ-1031"
        assert await refused(live, 404, method, f"/api/files/{NOBODY}") == "TZ-1030"
        assert await refused(live, 400, method, "/api/files/x") == "TZ-1001"
    assert (await live.call("DELETE", f"/api/files/{second}")).status == 204
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
    live.stop.set()
    await live.stopped.wait()
    async with running(tmp_path) as again:
        assert await refused(again, 410, "GET", f"/api/files/{first}") == "TZ-1031"


async def test_only_its_owner_deletes_a_file(live: Live) -> None:
    """And whoever gives no name; what nobody owns is everybody's."""
    basic = {"Authorization": "Basic YWRhOnNlY3JldA=="}
    id_ = (await stored(live, headers=basic))["id"]
    shared = (await stored(live))["id"]
    assert await refused(live, 403, "DELETE", f"/api/files/{id_}", headers=BOB) == "TZ-1034"
    assert (await live.call("DELETE", f"/api/files/{shared}", headers=BOB)).status == 204
    assert [file["id"] for file in (await live.get("/api/files?user=ada"))["files"]] == [id_]
    assert (await live.get("/api/files?user=bob"))["files"] == []
    assert (await live.call("DELETE", f"/api/files/{id_}", headers=basic)).status == 204


async def test_pages_go_on_where_the_one_before_ended(live: Live) -> None:
    """Newest first; each file once."""
    made = [(await stored(live, str(number).encode()))["id"] for number in range(5)]
    seen, after = [], ""
    while True:
        page = await live.get(f"/api/files?limit=2&after={after}")
        seen += [file["id"] for file in page["files"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert seen == made[::-1]
    assert await refused(live, 400, "GET", "/api/files?limit=0") == "TZ-1001"


@pytest.mark.parametrize(
    "query", ["?executable=maybe", "?digest=12", f"?digest={'g' * 64}", "?name=a%00b", f"?name={'x' * 256}"]
)
async def test_what_makes_no_sense_is_refused(live: Live, query: str) -> None:
    assert await refused(live, 400, "POST", f"/api/files{query}", DATA) == "TZ-1001"


async def test_an_id_that_a_client_gave_to_other_contents_is_in_the_way(live: Live) -> None:
    """Neither replaces the other."""
    squatted = f"/file?id={DIGEST[:40]}"
    assert (await live.call("PUT", squatted, b"other")).status == 200
    assert await refused(live, 409, "POST", "/api/files", DATA) == "TZ-1017"
    assert (await live.call("GET", squatted)).body == b"other"


async def test_damaged_bytes_are_not_given_out(live: Live, tmp_path: Path) -> None:
    """A short file is refused as a whole, a long one breaks off before its end; both are gone then."""
    large = bytes(3 << 20)
    for data in (DATA, large):
        made = await stored(live, data)
        path = tmp_path / "blobs" / made["sha256"][:2] / made["sha256"][:40]
        await trio.Path(path).write_bytes(data[:-1] + b"!")
        try:
            reply = await live.call("GET", f"/api/files/{made['id']}")
        except wire.Unreachable:
            assert data is large
        else:
            assert (reply.status, data) == (410, DATA)
        assert await refused(live, 410, "GET", f"/api/files/{made['id']}") == "TZ-1031"
        assert not await trio.Path(path).exists()


async def test_lost_bytes_are_told(live: Live, tmp_path: Path) -> None:
    """Of all of it or of a part."""
    for headers in ({}, {"Range": "bytes=1-2"}):
        made = await stored(live)
        await trio.Path(tmp_path / "blobs" / DIGEST[:2] / DIGEST[:40]).unlink()
        reply = await live.call("GET", f"/api/files/{made['id']}", headers=headers)
        assert reply.status == 410
