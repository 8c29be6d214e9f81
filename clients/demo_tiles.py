"""The program that the jobs of `terzetto demo` run: tiles of the Mandelbrot set, rows of tiles, a PNG.

It is sent to the workers as a source file like any other, so it uses the standard library alone, and
the same arguments give the same bytes.

    demo_tiles.py tile PICTURE_WIDTH PICTURE_HEIGHT LEFT TOP WIDTH HEIGHT OUT   RGB, line by line
    demo_tiles.py row WIDTH OUT TILE...   tiles of WIDTH pixels side by side
    demo_tiles.py png WIDTH OUT ROW...    rows one below the other, as a PNG
"""

import sys
import zlib
from collections.abc import Iterator, Sequence
from math import cos, log, log2, pi, tanh
from pathlib import Path

CENTRE = complex(-0.743_575, 0.131_375)
SPAN = 0.002_1  # of the real axis, from the left edge to the right one
ITERATIONS_MAX = 1504
ESCAPE = 1e6  # |z|² at which a point has left; large, for a smooth count
SAMPLES = 2  # in each direction of a pixel
LIGHT = complex(-0.6, -0.8)  # from the upper left

Colour = tuple[float, float, float]
INSIDE: Colour = (0.01, 0.01, 0.03)
PALETTE: list[Colour] = [
    (0.02, 0.03, 0.16),
    (0.06, 0.28, 0.52),
    (0.42, 0.78, 0.82),
    (0.99, 0.95, 0.80),
    (0.98, 0.66, 0.20),
    (0.62, 0.16, 0.12),
    (0.16, 0.03, 0.16),
]


def tile(picture: tuple[int, int], left: int, top: int, width: int, height: int) -> bytes:
    """The pixels of one tile of a picture (width, height) as RGB bytes."""
    colours = bytearray()
    for y in range(top, top + height):
        for x in range(left, left + width):
            colours += bytes(round(255 * min(max(part, 0.0), 1.0)) for part in pixel(picture, x, y))
    return bytes(colours)


def pixel(picture: tuple[int, int], x: int, y: int) -> Colour:
    """The mean colour of the pixel's samples, lit by how the depth rises between them."""
    depths = [depth(place) for place in samples(picture, x, y)]
    light = shade([log(1.0 + value) for value in depths if value is not None])
    colours = [colour(value) for value in depths]
    red, green, blue = (sum(channel) * light / len(colours) for channel in zip(*colours, strict=True))
    return red, green, blue


def samples(picture: tuple[int, int], x: int, y: int) -> Iterator[complex]:
    width, height = picture
    for row in range(SAMPLES):
        for column in range(SAMPLES):
            across = x + (column + 0.5) / SAMPLES - width / 2
            down = y + (row + 0.5) / SAMPLES - height / 2
            yield CENTRE + complex(across, -down) * SPAN / width


def depth(c: complex) -> float | None:
    """How many steps the point takes to escape, with a fraction so that there are no bands; None: never."""
    z = here = 0j
    for step in range(0, ITERATIONS_MAX, 8):
        z = here
        # Looking only after eight steps makes this more than twice as fast; from 4 they cannot overflow.
        here = z * z + c
        here = here * here + c
        here = here * here + c
        here = here * here + c
        here = here * here + c
        here = here * here + c
        here = here * here + c
        here = here * here + c
        if not here.real * here.real + here.imag * here.imag < 16.0:
            return step + remaining(z, c)
    return None


def remaining(z: complex, c: complex) -> float:
    """The steps from z until it is far out; the fraction says how far beyond the limit the last one led."""
    steps = 0.0
    while (size := z.real * z.real + z.imag * z.imag) < ESCAPE:
        z = z * z + c
        steps += 1.0
    return steps + 1.0 - log2(log(size) / log(ESCAPE))


def shade(heights: list[float]) -> float:
    """Brightness of the slope between four samples; 1 on level ground, and where the set itself begins."""
    if len(heights) < 4:
        return 1.0
    a, b, c, d = heights
    slope = complex(b + d - a - c, c + d - a - b)
    steep = abs(slope)
    facing = (slope.real * LIGHT.real + slope.imag * LIGHT.imag) / steep if steep else 0.0
    return 1.0 + 0.35 * facing * tanh(40 * steep)


def colour(value: float | None) -> Colour:
    """The palette goes round with the logarithm of the depth, without a corner at its colours."""
    if value is None:
        return INSIDE
    place = (0.7 * log2(1 + value / 40) + 0.1) % 1 * len(PALETTE)
    before, after = PALETTE[int(place) % len(PALETTE)], PALETTE[(int(place) + 1) % len(PALETTE)]
    part = (1 - cos(pi * (place - int(place)))) / 2
    red, green, blue = (old + (new - old) * part for old, new in zip(before, after, strict=True))
    return red, green, blue


def row(width: int, tiles: Sequence[bytes]) -> bytes:
    """Tiles of `width` pixels and equal height, side by side."""
    line = 3 * width
    height = len(tiles[0]) // line
    return b"".join(part[y * line : (y + 1) * line] for y in range(height) for part in tiles)


def png(width: int, pixels: bytes) -> bytes:
    """RGB pixels as a PNG file."""
    line = 3 * width
    lines = [pixels[start : start + line] for start in range(0, len(pixels), line)]
    header = width.to_bytes(4, "big") + len(lines).to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    data = zlib.compress(b"".join(filtered(one) for one in lines), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def filtered(line: bytes) -> bytes:
    """A line as differences from the pixel to the left (PNG's filter 1), which packs smaller."""
    left = b"\0\0\0" + line[:-3]
    return b"\1" + bytes((here - there) & 255 for here, there in zip(line, left, strict=True))


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def main(arguments: Sequence[str]) -> None:
    match arguments:
        case ["tile", across, down, left, top, width, height, out]:
            picture = int(across), int(down)
            Path(out).write_bytes(tile(picture, int(left), int(top), int(width), int(height)))
        case ["row", width, out, *tiles]:
            Path(out).write_bytes(row(int(width), [Path(name).read_bytes() for name in tiles]))
        case ["png", width, out, *rows]:
            Path(out).write_bytes(png(int(width), b"".join(Path(name).read_bytes() for name in rows)))
        case _:
            sys.exit(f"{__doc__}\nnot {arguments}")


if __name__ == "__main__":
    main(sys.argv[1:])
