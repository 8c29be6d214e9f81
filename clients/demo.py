"""What `terzetto demo` builds: a picture in a hundred jobs, from nothing but this package and Python.

Tiles of a fractal are computed side by side, put together by rows, and the rows become one PNG: enough
jobs, of uneven length, to see leases, artifacts and dependencies at work, and something to look at.
"""

import sys
from pathlib import Path

from clients.distbuild import BuildRequest, Job
from clients.graphs import GraphBuilder, artifact, output, source

SOURCE_ROOT = Path(__file__).parent
SCRIPT = "demo_tiles.py"
PICTURE = "fractal.png"
PICTURE_JOB = "picture"
WIDTH, HEIGHT = 1024, 768
COLUMNS, ROWS = 8, 12


def build_request(
    *,
    python: str = sys.executable,
    width: int = WIDTH,
    height: int = HEIGHT,
    columns: int = COLUMNS,
    rows: int = ROWS,
) -> BuildRequest:
    """The demo's build, for a picture of `width` x `height` pixels in `columns` x `rows` tiles.

    The artifact of the job named `PICTURE_JOB` holds the file `PICTURE`; the sources are below
    `SOURCE_ROOT`. Width and height must be multiples of columns and rows.
    """
    if width % columns or height % rows:
        raise ValueError(f"{width} x {height} pixels do not divide into {columns} x {rows} tiles")
    graph = GraphBuilder(SOURCE_ROOT)

    def job(name: str, *words: str | int) -> Job:
        command = [python, "-I", "-S", source(SCRIPT), *map(str, words)]
        return graph.job(name, cmd=command, inputs=[SCRIPT])

    def tile(column: int, row: int) -> Job:
        size = width // columns, height // rows
        corner = column * size[0], row * size[1]
        name = f"tile/{row:02}-{column:02}"
        return job(name, "tile", width, height, *corner, *size, output("tile"))

    lines = []
    for row in range(rows):
        tiles = [artifact(tile(column, row), "tile") for column in range(columns)]
        line = job(f"row/{row:02}", "row", width // columns, output("row"), *tiles)
        lines.append(artifact(line, "row"))
    job(PICTURE_JOB, "png", width, output(PICTURE), *lines)
    return BuildRequest(graph=graph.graph(), name="demo")
