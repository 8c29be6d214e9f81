"""The demo makes one picture, the same one every time, out of many jobs."""

import struct
import zlib
from itertools import pairwise
from pathlib import Path

import pytest

from clients import demo, demo_tiles
from clients.graphs import check
from tests.clients.local_builder import LocalBuilder


def pixels(data: bytes) -> tuple[int, int, bytes]:
    """Width, height and RGB bytes of a PNG as the demo writes it; every checksum is verified."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks = {}
    place = 8
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        assert zlib.crc32(kind + body).to_bytes(4, "big") == data[place + 8 + size : place + 12 + size]
        chunks[kind] = body
        place += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colours, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colours, rest) == (8, 2, [0, 0, 0])
    raw = zlib.decompress(chunks[b"IDAT"])
    lines = []
    for start in range(0, len(raw), 3 * width + 1):
        assert raw[start] == 1
        line = bytearray(raw[start + 1 : start + 1 + 3 * width])
        for index in range(3, len(line)):
            line[index] = (line[index] + line[index - 3]) & 255
        lines.append(bytes(line))
    assert len(lines) == height
    return width, height, b"".join(lines)


def test_the_demo_is_a_graph_of_a_hundred_jobs() -> None:
    """Tiles, rows and one picture that depends on all of them; the same ids whenever it is drawn up."""
    request = demo.build_request()
    check(request.graph)
    names = [job.name for job in request.graph.jobs]
    assert [sum(name.startswith(kind) for name in names) for kind in ("tile/", "row/", "picture")] == [
        96,
        12,
        1,
    ]
    used = {dep for job in request.graph.jobs for dep in job.deps}
    assert [job.name for job in request.graph.jobs if job.id not in used] == [demo.PICTURE_JOB]
    assert demo.build_request() == request
    assert list(request.graph.source_files.values()) == ["demo_tiles.py"]


def test_a_picture_that_does_not_divide_is_refused() -> None:
    """Tiles are of one size, so a picture must be a whole number of them."""
    with pytest.raises(ValueError, match="do not divide"):
        demo.build_request(width=100, columns=8)


def test_the_jobs_make_the_picture(tmp_path: Path) -> None:
    """Tiles computed apart and put together are the picture computed in one piece, byte for byte."""
    request = demo.build_request(width=48, height=36, columns=3, rows=2)
    made = LocalBuilder(demo.SOURCE_ROOT, tmp_path).build(request.graph)
    width, height, found = pixels((made[demo.PICTURE_JOB] / demo.PICTURE).read_bytes())
    assert (width, height) == (48, 36)
    assert found == demo_tiles.tile((48, 36), 0, 0, 48, 36)
    assert len({found[i : i + 3] for i in range(0, len(found), 3)}) > 500


def test_a_point_of_the_set_never_escapes() -> None:
    """The origin is in the set, 1 is not, and further out means sooner gone."""
    assert demo_tiles.depth(0j) is None
    near, far = demo_tiles.depth(0.5 + 0j), demo_tiles.depth(1 + 0j)
    assert near is not None
    assert far is not None
    assert near > far > 0


def test_depth_has_no_bands() -> None:
    """A small step in the plane is a small step in depth, also where the number of iterations changes."""
    depths = [demo_tiles.depth(complex(0.4 + 0.0001 * step, 0.3)) for step in range(2000)]
    steps = [abs(b - a) for a, b in pairwise(depths) if a is not None and b is not None]
    assert len(steps) == 1999
    assert max(steps) < 0.05


def test_wrong_arguments_end_the_program() -> None:
    """A job whose command is wrong fails and says how it is used."""
    with pytest.raises(SystemExit, match=r"demo_tiles\.py tile"):
        demo_tiles.main(["tile"])
