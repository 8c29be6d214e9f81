"""Packing and unpacking real directories: what is kept, what is refused, and that nothing is left behind."""

import io
import os
import socket
import stat
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import trio

from clients.archive import LIMITS, Limits, UnsafeArchive, pack, survey, unpack

Member = tuple[tarfile.TarInfo, bytes]


async def _packed(directory: Path, *, limits: Limits = LIMITS) -> bytes:
    async with aclosing(pack(directory, limits=limits)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def _pieces(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        await trio.lowlevel.checkpoint()
        yield data[start : start + size]


def _tar(*members: Member, form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for info, contents in members:
            info.size = len(contents)
            archive.addfile(info, io.BytesIO(contents))
    return buffer.getvalue()


def _file(name: str, contents: bytes = b"x", mode: int = 0o644) -> Member:
    info = tarfile.TarInfo(name)
    info.mode = mode
    return info, contents


def _special(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info, b""


def _directory(name: str, mode: int = 0o755) -> Member:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    info.mode = mode
    return info, b""


def _seen(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(root)): (
            stat.S_IMODE(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in root.rglob("*")
    }


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def _tree(root: Path) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "bin" / "tool").write_bytes(b"#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o755)
    (root / "b.txt").write_bytes(b"b" * 1000)
    (root / "a.txt").write_bytes(b"")
    (root / ("long" * 50)).write_bytes(b"a long name")
    return root


async def test_a_directory_survives_the_journey(tmp_path: Path) -> None:
    """Directories, files, their contents and executable bits arrive; the return value counts bytes."""
    source = _tree(tmp_path / "source")
    size = await unpack(_pieces(await _packed(source), 7), tmp_path / "copy")
    assert _seen(tmp_path / "copy") == _seen(source)
    assert size == 10 + 1000 + 11


async def test_the_same_contents_give_the_same_bytes(tmp_path: Path) -> None:
    """Neither the order of creation nor times nor the umask show in the archive."""
    first = await _packed(_tree(tmp_path / "one"))
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "b.txt").write_bytes(b"b" * 1000)
    (tmp_path / "two" / "b.txt").chmod(0o600)
    second = await _packed(_tree(tmp_path / "two"))
    assert first == second


async def test_plain_tar_readers_understand_it(tmp_path: Path) -> None:
    """Names are relative, parents come first, there is no entry for the directory itself."""
    data = await _packed(_tree(tmp_path / "source"))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["a.txt", "b.txt", "bin", "bin/tool", "empty", "long" * 50]
        assert {member.mtime for member in archive} == {0}


async def test_an_empty_directory_is_an_archive_too(tmp_path: Path) -> None:
    """Nothing inside still travels: two blocks of zeros make an empty directory."""
    (tmp_path / "source").mkdir()
    data = await _packed(tmp_path / "source")
    assert data == bytes(1024)
    assert await unpack(_pieces(data), tmp_path / "copy") == 0
    assert list((tmp_path / "copy").iterdir()) == []


async def test_a_large_file_is_never_in_memory_at_once(tmp_path: Path) -> None:
    """Chunks stay near the size of a batch, whatever the size of the file."""
    (tmp_path / "source").mkdir()
    with (tmp_path / "source" / "big").open("wb") as file:
        file.truncate(20 << 20)
    async with aclosing(pack(tmp_path / "source")) as chunks:
        sizes = [len(chunk) async for chunk in chunks]
    assert max(sizes) <= 2 << 20
    assert sum(sizes) == (20 << 20) + 512 + 1024


async def test_links_that_stay_inside_become_copies(tmp_path: Path) -> None:
    """A shared library's links, as a job makes them, arrive as files of the same contents."""
    source = tmp_path / "source"
    (source / "lib").mkdir(parents=True)
    (source / "lib" / "libx.so.1").write_bytes(b"code")
    (source / "lib" / "libx.so").symlink_to("libx.so.1")
    (source / "top").symlink_to(source / "lib" / "libx.so")
    await unpack(_pieces(await _packed(source)), tmp_path / "copy")
    assert _seen(tmp_path / "copy") == {
        "lib": (0o755, b""),
        "lib/libx.so.1": (0o644, b"code"),
        "lib/libx.so": (0o644, b"code"),
        "top": (0o644, b"code"),
    }


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's name may only be short
        listener.bind(path.name)
        os.chdir(here)


UNPACKABLE: dict[str, Callable[[Path], object]] = {
    "named pipe": os.mkfifo,
    "socket": _socket,
    "link to outside": lambda path: path.symlink_to("/etc/hostname"),
    "link upwards": lambda path: path.symlink_to("../secret"),
    "link to a directory": lambda path: path.symlink_to("directory"),
    "link to the root itself": lambda path: path.symlink_to("."),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "drive letter": lambda path: path.with_name("C:\\x").write_bytes(b""),
}


@pytest.mark.parametrize("make", UNPACKABLE.values(), ids=UNPACKABLE)
async def test_what_cannot_travel_is_refused_where_it_is_made(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    """The packer names what is wrong instead of sending what nobody would accept, and never waits."""
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "source" / "directory").mkdir(parents=True)
    make(tmp_path / "source" / "thing")
    with trio.fail_after(5), pytest.raises(UnsafeArchive):
        await _packed(tmp_path / "source")


async def test_the_packer_keeps_the_same_limits(tmp_path: Path) -> None:
    """An archive that nobody would unpack is not made."""
    source = _tree(tmp_path / "source")
    for limits in (Limits(entries_max=5), Limits(bytes_max=1000), Limits(path_bytes_max=150)):
        with pytest.raises(UnsafeArchive):
            await _packed(source, limits=limits)
    assert len(await _packed(source, limits=Limits(entries_max=6))) % 512 == 0


def _negative_size() -> bytes:
    data = bytearray(_tar(_file("x", b"")))
    data[124:136] = b"\xff" * 12
    return _with_checksum(data)


def _with_checksum(data: bytearray) -> bytes:
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def _huge_size() -> bytes:
    data = bytearray(_tar(_file("x", b"")))
    data[124:136] = b"\x80" + (2**63).to_bytes(11, "big")
    return _with_checksum(data)


def _nul_in_name() -> bytes:
    data = bytearray(_tar(_file("a_b", b"")))
    data[1] = 0
    return _with_checksum(data)


def _long_name(size: int) -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type = tarfile.GNUTYPE_LONGNAME
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT) + b"a" * 100_000


def _pax(**headers: str) -> bytes:
    info, contents = _file("innocent")
    info.pax_headers = {name.replace("_", "."): value for name, value in headers.items()}
    return _tar((info, contents), form=tarfile.PAX_FORMAT)


def _path_max_chain() -> bytes:
    """The shape of CVE-2025-4517: links so long when resolved that the check gives up half-way."""
    members: list[Member] = []
    path, component = "", "d" * 247
    for step in "abcdefghijklmnop":
        members += [
            _directory(path + component),
            _special(path + step, tarfile.SYMTYPE, component),
        ]
        path += component + "/"
    chain = "/".join("abcdefghijklmnop")
    members += [
        _special(chain + "/" + "l" * 254, tarfile.SYMTYPE, "../" * 16),
        _special("escape", tarfile.SYMTYPE, chain + "/" + "l" * 254 + "/../../canary"),
        _special("hard", tarfile.LNKTYPE, "escape"),
        _file("hard", b"OWNED"),
    ]
    return _tar(*members)


HOSTILE: dict[str, bytes] = {
    "parent": _tar(_file("../x")),
    "parent inside": _tar(_directory("a"), _file("a/../../x")),
    "parent that comes back": _tar(_directory("a"), _file("a/../x")),
    "absolute": _tar(_file("/canary")),
    "dot": _tar(_directory("."), _file("./x")),
    "empty component": _tar(_directory("a"), _file("a//x")),
    "file named like a directory": _tar(_special("x/", tarfile.REGTYPE)),
    "nul": _nul_in_name(),
    "drive": _tar(_file("C:\\x")),
    "long component": _tar(_file("c" * 256)),
    "deep": _tar(*[_directory("/".join("d" * depth)) for depth in range(1, 80)]),
    "no parent": _tar(_file("a/x")),
    "link to root, then through it": _tar(_special("a", tarfile.SYMTYPE, "/"), _file("a/canary")),
    "link upwards, then through it": _tar(_special("a", tarfile.SYMTYPE, ".."), _file("a/canary")),
    "dangling link": _tar(_special("a", tarfile.SYMTYPE, "nowhere")),
    "CVE-2025-4517": _path_max_chain(),
    "hard link outside": _tar(_special("a", tarfile.LNKTYPE, "../canary"), _file("a")),
    "hard link inside": _tar(_file("a"), _special("b", tarfile.LNKTYPE, "a")),
    "character device": _tar(_special("a", tarfile.CHRTYPE)),
    "block device": _tar(_special("a", tarfile.BLKTYPE)),
    "named pipe": _tar(_special("a", tarfile.FIFOTYPE)),
    "sparse file": _tar(_special("a", tarfile.GNUTYPE_SPARSE)),
    "contiguous file": _tar(_special("a", tarfile.CONTTYPE)),
    "global extended header": _tar(_special("a", tarfile.XGLTYPE)),
    "long name of 100 MB": _long_name(100 << 20),
    "long name that describes nothing": _long_name(10)[:1024] + bytes(1024),
    "extended header leads outside": _pax(path="../canary"),
    "extended header is absolute": _pax(path="/canary"),
    "extended header with NUL": _pax(path="a\0b"),
    "extended header is sparse": _pax(GNU_sparse_major="1"),
    "extended header has a wild size": _pax(size="-1"),
    "negative size": _negative_size(),
    "size 2^63": _huge_size(),
    "duplicate file": _tar(_file("a"), _file("a")),
    "file, then directory": _tar(_file("a"), _directory("a")),
    "directory, then file": _tar(_directory("a"), _file("a")),
    "directory twice": _tar(_directory("a"), _directory("a")),
    "below a file": _tar(_file("a"), _file("a/b")),
    "directory, then link": _tar(_directory("a"), _special("a", tarfile.SYMTYPE, "/")),
    "garbage behind": _tar(_file("a")) + b"garbage".ljust(512, b"\0"),
    "two archives": _tar(_file("a")) + _tar(_file("b")),
    "a part of a block behind": _tar(_file("a")) + bytes(100),
    "zeros without end": _tar(_file("a")) + bytes(2 << 20),
    "empty": b"",
    "not tar": b"<html>" * 1000,
    "wrong checksum": _tar(_file("a")).replace(b"0000644", b"0000755", 1),
}


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A place to unpack into whose surroundings must look the same afterwards."""
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "canary").write_bytes(b"intact")
    (place / "canary").write_bytes(b"intact")
    yield place
    assert (tmp_path / "canary").read_bytes() == b"intact"
    assert (place / "canary").read_bytes() == b"intact"
    assert not Path("/canary").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["canary", "place"]


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_archive_leaves_nothing(canary: Path, data: bytes) -> None:
    """It is refused whole: nothing outside is touched and nothing of it stays, not even a temporary."""
    with pytest.raises(UnsafeArchive):
        await unpack(_pieces(data), canary / "artifact")
    assert _names(canary) == ["canary"]


async def test_every_truncation_is_refused(canary: Path) -> None:
    """Wherever the stream breaks off, the archive does not count as whole."""
    data = _tar(_directory("d"), _file("d/f", b"contents" * 100), _file("n" * 150))
    whole = len(data.rstrip(b"\0")) + -len(data.rstrip(b"\0")) % 512 + 1024
    for length in range(0, whole, 64):
        with pytest.raises(UnsafeArchive):
            await unpack(_pieces(data[:length]), canary / "artifact")
    await unpack(_pieces(data[:whole]), canary / "artifact")
    assert (canary / "artifact" / "d" / "f").read_bytes() == b"contents" * 100


LIMITED = {
    "entries": (Limits(entries_max=2), _tar(_file("a"), _file("b"), _file("c"))),
    "bytes": (Limits(bytes_max=5), _tar(_file("a", b"123"), _file("b", b"456"))),
    "path": (Limits(path_bytes_max=120), _tar(_file("p" * 121))),
    "depth": (Limits(depth_max=2), _tar(_directory("a"), _directory("a/b"), _file("a/b/c"))),
}


@pytest.mark.parametrize(("limits", "data"), LIMITED.values(), ids=LIMITED)
async def test_limits_hold_and_can_be_wider(canary: Path, limits: Limits, data: bytes) -> None:
    """The same archive is refused under a limit and accepted under the usual ones."""
    with pytest.raises(UnsafeArchive):
        await unpack(_pieces(data), canary / "artifact", limits=limits)
    await unpack(_pieces(data), canary / "artifact")


async def test_modes_are_reduced_to_two(tmp_path: Path) -> None:
    """No set-uid, no unreadable directories: a file is 0644 or 0755, a directory 0755."""
    data = _tar(
        _file("setuid", mode=0o6755), _file("secret", mode=0o000), _directory("d", mode=0), _file("d/x")
    )
    await unpack(_pieces(data), tmp_path / "copy")
    modes = {name: mode for name, (mode, _) in _seen(tmp_path / "copy").items()}
    assert modes == {"setuid": 0o755, "secret": 0o644, "d": 0o755, "d/x": 0o644}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
async def test_every_common_form_is_read(tmp_path: Path, form: int) -> None:
    """Long and non-ASCII names come through POSIX, GNU and extended headers alike."""
    names = ["plain", "directory/" + "n" * 99, "grüße"]
    data = _tar(_file(names[0]), _directory("directory"), *map(_file, names[1:]), form=form)
    await unpack(_pieces(data, 100), tmp_path / "copy")
    assert set(_seen(tmp_path / "copy")) == {*names, "directory"}


async def test_names_that_are_no_text_keep_their_bytes(tmp_path: Path) -> None:
    """A file system knows bytes, not encodings."""
    (tmp_path / "source").mkdir()
    name = os.fsdecode(b"latin-\xe9")
    (tmp_path / "source" / name).write_bytes(b"x")
    await unpack(_pieces(await _packed(tmp_path / "source")), tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy").iterdir()] == [name]


async def test_an_existing_destination_is_left_alone(tmp_path: Path) -> None:
    """Unpacking replaces nothing: what is there stays, and no temporary is left beside it."""
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        await unpack(_pieces(_tar(_file("a"))), tmp_path / "copy")
    assert set(_seen(tmp_path)) == {"copy", "copy/mine"}


async def test_a_sender_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The sender's error comes through as it is, the destination does not appear."""

    async def broken() -> AsyncIterator[bytes]:
        yield _tar(_file("a", b"x" * (3 << 20)))[: 2 << 20]
        raise ConnectionResetError("the wire was cut")

    with pytest.raises(ConnectionResetError, match="the wire was cut"):
        await unpack(broken(), tmp_path / "copy")
    assert _names(tmp_path) == []


async def test_a_cancelled_unpacking_leaves_nothing(tmp_path: Path) -> None:
    """Cancellation is cleaned up after like a refusal."""
    arrived = trio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield _tar(_file("a", b"x" * (3 << 20)))[: 2 << 20]
        arrived.set()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(unpack, endless(), tmp_path / "copy")
        with trio.fail_after(5):
            await arrived.wait()
        assert _names(tmp_path) != []
        nursery.cancel_scope.cancel()
    assert _names(tmp_path) == []


async def test_a_survey_tells_what_packing_would_send(tmp_path: Path) -> None:
    """Entries and bytes are counted, links as the copies they become, and refusals come alike."""
    source = _tree(tmp_path / "source")
    (source / "link").symlink_to("b.txt")
    assert survey(source) == (7, 10 + 1000 + 11 + 1000)
    os.mkfifo(source / "pipe")
    with pytest.raises(UnsafeArchive):
        survey(source)
