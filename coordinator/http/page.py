"""The browser's view, as `clients/web` built it: a handful of files, in memory, with a strict policy."""

import gzip
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Self

from attrs import frozen
from quart import Response, request

from coordinator.http.errors import answer_json
from events.errors import ROUTE_UNKNOWN, Rejected

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # What jobs are called and print stays text: the browser refuses to read any string as markup.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
# By the ending of the name; the page has no other kinds of files.
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Names below web/ change with what the files hold.
FOR_EVER = "public, max-age=31536000, immutable"
INDEX = "index.html"


@frozen
class File:
    """One file, ready to be sent; `small` is the same gzipped."""

    content_type: str
    body: bytes
    small: bytes


@frozen
class Page:
    """All files of the page by their paths."""

    files: dict[str, File]

    @classmethod
    def built(cls) -> Self:
        """The page of this distribution. Raises FileNotFoundError where it was never built."""
        built = files("clients").joinpath("web", "dist")
        if not built.joinpath(INDEX).is_file():
            raise FileNotFoundError(f"{built} holds no page: install terzetto anew, or run `make web`")
        return cls({name: _file(entry) for name, entry in _walk(built)})

    def answer(self, path: str) -> Response:
        """The file at this path, compressed where the browser takes it; 404 if there is none."""
        file = self.files.get(path)
        if file is None:
            return answer_json(Rejected(ROUTE_UNKNOWN, f"the page has no file {path[:40]!r}"))
        is_small = "gzip" in request.headers.get("Accept-Encoding", "")
        answer = Response(file.small if is_small else file.body, content_type=file.content_type)
        if is_small:
            answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Vary"] = "Accept-Encoding"
        answer.headers["Content-Security-Policy"] = POLICY
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cache-Control"] = FOR_EVER if path.startswith("web/") else "no-cache"
        return answer


def _walk(built: Traversable) -> list[tuple[str, Traversable]]:
    tops = [entry for entry in built.iterdir() if entry.is_file()]
    below = [entry for entry in built.joinpath("web").iterdir() if entry.is_file()]
    named = [(entry.name, entry) for entry in tops] + [(f"web/{entry.name}", entry) for entry in below]
    return [(name, entry) for name, entry in named if _ending(name) in CONTENT_TYPES]


def _file(entry: Traversable) -> File:
    body = entry.read_bytes()
    return File(CONTENT_TYPES[_ending(entry.name)], body, gzip.compress(body, mtime=0))


def _ending(name: str) -> str:
    return name[name.rfind(".") :]
