"""What a tar stream says, decided without touching a file: bytes in, checked entries and contents out.

An artifact travels between machines as plain tar of directories and regular files, and whoever sent it
may be hostile. So nothing is guessed: a header field that two readers could understand differently is
refused, and no name leaves this module that could lead out of the directory it is unpacked into.
"""

import tarfile
from collections.abc import Iterator

from attrs import field, frozen

BLOCK = 512
_ZEROS = bytes(BLOCK)
_END = 2 * _ZEROS
_EXTENSION_BYTES_MAX = 64 << 10
# Writers fill up their last record with zeros: 10 KiB by default, more where someone asked for it.
_TRAILER_BYTES_MAX = 1 << 20
# Keys of an extended header that would change what is unpacked in a way we do not follow.
_PAX_REFUSED = ("GNU.sparse", "linkpath", "hdrcharset")


class UnsafeArchive(Exception):
    """The archive, or the directory to be archived, holds something that must not be unpacked."""


@frozen(kw_only=True)
class Limits:
    """How much an archive may hold: counts of entries and directories in a row, else bytes."""

    entries_max: int = 100_000
    depth_max: int = 64
    path_bytes_max: int = 1024
    component_bytes_max: int = 255
    bytes_max: int = 16 << 30


LIMITS = Limits()


@frozen(kw_only=True)
class Entry:
    """A directory, or a regular file whose `size` bytes follow; `path` is relative and has no '..'."""

    path: bytes
    is_directory: bool = False
    is_executable: bool = False
    size: int = 0

    @property
    def padding(self) -> int:
        """Zeros between the contents and the next header."""
        return -self.size % BLOCK


def encode_entry(entry: Entry) -> bytes:
    """The header block(s) of `entry`, the same for the same entry everywhere and always."""
    info = tarfile.TarInfo(entry.path.decode("utf-8", "surrogateescape"))
    info.type = tarfile.DIRTYPE if entry.is_directory else tarfile.REGTYPE
    info.mode = 0o755 if entry.is_directory or entry.is_executable else 0o644
    info.size = entry.size
    # GNU's form carries names as the bytes they are; pax would insist on UTF-8.
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def encode_end() -> bytes:
    """What tells a whole archive from a truncated one."""
    return _END


def check_path(path: bytes, limits: Limits) -> bytes:
    """Give `path` back if it names something below the directory it starts from; raises UnsafeArchive."""
    components = path.split(b"/")
    if not path or path.startswith(b"/") or (path[1:3] == b":\\" and path[:1].isalpha()):
        raise UnsafeArchive(f"not a relative path: {_shown(path)}")
    if b"\0" in path or any(component in (b"", b".", b"..") for component in components):
        raise UnsafeArchive(f"not a plain path: {_shown(path)}")
    if len(path) > limits.path_bytes_max or len(max(components, key=len)) > limits.component_bytes_max:
        raise UnsafeArchive(f"path is too long: {_shown(path)}")
    if len(components) > limits.depth_max:
        raise UnsafeArchive(f"path is nested too deep: {_shown(path)}")
    return path


def _shown(path: bytes) -> str:
    return repr(path[:120])[1:]


@frozen(kw_only=True)
class _Header:
    name: bytes
    mode: int
    size: int
    kind: bytes


@frozen
class _Extension:
    """What an extended header says of the entry that follows it."""

    path: bytes | None = None
    size: int | None = field(default=None)


