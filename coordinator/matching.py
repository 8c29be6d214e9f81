"""Which lines of an output match, and which of them speak of an error: pure, over a piece of its bytes.

Terminals' escape sequences are no part of a line's text here, so that a coloured word is found, too. They
hold no newline, hence a line keeps its number. Whatever a job prints, the patterns take linear time.
"""

import re
from collections.abc import Iterator
from itertools import accumulate

from attrs import frozen

LINE_CHARS_MAX = 500
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[^\[\]\n])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# A line of a program that says: this is why I fail. The first of them is what a person looks for, since those
# below it tend to be its consequences.
_BEGINS = re.compile(
    rb"""
    [^\s:]+[:(]\d{1,9}[:,.\d)]{0,24}\ *(?:fatal\ )?error\b       # compilers: file:1:2: error
    | e\ {3,}\S | ---\ fail | fail(?:ed)?\b | not\ ok\b | fatal: | panic: | npm\ err! | cmake\ error
    | killed\b | aborted\b
    """,
    re.VERBOSE,
)
_HOLDS = tuple(
    (word, re.compile(word + rest))
    for word, rest in (
        (b"error", rb"(?:\[\w{1,20}\])?:(?:\s|$)"),  # error: no; ValueError: no; error[E0308]: no
        (b"exception", rb":(?:\s|$)"),
        *((b": " + words, rb"\b") for words in (b"no such file or directory", b"permission denied")),
        *((words + b"not found", rb"\b") for words in (b": ", b": command ")),
        *((words, rb"\b") for words in (b"panicked at", b"segmentation fault", b"core dumped")),
        (b"undefined reference to", rb"\b"),
        (b"assertion", rb"\b.{0,200}\bfailed\b"),
    )
)
# A line that only mentions that something went wrong.
_MENTION = re.compile(
    rb"\b(?:errors?|fail(?:s|ed|ure|ures)?|fatal|exceptions?|panic|abort(?:ed)?|killed|cannot|denied)\b"
)
# The same words in lines that say the opposite, or less.
_NONE = re.compile(
    rb"\b(?:0|no|without|zero)\ (?:errors?|fail\w*|exceptions?)\b|\b(?:errors?|fail\w*)\s*[:=]\s*0\b"
)
_LESS = re.compile(rb"-w(?:no-)?error\b|\bwarning\b|\berror-free\b")
# No line speaks of an error without one of these.
_SUSPECT = re.compile(
    rb"error|fail|fatal|panic|exception|undefined|no such file|not found|denied|fault|dumped|abort|killed"
    rb"|cannot|^(?:e   |not ok|npm err!)",
    re.MULTILINE,
)


@frozen
class Hit:
    """A line that matches: how many are before it in the piece, and the byte of the piece it begins at."""

    line: int
    offset: int


@frozen
class Sight:
    """What a piece says of errors: the first line that names one, the first that mentions one before it."""

    error: Hit | None
    mention: Hit | None


def pattern(text: str) -> re.Pattern[bytes]:
    """Finds the text in lower-case bytes (`bytes.lower`), whatever its case and that of what is searched."""
    return re.compile(b"".join(_either_case(char) for char in text))


def _either_case(char: str) -> bytes:
    if char.isascii():
        return re.escape(char.lower().encode())
    cases = sorted({form.encode("utf-8", "replace").lower() for form in (char, char.lower(), char.upper())})
    return b"(?:" + b"|".join(map(re.escape, cases)) + b")"


def matching(data: bytes, wanted: re.Pattern[bytes]) -> list[Hit]:
    """The lines of whole lines `data` in which the pattern is found."""
    return _placed(data, [(line, begin) for line, begin, _ in _found(_plain(data), wanted)])


def count(data: bytes, wanted: re.Pattern[bytes]) -> int:
    """How many of the lines match, much faster than which."""
    return len(re.findall(wanted.pattern + b".*", _plain(data)))


def sight(data: bytes) -> Sight:
    """What the whole lines in `data` say of errors."""
    mention = None
    for line, begin, text in _found(_plain(data), _SUSPECT):
        text = text[: 4 * LINE_CHARS_MAX]
        if _names_an_error(text):
            return Sight(_placed(data, [(line, begin)])[0], mention)
        if mention is None and _mentions_one(text):
            mention = _placed(data, [(line, begin)])[0]
    return Sight(None, mention)


def _names_an_error(text: bytes) -> bool:
    holds = any(word in text and words.search(text) for word, words in _HOLDS)
    return (holds or _BEGINS.match(text) is not None) and not _NONE.search(text)


def _mentions_one(text: bytes) -> bool:
    return bool(_MENTION.search(text)) and not _NONE.search(text) and not _LESS.search(text)


def shown(data: bytes) -> str:
    """The line that `data` begins with, as inert text of bounded length."""
    text = _ESCAPES.sub(b"", data.partition(b"\n")[0]).decode("utf-8", "replace")
    return _CONTROLS.sub("", text)[:LINE_CHARS_MAX]


def _plain(data: bytes) -> bytes:
    return (_ESCAPES.sub(b"", data) if b"\x1b" in data else data).lower()


def _found(plain: bytes, wanted: re.Pattern[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Number, beginning and text of each line that matches, once."""
    line = counted = after = 0
    while hit := wanted.search(plain, after):
        begin = plain.rfind(b"\n", 0, hit.start()) + 1
        end = plain.find(b"\n", hit.end())
        line += plain.count(b"\n", counted, begin)
        counted = begin
        yield line, begin, plain[begin : end if end >= 0 else len(plain)]
        if end < 0:
            return
        after = end + 1


def _placed(data: bytes, found: list[tuple[int, int]]) -> list[Hit]:
    """The bytes where the lines begin in what was printed, escape sequences and all."""
    if not found or b"\x1b" not in data:
        return [Hit(line, begin) for line, begin in found]
    begins = list(accumulate((len(line) + 1 for line in data.split(b"\n")), initial=0))
    return [Hit(line, begins[line]) for line, _ in found]
