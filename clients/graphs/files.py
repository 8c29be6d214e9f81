"""The GRAPH argument of every verb: distbuild's JSON, or TOML written by hand, from a file or stdin."""

import glob
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from clients import codec
from clients.distbuild import BuildRequest, Graph
from clients.graphs.builder import GraphBuilder, check
from clients.graphs.text import BadText
from clients.graphs.toml import BadGraphFile, parse
from events.graphs import path_problem

STDIN = "-"


def load(
    path: str,
    *,
    source_root: Path,
    environ: Mapping[str, str] | None = None,
    read_stdin: Callable[[], bytes] = lambda: sys.stdin.buffer.read(),
) -> BuildRequest:
    """The build that the file at `path` (`-`: stdin) describes, checked.

    A text that begins with `{` is JSON, anything else is TOML, whose `inputs` are looked for below
    `source_root`, and whose jobs find `environ` in their environment. Raises `BadGraphFile` for a file that
    is not as its format says, and `BadGraph` for a graph that cannot be built; either names every problem.
    """
    file = "stdin" if path == STDIN else path
    data = _read(path, file, read_stdin)
    if data.lstrip()[:1] != b"{":
        request = _from_toml(data, file, source_root, environ or {})
    elif not environ:
        request = _from_json(data, file)
    else:
        raise BadGraphFile([f"{file}: the ids of a graph in JSON are given, so it takes no variables"])
    check(request.graph)
    return request


def _read(path: str, file: str, read_stdin: Callable[[], bytes]) -> bytes:
    try:
        return read_stdin() if path == STDIN else Path(path).read_bytes()
    except OSError as error:
        raise BadGraphFile([f"{file}: cannot be read: {error.strerror}"]) from error


def _from_json(data: bytes, file: str) -> BuildRequest:
    try:
        value = codec.loads(data)
        if _says(value, "graph"):
            return codec.structure(value, BuildRequest, lenient=True)
        if _says(value, "jobs"):
            return BuildRequest(graph=codec.structure(value, Graph, lenient=True))
    except codec.Malformed as error:
        raise BadGraphFile([f"{file}: {error}"]) from error
    raise BadGraphFile([f'{file}: has neither "Graph" nor "Jobs", so it is no graph'])


def _says(value: Mapping[str, Any], name: str) -> bool:
    return any(key.lower() == name for key in value)


def _from_toml(data: bytes, file: str, source_root: Path, environ: Mapping[str, str]) -> BuildRequest:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BadGraphFile([f"{file}: is not UTF-8 text: {error}"]) from error
    builder = GraphBuilder(source_root, environ=environ)
    # Many jobs say the same patterns; the directory is searched once for each.
    return parse(text, file, builder, cache(lambda pattern: find(source_root, pattern)))


def find(source_root: Path, pattern: str) -> list[str]:
    """The files below `source_root` that are, or match, the pattern (`**`: any directories), sorted.

    Files whose names begin with a dot match only where the pattern says the dot. Raises `BadText` for a
    pattern that leads outside, or if there is no such file.
    """
    if problem := path_problem(pattern):
        raise BadText(f"the input {pattern!r} {problem}")
    if (source_root / pattern).is_file():
        return [pattern]
    found = [
        path
        for path in glob.glob(pattern, root_dir=source_root, recursive=True)  # noqa: PTH207  dot files
        if (source_root / path).is_file()
    ]
    if not found:
        what = "is a directory; write" if (source_root / pattern).is_dir() else "matches no file below"
        rest = f"{pattern}/*" if (source_root / pattern).is_dir() else str(source_root)
        raise BadText(f"the input {pattern!r} {what} {rest}")
    return sorted(found)
