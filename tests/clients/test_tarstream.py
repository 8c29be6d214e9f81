"""The pure reader of tar streams, against arbitrary trees, arbitrary chunking and arbitrary damage."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.tarstream import LIMITS, Decoder, Entry, UnsafeArchive, check_path, encode_end, encode_entry

components = st.text(
    st.characters(exclude_characters="/\0\\", codec="utf-8"), min_size=1, max_size=60
).filter(lambda text: text not in (".", ".."))
paths = st.lists(components, min_size=1, max_size=6).map(lambda parts: "/".join(parts).encode())
files = st.builds(
    lambda path, executable, contents: (
        Entry(path=path, is_executable=executable, size=len(contents)),
        contents,
    ),
    paths,
    st.booleans(),
    st.binary(max_size=1500),
)
directories = st.builds(lambda path: (Entry(path=path, is_directory=True), b""), paths)
members = st.lists(files | directories, max_size=8)


def _encoded(entries: list[tuple[Entry, bytes]]) -> bytes:
    blocks = [encode_entry(entry) + contents + bytes(entry.padding) for entry, contents in entries]
    return b"".join(blocks) + encode_end()


def _decoded(data: bytes, size: int) -> list[tuple[Entry, bytes]]:
    decoder = Decoder(LIMITS)
    found: list[tuple[Entry, bytes]] = []
    for start in range(0, len(data), size):
        for event in decoder.feed(data[start : start + size]):
            if isinstance(event, Entry):
                found.append((event, b""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + event)
    decoder.close()
    return found


@given(members, st.integers(1, 3000))
def test_what_is_encoded_is_decoded(entries: list[tuple[Entry, bytes]], size: int) -> None:
    """Whatever the names and however the stream is cut, the same entries come out."""
    assert _decoded(_encoded(entries), size) == entries


@given(members)
def test_the_standard_library_reads_the_same(entries: list[tuple[Entry, bytes]]) -> None:
    """Another reader of tar sees the same names, sizes and executable bits."""
    with tarfile.open(fileobj=io.BytesIO(_encoded(entries))) as archive:
        seen = [(member.name, member.size, member.isdir()) for member in archive]
    assert seen == [(entry.path.decode(), entry.size, entry.is_directory) for entry, _ in entries]


@given(members, st.data())
def test_damage_never_breaks_out(entries: list[tuple[Entry, bytes]], data: st.DataObject) -> None:
    """A flipped byte gives either checked entries or a refusal, never another error."""
    encoded = bytearray(_encoded(entries))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    try:
        found = _decoded(bytes(encoded), 700)
    except UnsafeArchive:
        return
    for entry, _ in found:
        assert check_path(entry.path, LIMITS) == entry.path


@given(st.binary(max_size=3000))
def test_noise_is_refused(noise: bytes) -> None:
    """Bytes that are no archive are refused, unless they are the zeros that end one."""
    if noise.strip(b"\0"):
        with pytest.raises(UnsafeArchive):
            _decoded(noise, 512)