class Decoder:
    """Feed it the stream as it comes; it never holds more than a header, however large the files."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pending = bytearray()
        self._contents_left = 0
        self._padding_left = 0
        self._extension_kind = b""
        self._extension_size = 0
        self._extension: _Extension | None = None
        self._zero_blocks = 0
        self._trailer_bytes = 0
        self._entries = 0
        self._bytes = 0

    def feed(self, data: bytes) -> Iterator[Entry | bytes]:
        """Entries, each followed by its contents in pieces; raises UnsafeArchive."""
        position = 0
        while position < len(data):
            if self._contents_left:
                piece = data[position : position + self._contents_left]
                self._contents_left -= len(piece)
                position += len(piece)
                yield piece
            else:
                piece = data[position : position + self._wanted() - len(self._pending)]
                self._pending += piece
                position += len(piece)
                if len(self._pending) == self._wanted():
                    block, self._pending = bytes(self._pending), bytearray()
                    yield from self._take(block)

    def close(self) -> None:
        """The stream has ended: was it a whole archive? Raises UnsafeArchive."""
        if self._zero_blocks < 2 or self._pending:
            raise UnsafeArchive("the archive is truncated")

    def _wanted(self) -> int:
        if self._padding_left:
            return self._padding_left
        return self._extension_size + -self._extension_size % BLOCK if self._extension_kind else BLOCK

    def _take(self, block: bytes) -> Iterator[Entry]:
        if self._padding_left:
            self._padding_left = 0
        elif self._extension_kind:
            self._take_extension(block[: self._extension_size])
        elif block == _ZEROS:
            self._take_end()
        elif self._zero_blocks:
            raise UnsafeArchive("something follows the end of the archive")
        else:
            yield from self._take_header(_read_header(block))

    def _take_end(self) -> None:
        if self._extension is not None:
            raise UnsafeArchive("an extended header describes no entry")
        self._zero_blocks += 1
        self._trailer_bytes += BLOCK
        if self._trailer_bytes > _TRAILER_BYTES_MAX:
            raise UnsafeArchive("the archive ends in too many zeros")

    def _take_extension(self, contents: bytes) -> None:
        kind, self._extension_kind = self._extension_kind, b""
        if kind == tarfile.GNUTYPE_LONGNAME:
            self._extension = _Extension(path=_text(contents))
        else:
            self._extension = _read_pax(contents)

    def _take_header(self, header: _Header) -> Iterator[Entry]:
        if header.kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
            if self._extension is not None:
                raise UnsafeArchive("two extended headers for one entry")
            if not 0 < header.size <= _EXTENSION_BYTES_MAX:
                raise UnsafeArchive(f"an extended header of {header.size} bytes")
            self._extension_kind, self._extension_size = header.kind, header.size
            return
        entry = self._entry(header, self._extension or _Extension())
        self._extension = None
        self._count(entry)
        self._contents_left, self._padding_left = entry.size, entry.padding
        yield entry

    def _entry(self, header: _Header, extension: _Extension) -> Entry:
        path = header.name if extension.path is None else extension.path
        size = header.size if extension.size is None else extension.size
        if header.kind == tarfile.DIRTYPE:
            if size:
                raise UnsafeArchive(f"a directory with contents: {_shown(path)}")
            return Entry(path=check_path(path.removesuffix(b"/"), self._limits), is_directory=True)
        if header.kind not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise UnsafeArchive(f"neither a file nor a directory: {_shown(path)} ({_kind_name(header.kind)})")
        checked = check_path(path, self._limits)
        return Entry(path=checked, is_executable=bool(header.mode & 0o111), size=size)

    def _count(self, entry: Entry) -> None:
        self._entries += 1
        self._bytes += entry.size
        if self._entries > self._limits.entries_max:
            raise UnsafeArchive(f"more than {self._limits.entries_max} entries")
        if self._bytes > self._limits.bytes_max:
            raise UnsafeArchive(f"more than {self._limits.bytes_max} bytes")


def _read_header(block: bytes) -> _Header:
    stored = _number(block[148:156])
    if stored != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise UnsafeArchive("a header's checksum is wrong: not a tar archive, or a damaged one")
    if block[257:263] not in (b"ustar\0", b"ustar "):
        raise UnsafeArchive("an archive of an unknown form")
    name = _text(block[:100])
    # Only POSIX headers have a prefix; GNU's keep times there.
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else b""
    return _Header(
        name=prefix + b"/" + name if prefix else name,
        mode=_number(block[100:108]),
        size=_number(block[124:136]),
        kind=block[156:157],
    )


def _text(stored: bytes) -> bytes:
    text, _, rest = stored.partition(b"\0")
    if rest.strip(b"\0"):
        raise UnsafeArchive(f"a name with a NUL in it: {_shown(stored)}")
    return text


def _number(stored: bytes) -> int:
    """Octal digits, or GNU's base 256 with the first bit set; never negative."""
    if stored[0] == 0x80:
        return int.from_bytes(stored[1:], "big")
    digits = stored.strip(b" \0")
    if not all(0x30 <= digit <= 0x37 for digit in digits):
        raise UnsafeArchive(f"not a number: {stored!r}")
    return int(digits or b"0", 8)


def _read_pax(contents: bytes) -> _Extension:
    records: dict[str, bytes] = {}
    while contents:
        digits, _, _ = contents.partition(b" ")
        length = _decimal(digits)
        key, equals, value = contents[len(digits) + 1 : length - 1].partition(b"=")
        if length > len(contents) or not equals or contents[length - 1 : length] != b"\n":
            raise UnsafeArchive("a malformed extended header")
        name = key.decode("utf-8", "replace")
        if name in records or name.startswith(_PAX_REFUSED):
            raise UnsafeArchive(f"an extended header says {name!r}")
        records[name] = value
        contents = contents[length:]
    size = records.get("size")
    return _Extension(path=records.get("path"), size=None if size is None else _decimal(size))


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 19:
        raise UnsafeArchive(f"not a number: {digits[:40]!r}")
    return int(digits)


def _kind_name(kind: bytes) -> str:
    names = {
        tarfile.LNKTYPE: "hard link",
        tarfile.SYMTYPE: "symbolic link",
        tarfile.CHRTYPE: "character device",
        tarfile.BLKTYPE: "block device",
        tarfile.FIFOTYPE: "named pipe",
        tarfile.GNUTYPE_SPARSE: "sparse file",
    }
    return names.get(kind, f"type {kind!r}")
