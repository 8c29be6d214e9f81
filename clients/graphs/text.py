"""The variables people write in a graph file: `${src}`, `${out}`, `${dep:NAME}` and their own.

Every `${` is ours, so that a misspelt variable is an error here and not an empty word in a shell on
some worker; `$${` leaves a `${` to the shell, and `$NAME`, `$1`, `$(…)` are not touched at all.
"""

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[^}]*)(?P<end>\}?)")
_DEP = "dep:"


class BadText(ValueError):
    """A text uses a variable wrongly; the message says which, and what to write instead.

    `key` is the key in the job's table under which the text stands, or "".
    """

    key = ""


@contextmanager
def under(key: str) -> Iterator[None]:
    """Note in any `BadText` raised within that the text stands under `key`."""
    try:
        yield
    except BadText as error:
        error.key = error.key or key
        raise


def expand(text: str, value_of: Callable[[str], str]) -> str:
    """`text` with each `${name}` replaced by `value_of(name)`; `$${` becomes `${`. Raises `BadText`."""

    def one(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "${"
        if not match["end"]:
            raise BadText(f"{match[0][:40]!r} is never closed with '}}'")
        return value_of(match["name"])

    return _VARIABLE.sub(one, text)


def mentioned(text: str) -> list[str]:
    """The names and patterns of jobs whose artifacts the text uses, in order."""
    names = [match["name"] for match in _VARIABLE.finditer(text) if match["name"]]
    return [name.removeprefix(_DEP) for name in names if name.startswith(_DEP)]


def select(pattern: str, names: Collection[str], own: str) -> list[str]:
    """The names that are, or match, the pattern, in order, a pattern never matching `own`.

    Raises `BadText` if there are none.
    """
    if pattern in names:
        return [pattern]
    found: list[str] = []
    if is_pattern(pattern):
        found = [name for name in names if name != own and fnmatch.fnmatchcase(name, pattern)]
    if not found:
        what = "no other job's name matches" if is_pattern(pattern) else "there is no job"
        raise BadText(f"{what} {pattern!r}{hint(pattern, names)}")
    return found


def repeat(word: str, names: Collection[str], own: str) -> list[str]:
    """The word once for each job that its `${dep:PATTERN}` matches; itself, if it has no pattern."""
    words = [word]
    for pattern in filter(is_pattern, dict.fromkeys(mentioned(word))):
        variable = f"${{{_DEP}{pattern}}}"
        singles = [f"${{{_DEP}{name}}}" for name in select(pattern, names, own)]
        words = [one.replace(variable, single) for one in words for single in singles]
    return words


def repeat_in(text: str, names: Collection[str], own: str) -> str:
    """The text with each of its words repeated as in `repeat`; the space between words stays."""
    if not any(is_pattern(pattern) for pattern in mentioned(text)):
        return text
    pieces = re.split(r"(\s+)", text)
    return "".join(piece if piece.isspace() else " ".join(repeat(piece, names, own)) for piece in pieces)


def is_pattern(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def hint(wrong: str, known: Iterable[str]) -> str:
    """The end of a complaint about an unknown name: the known name that was probably meant, or nothing."""
    near = get_close_matches(wrong, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
